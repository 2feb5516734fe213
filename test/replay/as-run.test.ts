/**
 * `replay` before a real run of the same time on the same spool, with the same settings and the same server: the commands, the
 * outcomes, the control messages and the reports are the same.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { describe, it } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { startScriptedServer } from '../support/scripted-server.ts';
import { HEADER, listFor, MAIL, messagesIn, NOW, spoolOf, temporaryDirectory } from '../support/spool.ts';

const DAY = 86_400;

async function call(...words: readonly string[]) {
  const { terminal, printed, errors } = caughtTerminal();
  const exit = await main(words, {}, terminal);
  return { exit, out: printed.join('\n'), errors: errors.join('\n') };
}

interface Line {
  readonly who: string;
  readonly text: string;
}

interface Shown {
  readonly dialogue: readonly Line[];
  readonly outcomes: readonly {
    readonly recipient: string;
    readonly status: number;
    readonly text: string;
    readonly stopped: boolean;
    readonly asked: boolean;
  }[];
  readonly untried: string | null;
  readonly reports: readonly { readonly to: string | null; readonly message: string | null }[];
  readonly diff: readonly { readonly mark: string; readonly text: string }[];
  readonly ends: boolean;
}

interface Setup {
  readonly server?: ServerScript;
  readonly settings?: readonly string[];
  readonly now?: number;
  readonly job?: string;
}

/** What is random or takes time: a run takes a moment longer than nothing. */
function settled(text: string): string {
  return text.replace(/^attempted\|\d+$/m, 'attempted|T').replace(/(127\.0\.0\.1\]?):\d+/g, '$1:P');
}

/** A report without what is made anew for each. */
function withoutStamp(report: string): string {
  return report
    .replace(/^(Date|Message-ID|Arrival-Date|Last-Attempt-Date): .*$/gm, '$1: -')
    .replace(/[\w=-]*\d{10}-[\w-]+/g, '-')
    .replace(/(127\.0\.0\.1\]?):\d+/g, '$1:P');
}

/** Replays the job, then runs the queue, and compares everything. Returns what both have in common. */
async function both(t: TestContext, spool: string, setup: Setup = {}) {
  const { server: script = {}, settings = [], now = NOW + 60, job = '2' } = setup;
  const [server, reports] = await Promise.all([startScriptedServer(script), startScriptedServer({})]);
  t.after(() => Promise.all([server.close(), reports.close()]));
  const world = path.join(temporaryDirectory(t), 'world.json');
  fs.writeFileSync(world, JSON.stringify({ names: {}, servers: { '127.0.0.1': script } }));
  const words = [
    ...['--spool', spool, '--now', String(now), '--hostname', 'citadel.example'],
    ...[
      '--smarthost',
      `127.0.0.1:${server.port}`,
      '--return',
      `smtp://127.0.0.1:${reports.port}`,
      ...settings,
    ],
  ];
  const played = await call('replay', job, '--world', world, '--json', ...words);
  assert.equal(played.exit, 0, played.errors);
  assert.equal(server.commands.length + reports.commands.length, 0, 'a replay contacts nobody');
  const shown: Shown = JSON.parse(played.out);
  const log = path.join(spool, '.log');
  assert.equal((await call('run', ...words, '--log.target', log, '--log.level', 'info')).exit, 0);

  const said = shown.dialogue.flatMap(({ who, text }) =>
    who === 'us' && text !== '(the message)' ? [text] : [],
  );
  assert.deepEqual(said, server.commands, 'the commands');
  const left = messagesIn(spool)[job];
  assert.equal(shown.ends, left === undefined, 'whether the job ends');
  if (left !== undefined) {
    const lines = shown.diff.flatMap(({ mark, text }) => (mark === '-' ? [] : [`${text}\n`]));
    const list = left.slice(left.indexOf('\n\n') + 2).replace(/^\n/, '');
    assert.equal(settled(lines.join('')), settled(list), 'the control message');
  }
  const made = shown.reports.flatMap(({ message }) => (message === null ? [] : [withoutStamp(message)]));
  const sent = reports.accepted.map(({ body }) => withoutStamp(body));
  assert.deepEqual(made, sent, 'the reports');
  return { shown, server, reports };
}

