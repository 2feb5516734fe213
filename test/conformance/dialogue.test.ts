import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cModule } from './c-module.ts';
import { compare } from './compare.ts';
import { reply, session } from './dialogue.ts';
import { FIXTURES } from './run.ts';
import { scriptOf } from './script.ts';
import { idOf, type Row, readRows, rowOf, rowsOf } from './vectors.ts';

const rows = readRows(FIXTURES, 'reply') ?? [];

/** How many reads come before the answer to this state's command. */
const READS_BEFORE = {
  greeting: 0,
  EHLO: 1,
  HELO: 2,
  AUTH: 2,
  MAIL: 2,
  RCPT: 3,
  DATA: 4,
  'end-of-data': 5,
  QUIT: 6,
};

const LAST_WORD: { readonly [then: string]: readonly string[] } = {
  normal: [],
  close: ['close 192.0.2.9'],
  silent: ['silent 192.0.2.9'],
  reset: ['reset 192.0.2.9'],
};

/** The row of `state`, with what the server of another row answers there. What C makes of it is what the model says. */
function transplanted(state: keyof typeof READS_BEFORE, answer: Row): Row {
  const host = rows.find((row) => row.state === state && row.then === 'normal');
  assert.ok(host);
  const lines = String(host.script)
    .split('\n')
    .filter((line) => line !== '');
  const says = lines.filter((line) => line.startsWith('say '));
  const before = READS_BEFORE[state];
  const after = answer.then === 'normal' ? says.slice(before + rowsOf(host, 'chunks_b64').length) : [];
  const script = [
    ...lines.filter((line) => !line.startsWith('say ')),
    ...says.slice(0, before),
    ...(answer.chunks_b64 as readonly string[]).map((chunk) => `say 192.0.2.9 ${chunk}`),
    ...after,
    ...(LAST_WORD[String(answer.then)] ?? []),
  ].join('\n');
  const row: Row = { id: `${state}: ${answer.desc}`, script };
  const { sent, outcomes } = cModule(scriptOf(row), new Set());
  const words = outcomes[0]?.words ?? 'Connection broken';
  const final = outcomes[0] && {
    status: outcomes[0].status,
    message_b64: Buffer.from(words, 'latin1').toString('base64'),
  };
  return { ...row, commands: sent, final: final ?? null };
}

for (const state of Object.keys(READS_BEFORE) as (keyof typeof READS_BEFORE)[]) {
  test(`every answer of the vectors, given in state ${state}, has no unexplained difference`, async () => {
    const answers = new Map(rows.map((row) => [`${row.desc} ${row.then}`, row]));
    for (const answer of answers.values()) {
      const comparison = await compare(reply, transplanted(state, answer));
      assert.notEqual(comparison.kind, 'failed', JSON.stringify(comparison));
    }
  });
}

function rowNamed(name: string, id: string): Row {
  const found = readRows(FIXTURES, name)?.find((each) => idOf(each) === id);
  assert.ok(found, `${name} ${id}`);
  return found;
}

test('a wrong status, wrong words or a command too many are never explained away', async () => {
  for (const id of ['y000', 'y336', 'y458', 'y546', 'y580']) {
    const row = rows.find((each) => idOf(each) === id);
    if (row === undefined || row.final === null) continue;
    const final = rowOf(row, 'final');
    const wrong: readonly Row[] = [
      { ...row, final: { ...final, status: 9 } },
      { ...row, commands: [...(row.commands as readonly string[]), 'VRFY root\r\n'] },
    ];
    for (const each of wrong) {
      if (scriptOf(each).splitsLineEnd) continue;
      assert.equal((await compare(reply, each)).kind, 'failed', id);
    }
  }
});

test('another host or another question is never explained away', async () => {
  const row = rowNamed('session', 'x005');
  const trace = rowsOf(row, 'trace');
  assert.equal((await compare(session, row)).kind, 'passed');
  for (const wrong of [
    trace.map((event) => (event.ev === 'connect' ? { ...event, port: 26 } : event)),
    trace.map((event) => (event.ev === 'dns' ? { ...event, name: 'elsewhere.example' } : event)),
    trace.filter((event) => event.ev !== 'final'),
  ]) {
    const different = wrong.map(({ name_b64: _, ...event }) => event);
    assert.equal((await compare(session, { ...row, trace: different })).kind, 'failed');
  }
});
