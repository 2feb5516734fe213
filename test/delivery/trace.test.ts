/** Who is told which events of a delivery. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Observer, type TraceEvent, traceFor } from '../../src/delivery/trace.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { deliver } from './scheduling.ts';

function noted(wanted: readonly (keyof Observer)[], notes: string[], name = ''): Observer {
  const note = (_: unknown, event: TraceEvent) =>
    notes.push(`${name}${event.what === 'session' ? event.step.rows[0] : event.what}`);
  return Object.fromEntries(wanted.map((what) => [what, note]));
}

test('an observer gets what it names, in order', async () => {
  const notes: string[] = [];
  const trace = traceFor([noted(['body', 'outcome'], notes, 'a '), noted(['outcome'], notes, 'b '), {}]);
  await deliver(WORLDS.accept, [{ to: ['you@a.example'] }], undefined, undefined, { observe: trace });
  assert.deepEqual(notes, ['a body', 'a outcome', 'b outcome']);
});

test('the rest goes to those that want it', async () => {
  const kinds: string[] = [];
  const others = noted(['others', 'session', 'delivery'], kinds);
  const trace = traceFor([{ ...others, session: () => {}, delivery: () => {} }]);
  await deliver(WORLDS.accept, [{ to: ['you@a.example'] }], undefined, undefined, { observe: trace });
  assert.deepEqual([...new Set(kinds)].sort(), ['body', 'closed', 'connected', 'lookup', 'outcome']);
});

test('before the first transaction of a session, and failures alone', async () => {
  const begun: string[] = [];
  const failed: string[] = [];
  const trace = traceFor([
    noted(['initiation'], begun),
    { failure: (_, { event }) => failed.push(`${event.type}: ${event.failure.stage}`) },
  ]);
  const messages = [{ to: ['you@a.example'] }, { to: ['me@a.example'] }];
  await deliver(WORLDS.accept, messages, undefined, undefined, { observe: trace });
  assert.deepEqual([...new Set(begun)], ['greeting-ok', 'ehlo-ok']);
  assert.deepEqual(failed, []);
  const refusing = { ...WORLDS.accept, servers: { '*': { greeting: '421 4.3.2 closed' } } };
  await deliver(refusing, messages.slice(1), undefined, undefined, { observe: trace });
  assert.deepEqual([...new Set(failed)], ['host-failed: greeting']);
});