function mail(header: string, body: string): string {
  return `From: a@example.org\nTo: b@example.com\nSubject: hello\n${header}\n${body}`;
}

const MODERN = '250-mx\n250-SIZE 1000000\n250-8BITMIME\n250 PIPELINING';
const FRESH = listFor(1, 'alice@one.example', 'bob@two.example');

function tried(at: number, ...lines: readonly string[]): string {
  const remotes = lines.map((line) => `remote|${line}|\n`).join('');
  return `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${at}\n${remotes}`;
}

describe('replay says what a run does', () => {
  it('with a message that is taken', async (t) => {
    const { shown } = await both(t, spoolOf(t, { 1: MAIL, 2: FRESH }), { server: { ehlo: MODERN } });
    assert.equal(shown.ends, true);
  });

  it('with a greylisted recipient and a refused one, who is reported', async (t) => {
    const rcpt = { 'alice@one.example': '451 4.7.1 Greylisted', '*': '550-5.1.1 nobody\n550 5.1.1 here' };
    const { shown, reports } = await both(t, spoolOf(t, { 1: MAIL, 2: FRESH }), {
      server: { ehlo: MODERN, rcpt },
    });
    assert.deepEqual(
      shown.outcomes.map(({ status }) => status),
      [4, 5],
    );
    assert.equal(reports.accepted.length, 1);
  });

  for (const [what, bytes] of [
    ['Bcc', mail('Bcc: hidden@example.com,\n secret@example.com\n', 'Hello.\n')],
    ['bare line ends and a missing last one', mail('', 'one\rtwo\n\n.dot\nthe end')],
    ['lines that are too long', mail(`X-Long: ${'word '.repeat(400)}\n`, `${'x'.repeat(3000)}\n`)],
    [
      '8-bit text',
      mail(
        'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n',
        'Gr\xc3\xbc\xc3\x9fe\n',
      ),
    ],
  ] as const) {
    for (const [how, ehlo] of [
      ['with 8BITMIME', MODERN],
      ['without it', '250-mx\n250 SIZE'],
    ] as const) {
      it(`with ${what}, to a server ${how}: SIZE= is that of what leaves`, async (t) => {
        const { server } = await both(t, spoolOf(t, { 1: bytes, 2: FRESH }), { server: { ehlo } });
        const size = Number(/ SIZE=(\d+)/.exec(server.commands.join('\n'))?.[1]);
        assert.equal(server.accepted[0]?.body.length, size);
      });
    }
  }

  it('with a signed message', async (t) => {
    const key = path.join(temporaryDirectory(t), 'key.pem');
    const { privateKey } = generateKeyPairSync('ed25519');
    fs.writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const { server } = await both(t, spoolOf(t, { 1: MAIL, 2: FRESH }), {
      server: { ehlo: MODERN },
      settings: ['--dkim.key', `example.org:s:${key}`],
    });
    assert.match(server.accepted[0]?.body ?? '', /^DKIM-Signature:/);
  });

  it('when the message is old enough to be given up', async (t) => {
    const list = tried(NOW + 3 * DAY, 'alice@one.example|4|4.7.1 Greylisted', 'bob@two.example|2|250 ok');
    const { shown, reports } = await both(t, spoolOf(t, { 1: MAIL, 2: list }), {
      server: { ehlo: MODERN, rcpt: { '*': '451 4.7.1 Greylisted' } },
      now: NOW + 6 * DAY,
    });
    assert.equal(shown.ends, true);
    assert.deepEqual(
      shown.outcomes.map(({ status, text }) => `${status} ${text.slice(0, 9)}`),
      ['5 given up:'.slice(0, 11)],
    );
    assert.match(reports.accepted[0]?.body ?? '', /Giving up on the following addresses/);
  });

  it('when an old message fails for the first time: that is not its last', async (t) => {
    const server = { ehlo: MODERN, rcpt: { '*': '451 4.7.1 Greylisted' } };
    const spool = spoolOf(t, { 1: MAIL, 2: FRESH });
    const first = await both(t, spool, { server, now: NOW + 6 * DAY });
    assert.deepEqual(
      first.shown.outcomes.map(({ status }) => status),
      [4, 4],
    );
    const second = await both(t, spool, { server, now: NOW + 7 * DAY });
    assert.deepEqual(
      second.shown.outcomes.map(({ status }) => status),
      [4, 4],
      'its five days count from then',
    );
    const last = await both(t, spool, { server, now: NOW + 12 * DAY });
    assert.equal(last.shown.ends, true);
  });

  it('with a delay, of which the sender is told once', async (t) => {
    const server = { ehlo: MODERN, rcpt: { '*': '451 4.7.1 Greylisted' } };
    const spool = spoolOf(t, { 1: MAIL, 2: FRESH });
    const first = await both(t, spool, { server, now: NOW + 5 * 3600 });
    assert.equal(first.reports.accepted.length, 1);
    const second = await both(t, spool, { server, now: NOW + 8 * 3600 });
    assert.equal(second.reports.accepted.length, 0);
  });

  it('with the settings of retries: retry.giveup, retry.ceiling, retry.first', async (t) => {
    const server = { ehlo: MODERN, rcpt: { '*': '451 4.7.1 Greylisted' } };
    const settings = ['--retry.first', '2m', '--retry.ceiling', '7m', '--retry.giveup', '1h'];
    const spool = spoolOf(t, { 1: MAIL, 2: FRESH });
    for (const [now, after] of [
      [NOW + 60, 120],
      [NOW + 600, 240],
      [NOW + 1200, 420],
      [NOW + 2400, 420],
    ] as const) {
      const { shown } = await both(t, spool, { server, settings, now });
      const next = shown.diff.find(({ mark, text }) => mark === '+' && text.startsWith('attempted|'));
      const wait = Number(next?.text.slice('attempted|'.length)) - now;
      assert.ok(wait >= after && wait <= after + 2, `${wait} s`);
    }
    assert.equal((await both(t, spool, { server, settings, now: NOW + 4000 })).shown.ends, true);
  });

  it('in the dialect of 2017', async (t) => {
    const list = `${HEADER}\nmsgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|alice@one.example|0\nremote|bob@two.example|4|451 (x)\nattempted|${NOW}\n`;
    const rcpt = { 'alice@one.example': '250 ok', '*': '451 4.7.1 Greylisted' };
    const { shown } = await both(t, spoolOf(t, { 1: MAIL, 2: list }), {
      server: { ehlo: MODERN, rcpt },
      settings: ['--dialect', '2017'],
      now: NOW + 3600,
    });
    assert.equal(shown.ends, false);
  });

  it('when it is not due, held, or finished already', async (t) => {
    const waiting = spoolOf(t, { 1: MAIL, 2: tried(NOW + 3600, 'alice@one.example|4|later') });
    const early = await both(t, waiting, { now: NOW + 60 });
    assert.match(early.shown.untried ?? '', /would try none/);
    const held = spoolOf(t, { 1: MAIL, 2: FRESH });
    await call('hold', '2', '--spool', held);
    assert.match((await both(t, held)).shown.untried ?? '', /would try none/);
    const settledJob = spoolOf(t, { 1: MAIL, 2: tried(NOW, 'alice@one.example|5|5.1.1 nobody (550, mx)') });
    const finished = await both(t, settledJob);
    assert.equal(finished.shown.ends, true);
    assert.equal(finished.reports.accepted.length, 1);
  });

  it('where two lists name the same message', async (t) => {
    const spool = spoolOf(t, {
      1: MAIL,
      2: listFor(1, 'alice@one.example', 'bob@two.example'),
      3: tried(NOW, 'alice@one.example|2|250 ok', 'carol@one.example|0|'),
    });
    const { shown } = await both(t, spool, { server: { ehlo: MODERN }, job: '3' });
    assert.deepEqual(shown.outcomes.map(({ recipient }) => recipient).sort(), [
      'bob@two.example',
      'carol@one.example',
    ]);
  });

  it('where the message is missing', async (t) => {
    await both(t, spoolOf(t, { 2: FRESH }));
  });
});

