/**
 * Screens of the pages that commands really print, over a spool made for them: job 12, which is greylisted and has left a transcript,
 * and two that wait. The spool is called as the pages call it, whatever its folder is.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli/shell/main.ts';
import { PLACES } from '../../src/packaging/places.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { startScriptedServer } from '../support/scripted-server.ts';

const FIXTURE = fileURLToPath(
  new URL('../../fixtures/transcripts/busy-then-greylisted.jsonl', import.meta.url),
);
/** Unix seconds: shortly after the attempt that the transcript tells of. */
const NOW = 1_400_000_050;
const TRANSCRIPT = '.spoolroom/transcripts/12-1400000000-1.jsonl';
const GREYLISTED = '4.7.1 Greylisted (451, mx2.one.example [192.0.2.2])';

/** Names of the fixture, and those of the pages. */
const NAMES: readonly (readonly [string, string])[] = [
  ['user1@host1.example', 'eve@citadel.example.org'],
  ['user2@host2.example', 'alice@one.example'],
  ['user3@host2.example', 'bob@one.example'],
  ['host2.example', 'one.example'],
  ['host3.example', 'citadel.example.org'],
  ['host4.example', 'mx1.one.example'],
  ['host5.example', 'mx2.one.example'],
];

function listText(msgid: number, ...lines: readonly string[]): string {
  const head = ['Content-type: application/x-citadel-delivery-list', '', `msgid|${msgid}`];
  const common = [
    'submitted|1399999000',
    'bounceto|eve@citadel.example.org',
    'envelope_from|eve@citadel.example.org',
  ];
  return [...head, ...common, 'retry|300', 'attempted|1400000300', ...lines, ''].join('\n');
}

function messageText(lines: number): string {
  return `From: eve@citadel.example.org\nSubject: Minutes\n\n${'The minutes of our meeting.\n'.repeat(lines)}`;
}

function makeSpool(spool: string, typed: string): void {
  mkdirSync(path.join(spool, path.dirname(TRANSCRIPT)), { recursive: true });
  const recorded = NAMES.reduce(
    (text, [from, to]) => text.replaceAll(from, to),
    readFileSync(FIXTURE, 'utf8'),
  );
  writeFileSync(
    path.join(spool, TRANSCRIPT),
    recorded.replaceAll('"control":8', '"control":12').replaceAll('"msgid":7', '"msgid":11'),
  );
  writeFileSync(path.join(spool, '11'), messageText(165));
  const others = [
    'remote|carol@one.example|2|2.0.0 queued (250, mx2.one.example [192.0.2.2])',
    `${typed}|dave@two.example|0|`,
  ];
  writeFileSync(path.join(spool, '12'), listText(11, `remote|alice@one.example|4|${GREYLISTED}`, ...others));
  for (const [message, address] of [
    [3, 'bob@two.example'],
    [5, 'carol@three.example'],
  ] as const) {
    writeFileSync(path.join(spool, String(message)), messageText(message));
    writeFileSync(
      path.join(spool, String(message + 1)),
      listText(message, `remote|${address}|4|connection timed out`),
    );
  }
}

/** How TLS went with a domain on the day before. */
function countTls(spool: string): void {
  const counts = [
    {
      policy: { type: 'sts', domain: 'a.example', strings: [], mx: ['mx.a.example'] },
      successes: 41,
      failures: [
        {
          ...{ type: 'certificate-expired', reason: 'CERT_HAS_EXPIRED', count: 2 },
          ...{ host: 'mx.a.example', address: '192.0.2.1' },
        },
      ],
    },
  ];
  const folder = path.join(spool, '.spoolroom/tls-reports');
  mkdirSync(folder);
  writeFileSync(path.join(folder, '2014-05-12.json'), JSON.stringify({ 'a.example': counts }));
}

interface Screen {
  /** the words after `spoolroom`; SPOOL stands for the spool, RELAY for a server that takes mail */
  readonly command: string;
  /** the lines that are shown; absent: all */
  readonly only?: RegExp;
}

