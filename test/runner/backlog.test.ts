/** Which of the messages that are due become active, and when. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Backlog, MOST_ACTIVE } from '../../src/runner/backlog.ts';
import { laneOf } from '../../src/runner/lane.ts';
import type { DueMessage } from '../../src/runner/throttling/throttled-queue.ts';
import { rulesWith } from '../delivery/scheduling.ts';
import { emptyJob } from '../support/jobs.ts';

function message(msgid: number): DueMessage {
  return [msgid, [{ control: msgid, job: { ...emptyJob('2012'), msgid }, warnings: [] }]];
}

/** Takes all there is room for; returns the payloads. */
function takeAll(backlog: Backlog): readonly number[] {
  const taken: number[] = [];
  for (let next = backlog.take(); next !== null; next = backlog.take()) taken.push(next[0]);
  return taken;
}

/** A backlog with so many messages in each of these lanes, numbered one after the other. */
function filled(lanes: Readonly<Record<string, number>>): Backlog {
  const backlog = new Backlog();
  let msgid = 0;
  for (const [name, many] of Object.entries(lanes))
    for (let each = 0; each < many; each++) backlog.push(message(msgid++), name);
  return backlog;
}

describe('the backlog', () => {
  it('makes all of a small queue active, lane by lane in turn', () => {
    assert.deepEqual(takeAll(filled({ a: 3, b: 1, c: 2 })), [0, 3, 4, 1, 5, 2]);
  });

  it('has no more than a thousand messages active, and goes on as they end', () => {
    const backlog = filled({ a: MOST_ACTIVE + 2 });
    assert.equal(takeAll(backlog).length, MOST_ACTIVE);
    backlog.ended(7);
    assert.deepEqual(takeAll(backlog), [MOST_ACTIVE]);
    backlog.ended(7);
    assert.deepEqual(takeAll(backlog), [], 'a message ends once');
  });

  it('lets each of many lanes have three, so that a session has some to follow', () => {
    const lanes = Object.fromEntries(Array.from({ length: MOST_ACTIVE }, (_, at) => [`d${at}`, 5]));
    assert.equal(takeAll(filled(lanes)).length, 3 * MOST_ACTIVE);
  });

  it('gives what comes later its turn, however many a dead destination has', () => {
    const backlog = filled({ dead: 5 * MOST_ACTIVE });
    takeAll(backlog);
    backlog.clear();
    const late = 10 * MOST_ACTIVE;
    for (let each = 0; each < 6; each++) backlog.push(message(late + each), 'late');
    assert.deepEqual(takeAll(backlog), [late, late + 1, late + 2]);
    backlog.ended(late);
    assert.deepEqual(takeAll(backlog), [late + 3]);
  });

  it('forgets what waits when it is cleared, and keeps count of what is active', () => {
    const backlog = filled({ a: MOST_ACTIVE, b: 1 });
    takeAll(backlog);
    backlog.clear();
    assert.deepEqual(takeAll(backlog), []);
    backlog.push(message(5000), 'a');
    assert.deepEqual(takeAll(backlog), []);
    backlog.ended(1);
    assert.deepEqual(takeAll(backlog), [5000]);
  });

  it('takes each message once, and leaves none while there is room, whatever comes and ends', () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('push' as const), lane: fc.nat(5), many: fc.nat(800) }),
      fc.record({ what: fc.constant('end' as const), many: fc.nat(900) }),
      fc.record({ what: fc.constant('clear' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const backlog = new Backlog();
        const waiting = new Map<number, string>();
        const active = new Map<number, string>();
        let highest = 0;
        for (const each of steps) {
          if (each.what === 'clear') {
            backlog.clear();
            waiting.clear();
          } else if (each.what === 'push') {
            for (let at = 0; at < each.many; at++) {
              waiting.set(++highest, `${each.lane}`);
              backlog.push(message(highest), `${each.lane}`);
            }
          } else
            for (const msgid of [...active.keys()].slice(0, each.many)) {
              active.delete(msgid);
              backlog.ended(msgid);
            }
          for (const msgid of takeAll(backlog)) {
            const lane = waiting.get(msgid);
            assert.ok(lane !== undefined && !active.has(msgid));
            waiting.delete(msgid);
            active.set(msgid, lane);
          }
          assert.ok(active.size <= MOST_ACTIVE + 12);
          const has = (lane: string): number => [...active.values()].filter((own) => own === lane).length;
          for (const lane of new Set(waiting.values()))
            assert.ok(active.size >= MOST_ACTIVE && has(lane) >= 2, `${lane} waits, and there is room`);
        }
      }),
    );
  });
});

describe('the lane of a message', () => {
  const { routing } = rulesWith({});
  const lane = (...recipients: readonly (readonly [string, number])[]): string =>
    laneOf(
      [
        {
          control: 1,
          warnings: [],
          job: {
            ...emptyJob('2012'),
            recipients: recipients.map(([address, status]) => ({ address, status, text: '' })),
          },
        },
      ],
      routing,
    );

  it('is the destination of its first pending recipient', () => {
    assert.equal(lane(['a@done.example', 2], ['b@OPEN.example', 4], ['c@c.example', 0]), 'mx:open.example');
  });

  it('is none when nobody is pending, or nobody can be', () => {
    assert.equal(lane(['a@done.example', 2]), '');
    assert.equal(lane(['nobody', 0]), '');
  });
});