describe('what a transcript would have been with another server', () => {
  const GREYLISTING = { ehlo: '250 mx', rcpt: { '*': '451 4.7.1 Greylisted' } };

  for (const [what, bytes] of [
    ['a plain message', MAIL],
    ['one with Bcc and bare line ends', mail('Bcc: hidden@example.com\n', 'one\rtwo\n.')],
    ['a long one', mail('', `${'x'.repeat(70)}\n`.repeat(5000))],
  ] as const) {
    it(`has the SIZE of a run, with ${what}`, async (t) => {
      const spool = spoolOf(t, { 1: bytes, 2: FRESH });
      await both(t, spool, { server: GREYLISTING });
      const folder = path.join(spool, '.spoolroom/transcripts');
      const transcript = path.join(folder, fs.readdirSync(folder)[0] ?? '');
      const world = path.join(folder, '..', 'world.json');
      fs.writeFileSync(world, JSON.stringify({ names: {}, servers: { '127.0.0.1': { ehlo: MODERN } } }));
      const sizeIn = async (): Promise<string | undefined> => {
        const { out, errors } = await call('replay', transcript, '--world', world);
        assert.equal(errors, '');
        return / SIZE=(\d+)/.exec(out)?.[1];
      };
      const [withMessage] = [await sizeIn()];
      const { server } = await both(t, spool, { server: { ehlo: MODERN }, now: NOW + 3600 });
      const real = / SIZE=(\d+)/.exec(server.commands.join('\n'))?.[1];
      assert.ok(real !== undefined);
      assert.equal(withMessage, real, 'with the message of the spool');
      assert.ok(!fs.existsSync(path.join(spool, '1')));
      assert.equal(await sizeIn(), real, 'as it was recorded');
    });
  }

  it('does not invent how long 8-bit text is for a server without 8BITMIME', async (t) => {
    const text = mail(
      'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n',
      'Gr\xc3\xbc\xc3\x9fe\n',
    );
    const spool = spoolOf(t, { 1: text, 2: FRESH });
    await both(t, spool, { server: { ...GREYLISTING, ehlo: MODERN } });
    const folder = path.join(spool, '.spoolroom/transcripts');
    const transcript = path.join(folder, fs.readdirSync(folder)[0] ?? '');
    const world = path.join(folder, '..', 'world.json');
    fs.writeFileSync(
      world,
      JSON.stringify({ names: {}, servers: { '127.0.0.1': { ehlo: '250-mx\n250 SIZE' } } }),
    );
    const known = await call('replay', transcript, '--world', world);
    const { server } = await both(t, spool, { server: { ehlo: '250-mx\n250 SIZE' }, now: NOW + 3600 });
    assert.equal(/ SIZE=\d+/.exec(known.out)?.[0], / SIZE=\d+/.exec(server.commands.join('\n'))?.[0]);
    const gone = await call('replay', transcript, '--world', world);
    assert.match(gone.out, /does not say how long the message is for a server without 8BITMIME/);
  });
});