/** What these commands print one after the other, each below its line. */
async function played(screens: readonly Screen[], typed = 'remote'): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-screens-'));
  const spool = path.join(folder, 'spool');
  makeSpool(spool, typed);
  countTls(spool);
  const server = await startScriptedServer({});
  const relay = `127.0.0.1:${server.port}`;
  try {
    const lines: string[] = [];
    for (const { command, only } of screens) {
      const caught = caughtTerminal();
      const words = command
        .split(' ')
        .map((word) => word.replace('SPOOL', spool).replace('FOLDER', folder).replace('RELAY', relay));
      const environment = {
        SPOOLROOM_SPOOL: spool,
        SPOOLROOM_NOW: String(NOW),
        SPOOLROOM_HOSTNAME: 'citadel.example.org',
        SPOOLROOM_DNS: '127.0.0.1:9',
      };
      // A transcript is judged by the time at which it was recorded.
      if (command.includes(TRANSCRIPT)) Reflect.deleteProperty(environment, 'SPOOLROOM_NOW');
      await main(words, environment, caught.terminal);
      const named = (text: string): string =>
        text.replaceAll(spool, PLACES.spool).replaceAll(`${folder}/`, '').replaceAll(relay, '127.0.0.1:25');
      const said = named([...caught.errors, ...caught.printed].join('\n')).split('\n');
      lines.push(
        `$ spoolroom ${command.replace('SPOOL', PLACES.spool).replace('FOLDER/', '').replace('RELAY', '127.0.0.1:25')}`,
        ...excerpt(said, only),
      );
    }
    return ['```', ...lines, '```'].join('\n');
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

/** Lines that match; `...` stands for those between. */
function excerpt(lines: readonly string[], only: RegExp | undefined): readonly string[] {
  if (only === undefined) return lines;
  assert.ok(
    lines.some((line) => only.test(line)),
    `nothing of ${only} in:\n${lines.join('\n')}`,
  );
  return lines.flatMap((line, at) => {
    if (only.test(line)) return [line];
    return at === 0 || only.test(lines[at - 1] ?? '') ? ['...'] : [];
  });
}

const RECORDED = `replay SPOOL/${TRANSCRIPT}`;

/** By page and name. */
export const PLAYED = {
  'ask the queue': () => played([{ command: 'queue 12' }]),
  'ask about a job': () => played([{ command: 'explain 12' }]),
  'see what was said': () =>
    played([
      { command: RECORDED, only: /421 4\.3\.2|DNS A mx2|S: {2}220|alice@one\.example: 4 deferred.*\[row/ },
    ]),
  'another setting': () =>
    played([{ command: `${RECORDED} --set timeout.greeting=30s`, only: /The recording does not say/ }]),
  'how it is read': () =>
    played([{ command: 'replay 12 --world refuse-rcpt', only: /^Warnings|not an instruction/ }], 'remot'),
  'would it act differently': () => played([{ command: `${RECORDED} --check` }]),
  'keep the case': () => played([{ command: `${RECORDED} --save-fixture FOLDER/greylisted-after-busy` }]),
  'change the queue': () =>
    played(['hold 4 6', 'release 4', 'retry 4', 'remove 6 --yes'].map((command) => ({ command }))),
  'try the real hosts': () =>
    played([
      {
        command: 'replay 12 --live --yes --smarthost RELAY',
        only: /^Outcome|^ {2}\w+@/,
      },
    ]),
  'find what stops mail': () =>
    played([
      {
        command: 'check --smarthost 127.0.0.1:9',
        only: /settings {2}|spool {2}|reports {2}|Senders are|smarthost {2}|All mail goes|^Mail or reports/,
      },
    ]),
  'count TLS sessions': () => played([{ command: 'tls-report yesterday' }]),
  suppress: () => played([{ command: 'suppress add bob@example.com --for 7d --why left' }]),
} as const;
