import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusals, RefusalMemory, type Refusals } from '../../src/delivery/connections/refusals.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { parseRelayEntry, relaysInOrder } from '../../src/routing/relays.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { stateMap } from '../../src/storage/state-map.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { deliver, rulesWith, type TestMessage } from './scheduling.ts';

const LAYOUT = layoutOf('/spool');
const DAY = 86_400_000;
const NOW = 1_400_000_000_000;

function disk(text: string | null = null): MemoryDisk {
  const memory = new MemoryDisk();
  const owner = { mode: 0o700, uid: 0, gid: 0 };
  memory.mkdir('/spool', owner);
  memory.mkdir('/spool/.spoolroom', owner);
  if (text !== null) {
    const file = memory.create(LAYOUT.refusals, { ...owner, mode: 0o600 });
    file.write(Buffer.from(text));
    file.close();
  }
  return memory;
}

/** The file, and how often it is read and written. */
function counted(memory: MemoryDisk) {
  const store = stateMap<Refusals>(memory, LAYOUT, LAYOUT.refusals, isRefusals);
  const count = { reads: 0, writes: 0 };
  const refusalStore = {
    read: () => {
      count.reads++;
      return store.read();
    },
    write: (refusals: ReadonlyMap<string, Refusals>) => {
      count.writes++;
      store.write(refusals);
    },
  };
  return { refusalStore, count };
}

const NAMES = { 'x.example': { mx: [[10, 'mx.x.example']] as const }, 'mx.x.example': { a: ['192.0.2.1'] } };
const MAIL: readonly TestMessage[] = Array.from({ length: 5 }, (_, n) => ({ to: [`u${n}@x.example`] }));

function run(script: ServerScript, memory: MemoryDisk, at = NOW) {
  const { refusalStore, count } = counted(memory);
  const deliveries = deliver({ names: NAMES, servers: { '*': script } }, MAIL, rulesWith(), () => {}, {
    refusalStore,
    at,
  });
  return deliveries.then((done) => ({ done, count }));
}

describe('what a host refuses', () => {
  const chunking: ServerScript = { ehlo: '250-mx\n250 CHUNKING', bdat: '502 5.5.1 unknown' };
  const tried = (lines: readonly string[]): number => lines.filter((line) => line.startsWith('BDAT')).length;

  it('is known to the next process, for a day (R240)', async () => {
    const memory = disk();
    const first = await run(chunking, memory);
    assert.equal(first.done.world.arrived.length, 5);
    assert.ok(tried(first.done.commands) >= 1);
    const second = await run(chunking, memory, NOW + 60_000);
    assert.equal(second.done.world.arrived.length, 5);
    assert.equal(tried(second.done.commands), 0);
    assert.deepEqual(second.count, { reads: 1, writes: 0 });
    const later = await run(chunking, memory, NOW + 2 * DAY);
    assert.ok(tried(later.done.commands) >= 1);
  });

  it('is written once in a run, whatever its number of messages', async () => {
    const { count } = await run(chunking, disk());
    assert.deepEqual(count, { reads: 1, writes: 1 });
  });

  it('costs a run without connections nothing', async () => {
    const { refusalStore, count } = counted(disk());
    await deliver({ names: {}, servers: {} }, [], rulesWith(), () => {}, { refusalStore });
    assert.deepEqual(count, { reads: 0, writes: 0 });
  });

  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"192.0.2.1:25":{"CHUNKIN":1}}',
    '{"192.0.2.1:25":{"CHUNKING":"x"}}',
    '{"192.0.2.1:25":{"CHUNKING":9e15}}',
  ])
    it(`counts for nothing when the file is damaged: ${text}`, async () => {
      const memory = disk(text);
      const { done } = await run(chunking, memory);
      assert.ok(tried(done.commands) >= 1);
      assert.equal(done.world.arrived.length, 5);
    });

  it('is remembered of so many hosts only, the latest', () => {
    const memory = disk();
    const { refusalStore } = counted(memory);
    const memories = new RefusalMemory({ ...systemClock, now: () => NOW }, refusalStore);
    for (let n = 0; n < 1500; n++) memories.record(`192.0.2.1:${n}`, 'SIZE');
    memories.record('192.0.2.1:3', 'DSN');
    memories.save();
    const known = refusalStore.read();
    assert.equal(known.size, 1000);
    assert.deepEqual(Object.keys(known.get('192.0.2.1:3') ?? {}).sort(), ['DSN', 'SIZE']);
    assert.equal(known.has('192.0.2.1:4'), false);
  });
});