describe('replay --live shows what was said, and says what was not asked', () => {
  const ACTIVE = { ehlo: '250-mx\n250-CHUNKING\n250-8BITMIME\n250-SIZE\n250 PIPELINING' };

  async function live(t: TestContext, script: ServerScript, ...others: readonly string[]) {
    const server = await startScriptedServer(script);
    t.after(() => server.close());
    const spool = spoolOf(t, { 1: MAIL, 2: FRESH });
    const relays = [`127.0.0.1:${server.port}`, ...others].flatMap((host) => ['--smarthost', host]);
    const words = [
      'replay',
      '2',
      '--spool',
      spool,
      '--live',
      '--yes',
      '--hostname',
      'citadel.example',
      ...relays,
    ];
    const { out } = await call(...words, '--json');
    const shown = JSON.parse(out) as Shown & {
      readonly routes: readonly {
        readonly hosts: readonly { readonly name: string; readonly contacted: boolean }[];
      }[];
    };
    const said = (who: string): readonly string[] =>
      shown.dialogue.flatMap((line) => (line.who === who ? [line.text] : []));
    return { shown, said, server, words };
  }

  it('with a server that takes one recipient and refuses the other', async (t) => {
    const rcpt = { 'alice@one.example': '250 2.1.5 alice is here', '*': '550 5.1.1 nobody' };
    const { shown, said, server } = await live(t, { ...ACTIVE, rcpt });
    assert.deepEqual(said('us'), server.commands);
    assert.deepEqual(server.commands.slice(-2), ['RSET', 'QUIT']);
    assert.deepEqual(said('them').slice(1, 6), [
      '250-mx',
      '250-CHUNKING',
      '250-8BITMIME',
      '250-SIZE',
      '250 PIPELINING',
    ]);
    assert.deepEqual(said('them').slice(-4), [
      '250 2.1.5 alice is here',
      '550 5.1.1 nobody',
      '250 2.0.0 reset',
      '221 2.0.0 bye',
    ]);
    assert.deepEqual(
      shown.outcomes.map(({ status, stopped, asked }) => [status, stopped, asked]),
      [
        [0, true, true],
        [5, false, true],
      ],
    );
    assert.match(shown.outcomes[0]?.text ?? '', /alice is here/);
    assert.equal(server.accepted.length, 0);
  });

  it('with a server that refuses the sender: nobody is asked about the recipients', async (t) => {
    const { shown, words } = await live(t, { ehlo: '250 mx', mail: '550 5.7.1 not you' });
    assert.deepEqual(
      shown.outcomes.map(({ status, asked }) => [status, asked]),
      [
        [5, false],
        [5, false],
      ],
    );
    const { out } = await call(...words);
    assert.match(out, /alice@one\.example: 5 refused: .*\(no server was asked about this recipient\)/);
  });

  it('with hosts behind the one that answered, which are not contacted', async (t) => {
    const { shown, words } = await live(t, ACTIVE, '127.0.0.1:9');
    assert.deepEqual(
      shown.routes[0]?.hosts.map(({ contacted }) => contacted),
      [true, false],
    );
    const { out } = await call(...words);
    assert.match(out, /2\. 127\.0\.0\.1:9 \(smart host\), not contacted/);
  });
});

describe('a host that failed a moment ago', () => {
  it('is not shown as contacted for the next destination', async (t) => {
    const names = { '*': { mx: [[10, 'mx.example']], a: ['192.0.2.1'] }, 'mx.example': { a: ['192.0.2.1'] } };
    const world = path.join(temporaryDirectory(t), 'world.json');
    fs.writeFileSync(world, JSON.stringify({ names, servers: { '192.0.2.1': { connect: 'refused' } } }));
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'a@one.example', 'b@two.example') });
    const { out } = await call('replay', '2', '--spool', spool, '--world', world, '--limit.sessions', '1');
    assert.equal(out.match(/mx\.example refuses connections/g)?.length, 1, out);
    assert.match(out, /mx\.example is not contacted again, it failed a moment ago: refuses connections/);
    assert.equal(out.match(/, not contacted/g)?.length, 1);
  });
});
