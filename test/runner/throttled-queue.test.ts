/** Messages that wait because their hosts asked us to send less: which ones, and what their senders are told meanwhile. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ThrottledGroup, ThrottledGroups } from '../../src/delivery/throttling/throttle.ts';
import type { Job } from '../../src/delivery-list/job.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import type { ControlMessages } from '../../src/queue/due.ts';
import type { Queue, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { ActiveMessage, type MessageDeps } from '../../src/runner/active-message.ts';
import { loadMessage } from '../../src/runner/load-message.ts';
import { readThrottled, throttleStore } from '../../src/runner/throttling/throttle-store.ts';
import { ThrottledQueue } from '../../src/runner/throttling/throttled-queue.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { rulesWith } from '../delivery/scheduling.ts';
import { emptyJob } from '../support/jobs.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { NO_MESSAGE_EVENTS } from '../support/no-events.ts';

const NOW = 1_700_000_000;
const ROUTING = rulesWith().routing;

function group(changes: Partial<ThrottledGroup> = {}): ThrottledGroup {
  return {
    ...{ state: 'paused', until: (NOW + 600) * 1000, pause: 600_000, rate: 10, heard: NOW * 1000 },
    ...{ host: 'mx1.google.com', port: 25, answer: '421 4.7.28 unusual rate', enhanced: '4.7.28' },
    ...{ told: false, destinations: ['mx:gmail.example', 'mx:firm.example'] },
    ...changes,
  };
}

function job(msgid: number, recipients: readonly string[], age = 60): Job {
  return {
    ...emptyJob('2012'),
    ...{ msgid, submitted: NOW - age, envelopeFrom: 'me@me.example' },
    recipients: recipients.map((address) => ({ address, status: 0, text: '' })),
  };
}

type Message = readonly [number, ControlMessages];

function message(msgid: number, recipients: readonly string[], age = 60): Message {
  return [msgid, [{ control: 100 + msgid, job: job(msgid, recipients, age), warnings: [] }]];
}

function queueWith(groups: ThrottledGroups): ThrottledQueue {
  return new ThrottledQueue({
    store: { read: () => groups, write: () => {} },
    clock: { now: () => NOW * 1000, monotonic: () => 0, after: () => ({ cancel: () => {} }) },
    ...{ routing: ROUTING, schedule: SCHEDULE, warn: () => {} },
  });
}

function selected(queue: ThrottledQueue, messages: readonly Message[]): readonly number[] {
  return queue.select(messages).map(([msgid]) => msgid);
}

describe('a message whose hosts asked us to send less', () => {
  it('waits, unless another recipient may be tried, or an address is none', () => {
    const queue = queueWith(new Map([['google.com', group()]]));
    const messages = [
      message(1, ['a@gmail.example']),
      message(2, ['a@gmail.example', 'b@firm.example']),
      message(3, ['a@gmail.example', 'b@other.example']),
      message(4, ['a@gmail.example', 'no address']),
      message(5, ['b@other.example']),
    ];
    assert.deepEqual(selected(queue, messages), [3, 4, 5]);
  });

  it('goes when its turn has come: one while the hosts are asked, so many a minute later', () => {
    const messages = [1, 2, 3, 4, 5].map((msgid) => message(msgid, ['a@gmail.example']));
    const over = group({ until: (NOW - 1) * 1000 });
    assert.deepEqual(selected(queueWith(new Map([['google.com', over]])), messages), [1]);
    const limited = group({ state: 'limited', until: (NOW - 20) * 1000, rate: 6 });
    assert.deepEqual(selected(queueWith(new Map([['google.com', limited]])), messages), [1, 2, 3]);
  });

  it('is looked at once in a pause when it is old, for its sender', () => {
    const queue = queueWith(new Map([['google.com', group()]]));
    const messages = [message(1, ['a@gmail.example']), message(2, ['a@gmail.example'], 5 * 3600)];
    assert.deepEqual(selected(queue, messages), [2]);
    assert.deepEqual(selected(queue, messages), []);
  });
});

describe('the recipients of such a message', () => {
  const REASON: Failure = {
    scope: 'host',
    stage: 'connect',
    permanent: false,
    code: null,
    enhanced: '4.7.28',
    text: 'Gmail asked us to slow down',
    maybeDelivered: false,
    peer: { host: 'mx1.google.com', address: null, port: 25 },
  };

  async function heldBack(age: number, firstAttempt: number | null) {
    const changes: unknown[] = [];
    const reported: { readonly status: number; readonly text: string }[] = [];
    const queue = {
      record: async (...record: unknown[]) => void changes.push(record),
      finish: async () => {},
    };
    const deps: MessageDeps = {
      queue: queue as unknown as Queue,
      routing: ROUTING,
      limits: { recipients: 100 },
      signer: null,
      now: () => NOW,
      schedule: SCHEDULE,
      nextTurn: async () => {},
      render: { order: '2012', fqdn: 'me.example', nodeName: '', legacy: unknown8bit, zoneMinutes: 0 },
      postmaster: 'postmaster@me.example',
      warn: () => {},
      load: loadMessage,
      dsnSender: {
        request: () => null,
        firstAttempt: async () => firstAttempt,
        report: async (finished: { results(): Iterable<{ status: number; text: string }> }) => {
          for (const { status, text } of finished.results()) reported.push({ status, text });
          return true;
        },
        forget: async () => {},
      } as unknown as MessageDeps['dsnSender'],
    };
    const queued: QueuedJob = { control: 101, job: job(1, ['a@gmail.example'], age), warnings: [] };
    const active = new ActiveMessage([queued], deps, NO_MESSAGE_EVENTS);
    await active.attempt((attempt) => {
      active.holdBack('gmail.example', [0], REASON);
      attempt.finish();
    });
    const isFinished = await active.close(new AbortController().signal);
    return { changes: changes.length, reported, isFinished };
  }

  it('are told of as delayed, and nothing is written', async () => {
    const { changes, reported, isFinished } = await heldBack(5 * 3600, null);
    assert.deepEqual([changes, isFinished], [0, false]);
    assert.deepEqual(reported, [{ status: 4, text: '[mx1.google.com] Gmail asked us to slow down' }]);
  });

  it('are given up at the age at which all are, counted from the first attempt', async () => {
    const day = 86_400;
    const young = await heldBack(6 * day, NOW - day);
    assert.deepEqual([young.changes, young.reported[0]?.status], [0, 4]);
    const old = await heldBack(6 * day, NOW - 6 * day);
    assert.deepEqual([old.changes, old.reported[0]?.status, old.isFinished], [1, 5, true]);
  });
});

describe('.spoolroom/throttled', () => {
  const LAYOUT = layoutOf('/spool');

  function disk(text: string | null): MemoryDisk {
    const memory = new MemoryDisk();
    const owner = { mode: 0o700, uid: 0, gid: 0 };
    memory.mkdir('/spool', owner);
    memory.mkdir('/spool/.spoolroom', owner);
    if (text !== null) {
      const file = memory.create(LAYOUT.throttled, { ...owner, mode: 0o600 });
      file.write(Buffer.from(text));
      file.close();
    }
    return memory;
  }

  it('holds what is known, and is gone when nothing is', () => {
    const memory = disk(null);
    const store = throttleStore(memory, LAYOUT);
    const groups = new Map([['google.com', group()]]);
    assert.equal(store.read().size, 0);
    store.write(groups);
    assert.deepEqual(readThrottled(memory, LAYOUT), groups);
    assert.deepEqual(throttleStore(memory, LAYOUT).read(), groups);
    store.write(new Map());
    assert.equal(memory.status(LAYOUT.throttled), null);
  });

  for (const text of ['', '{', '[]', 'null', '7', '{"google.com":null}', '{"google.com":{"state":"paused"}}'])
    it(`counts for nothing when it is damaged: ${text}`, () =>
      assert.equal(readThrottled(disk(text), LAYOUT).size, 0));

  it('loses a group that is damaged, and no other', () => {
    const groups = {
      'google.com': group(),
      'a.example': { ...group(), rate: 0 },
      'b.example': { ...group(), until: 'x' },
    };
    assert.deepEqual([...readThrottled(disk(JSON.stringify(groups)), LAYOUT).keys()], ['google.com']);
  });
});