describe('a host that ends the session at one recipient too many', () => {
  const to = Array.from({ length: 7 }, (_, n) => `u${n}@x.example`);
  const endsAt = (rcpt: string, ehlo: string): ServerScript => ({
    ehlo,
    rcpt: { 'u2@x.example': [rcpt, '250 ok'], '*': '250 ok' },
  });

  for (const ehlo of ['250 mx', '250-mx\n250 PIPELINING'])
    for (const rcpt of ['421 4.5.3 too many recipients then close', '421 bye then close', 'close', 'reset'])
      it(`takes all of them, so many at a time: ${rcpt} after ${ehlo.slice(-10)}`, async () => {
        const memory = disk();
        const { refusalStore } = counted(memory);
        const world = { names: NAMES, servers: { '*': endsAt(rcpt, ehlo) } };
        const done = await deliver(world, [{ to }], rulesWith(), () => {}, { refusalStore });
        const reached = (arrived: typeof done.world.arrived) =>
          arrived.flatMap(({ recipients }) => recipients).sort();
        assert.deepEqual(reached(done.world.arrived), to);
        const next = await deliver(world, [{ to }], rulesWith(), () => {}, {
          refusalStore,
          at: NOW + 60_000,
        });
        assert.deepEqual(reached(next.world.arrived), to);
      });

  it('is asked for fewer in the next run as well', async () => {
    const memory = disk();
    const script = { rcpt: { 'u2@x.example': ['421 4.5.3 too many recipients then close', '250 ok'] } };
    const { refusalStore } = counted(memory);
    await deliver({ names: NAMES, servers: { '*': script } }, [{ to }], rulesWith(), () => {}, {
      refusalStore,
    });
    const next = await deliver({ names: NAMES, servers: { '*': {} } }, [{ to }], rulesWith(), () => {}, {
      refusalStore,
      at: NOW + 60_000,
    });
    assert.deepEqual(
      next.world.arrived.map(({ recipients }) => recipients.length),
      [2, 2, 2, 1],
    );
  });
});

describe('a mechanism of AUTH that fails where another one works', () => {
  const parsed = parseRelayEntry('smtps://user:password@relay.example', 'smarthost');
  assert.ok(parsed.kind === 'relay');
  const relays = relaysInOrder([parsed.relay]);
  const script: ServerScript = {
    ehlo: '250-relay\n250 AUTH CRAM-MD5 PLAIN',
    auth: ['334 PDFAeD4=', '535 5.7.8 no', '235 2.7.0 ok', '235 2.7.0 ok', '235 2.7.0 ok'],
  };

  it('is tried last from then on, so that no login fails again (R241)', async () => {
    const memory = disk();
    const world = { names: { 'relay.example': { a: ['192.0.2.4'] } }, servers: { '*': script } };
    const { refusalStore } = counted(memory);
    const rules = rulesWith({ sessions: 1, messages: 2 }, { relays });
    const done = await deliver(world, MAIL, rules, () => {}, { refusalStore });
    assert.equal(done.world.arrived.length, 5);
    assert.equal(done.rows.filter((row) => row === 'auth-next-mechanism').length, 1);
    assert.equal(done.world.connections, 3);
    const again = { ...world, servers: { '*': { ...script, auth: '235 2.7.0 ok' } } };
    const next = await deliver(again, MAIL, rules, () => {}, { refusalStore, at: NOW + 60_000 });
    assert.equal(next.world.arrived.length, 5);
    assert.equal(
      next.rows.filter((row) => row === 'auth-next-mechanism' || row === 'auth-challenge').length,
      0,
    );
  });
});
