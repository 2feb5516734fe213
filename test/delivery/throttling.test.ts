/** Hosts that ask us to send less: how that is recognised, how long they are left alone, what waits meanwhile. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { isThrottling } from '../../src/delivery/throttling/answers.ts';
import { next, THROTTLE, type Throttled, turnsAt } from '../../src/delivery/throttling/machine.ts';
import { adviceFor, RECEIVERS } from '../../src/delivery/throttling/receivers.ts';
import { THROTTLE_TABLE, type ThrottleEvent } from '../../src/delivery/throttling/table.ts';
import { MOST, Throttle } from '../../src/delivery/throttling/throttle.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import type { Host } from '../../src/routing/hosts.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { deliver } from './scheduling.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;

function failure(reply: string, stage: Failure['stage'] = 'mail'): Failure {
  const peer = { host: 'mx.example', address: '192.0.2.1', port: 25 };
  const common = { scope: 'host', permanent: false, maybeDelivered: false, peer } as const;
  return { ...common, stage, code: Number(reply.slice(0, 3)), enhanced: '4.0.0', text: reply.slice(4) };
}

describe('a reply about our rate', () => {
  const THROTTLING = [
    '421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your SPF domain',
    '450 4.7.28 Gmail has detected an unusual rate of mail',
    '421 4.7.0 Try again later, closing connection.',
    '451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)',
    '451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77714)',
    '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints',
    '421 [TS02] Messages from 192.0.2.1 temporarily deferred',
    "421 RP-001 Unfortunately, some messages from 192.0.2.1 weren't sent.",
    '421 Rate limit reached. Please try again later',
    '421 mx.web.de Service not available\nToo many messages have been received in a short period of time.',
    '421 mwinf5c ME Trop de connexions. OFR_104 [104]\nToo many connections, slow down.',
    '421 Deferred - please refer to https://ipcheck.proofpoint.com/?ip=192.0.2.1',
    '432 4.3.2 Concurrent connections limit exceeded',
    '450 4.7.1 Rate limited. Slow down.',
  ];
  const OTHERS = [
    '421 4.3.2 too busy',
    '421 4.3.2 Service shutting down',
    '421 closing',
    '421 4.4.2 mx.example Error: timeout exceeded',
    '421 4.7.0 TLS required for RCPT domain, closing connection.',
    '450 4.2.0 Greylisted, try again later',
    '451 4.7.0 greylisted by policy, rate of senders',
    '452 4.5.3 Too many recipients',
    '450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery',
    '421 4.7.1 Messages to someone@icloud.com deferred due to excessive volume',
    '452 4.2.2 Mailbox over quota, limit exceeded',
    '451 4.3.0 not now',
    '450 4.7.1 come again',
  ];
  for (const reply of THROTTLING) it(reply, () => assert.equal(isThrottling(failure(reply)), true));
  for (const reply of OTHERS) it(`not: ${reply}`, () => assert.equal(isThrottling(failure(reply)), false));
  it('is not what is said of a login', () =>
    assert.equal(isThrottling(failure('421 4.7.0 too many failures, rate limited', 'auth')), false));
});

test('each receiver of the table has advice for its answers, with a source', () => {
  assert.equal(
    adviceFor('google.com', '421 4.7.28 from your DKIM domain')?.source.startsWith('https://'),
    true,
  );
  assert.equal(adviceFor('example.org', '421 4.7.0 slow down'), null);
  for (const { name, answers } of RECEIVERS)
    for (const { advice, source } of answers) {
      assert.match(advice, /\.$/, name);
      assert.match(source, /^https:\/\/\S+$/, name);
    }
});

/** Milliseconds after the beginning, and the event. */
type Walk = readonly (readonly [number, ThrottleEvent])[];

/** The rows taken, a `+` where a message was admitted; what is known at the end. */
function walk(events: Walk): { readonly rows: readonly string[]; readonly group: Throttled | null } {
  let group: Throttled | null = null;
  const rows = events.map(([at, event]) => {
    const step = next(group, event, NOW + at);
    group = step.group;
    hit.add(step.row);
    return `${step.row}${event === 'asked' && step.admitted ? '+' : ''}`;
  });
  return { rows, group };
}

const hit = new Set<string>();

describe('a group of hosts that asked us to send less', () => {
  const P = THROTTLE.firstPause;

  it('is left alone, then asked with one message a minute', () => {
    const { rows } = walk([
      [0, 'refused'],
      [1, 'refused'],
      [2, 'accepted'],
      [P - 1, 'asked'],
      [P, 'asked'],
      [P + 1, 'asked'],
      [P + MINUTE, 'asked'],
      [P + MINUTE + 5, 'accepted'],
      [P + MINUTE + 5, 'asked'],
      [P + MINUTE + 6, 'asked'],
    ]);
    assert.deepEqual(rows, [
      'first-refusal',
      'late-answer',
      'late-answer',
      'paused',
      'probe+',
      'probing',
      'next-probe+',
      'accepted',
      'in-turn+',
      'too-fast',
    ]);
  });

  it('has its pause doubled and its rate halved with each refusal, within bounds', () => {
    let group = next(null, 'refused', NOW).group;
    const pauses: number[] = [];
    const rates: number[] = [];
    for (let time = 0; time < 10; time++) {
      if (group === null) throw new Error('it must be known');
      pauses.push(group.pause / MINUTE);
      rates.push(group.rate);
      const probed = next(group, 'asked', group.until).group;
      hit.add('refused-again');
      group = next(probed, 'refused', group.until).group;
    }
    assert.deepEqual(pauses, [5, 10, 20, 40, 80, 160, 240, 240, 240, 240]);
    assert.deepEqual(rates, [10, 5, 2.5, 1.25, 1, 1, 1, 1, 1, 1]);
  });

  it('gets more each minute as long as it takes it, and is open again at last', () => {
    let group = next(next(null, 'refused', NOW).group, 'asked', NOW + P).group;
    const rates: number[] = [];
    for (let minute = 0; group !== null; minute++) {
      rates.push(Math.round(group.rate));
      // All that a minute allows is offered and accepted.
      for (let turns = turnsAt(group, NOW + P + minute * MINUTE); turns > 0 && group !== null; turns--) {
        group = next(group, 'asked', NOW + P + minute * MINUTE).group;
        const step = next(group, 'accepted', NOW + P + minute * MINUTE);
        hit.add(step.row);
        group = step.group;
      }
    }
    const steps = rates.slice(3).map((rate, index) => rate - (rates[index + 2] ?? 0));
    assert.ok(
      steps.every((step) => step >= 3 && step <= 6),
      `${rates}`,
    );
    assert.ok(rates.length >= 10 && rates.length <= 15, `${rates}`);
  });

  it('is offered so many messages a minute, those of a whole minute at most at once', () => {
    const limited: Throttled = { state: 'limited', until: NOW, pause: P, rate: 6, heard: NOW };
    assert.equal(turnsAt(limited, NOW), 1);
    assert.equal(turnsAt(limited, NOW + 10 * MINUTE), 7);
    let group: Throttled | null = limited;
    let admitted = 0;
    for (;;) {
      const step = next(group, 'asked', NOW + 10 * MINUTE);
      if (!step.admitted) break;
      group = step.group;
      admitted++;
    }
    assert.equal(admitted, 7);
  });

  it('is forgotten after a day without an answer', () => {
    const day = P + THROTTLE.forgetAfter;
    assert.deepEqual(
      walk([
        [0, 'refused'],
        [day, 'asked'],
      ]).rows,
      ['first-refusal', 'probe+'],
    );
    const { rows, group } = walk([
      [0, 'refused'],
      [day + 1, 'asked'],
    ]);
    assert.deepEqual(rows, ['first-refusal', 'forgotten+']);
    assert.equal(group, null);
  });

  it('does not wait longer because the clock was set back', () => {
    const { group } = walk([[0, 'refused']]);
    assert.equal(next(group, 'asked', NOW - 20 * 3_600_000).admitted, false);
    assert.equal(turnsAt(group as Throttled, NOW - 20 * 3_600_000 + P + 1), 0);
    const waiting = next(group, 'asked', NOW - 20 * 3_600_000).group;
    assert.equal(next(waiting, 'asked', NOW - 20 * 3_600_000 + P).row, 'probe');
  });

  it('takes every row of the table', () => {
    assert.deepEqual(
      THROTTLE_TABLE.map(({ id }) => id).filter((id) => !hit.has(id)),
      [],
    );
  });
});

describe('messages for such hosts', () => {
  const RATE = '421 4.7.28 unusual rate, rate limited then close';
  const GOOGLE: WorldScript['names'] = {
    'a.example': {
      mx: [
        [5, 'mx1.google.example'],
        [10, 'mx2.google.example'],
      ],
    },
    'b.example': { mx: [[5, 'mx1.google.example']] },
    'c.example': { mx: [[5, 'mx.other.example']] },
    'mx1.google.example': { a: ['192.0.2.1'] },
    'mx2.google.example': { a: ['192.0.2.2'] },
    'mx.other.example': { a: ['192.0.2.3'] },
  };
  const many = (count: number, domain: string) =>
    Array.from({ length: count }, (_, index) => ({ to: [`${index}@${domain}`] }));

  it('wait without being offered, and no other host of the group is tried; other mail goes on (R227)', async () => {
    const script = { names: GOOGLE, servers: { '192.0.2.1': { mail: RATE }, '192.0.2.3': {} } };
    const messages = [...many(300, 'a.example'), ...many(50, 'b.example'), ...many(20, 'c.example')];
    const { world, outcomes, heldBack, commands, warnings } = await deliver(script, messages);
    assert.equal(world.arrived.length, 20);
    const refused = outcomes.filter(({ outcome }) => outcome.kind === 'failed');
    assert.equal(refused.length + heldBack.length, 350);
    // One session each at the first two destinations.
    assert.ok(refused.length <= 4, `${refused.length} were refused`);
    assert.equal(commands.filter((line) => /^MAIL/.test(line)).length - 20, refused.length);
    assert.match(
      heldBack[0] ?? '',
      /google.example asked us to slow down, so the message was not sent: 421 4.7.28/,
    );
    assert.equal(warnings.length, 1);
  });

  it('go to a host of other people, where the destination has one', async () => {
    const names = {
      ...GOOGLE,
      'a.example': {
        mx: [
          [5, 'mx1.google.example'],
          [10, 'mx.other.example'],
        ],
      },
    } satisfies WorldScript['names'];
    const script = { names, servers: { '192.0.2.1': { mail: RATE }, '192.0.2.3': {} } };
    const { world, heldBack } = await deliver(script, many(30, 'a.example'));
    assert.deepEqual(heldBack, []);
    assert.equal(world.arrived.length, 30);
  });

  it('go on where the reply is about the number of sessions and others are open', async () => {
    const greeting = ['220 mx.example', '421 4.7.0 Too many connections then close'] as const;
    const script = { names: GOOGLE, servers: { '192.0.2.3': { greeting } } };
    const { world, heldBack, warnings } = await deliver(script, many(60, 'c.example'));
    assert.deepEqual([heldBack, warnings], [[], []]);
    // The message of the session that was turned away is tried again in the next run.
    assert.equal(world.arrived.length, 59);
  });
});

it('what is remembered of throttled hosts has a bound, and fits into its file (R279)', () => {
  const throttle = new Throttle({ now: () => 1_700_000_000_000, changed: () => {}, warn: () => {} });
  const host = (name: string): Host => ({
    ...{ name, literal: null, port: 25, origin: 'mx', preference: 10, credentials: null, implicitTls: false },
  });
  const label = 'd'.repeat(60);
  for (let count = 0; count < 15_000; count++) {
    const hosts = [host(`mx.h${count % 150}.example`)];
    const peer = { host: hosts[0]?.name ?? '', address: '192.0.2.1', port: 25 };
    const failure: Failure = {
      ...{ scope: 'host', stage: 'mail', permanent: false, code: 421, enhanced: '4.7.28', peer },
      ...{ text: `4.7.28 unusual rate ${'x'.repeat(5000)}`, maybeDelivered: false },
    };
    throttle.failed(failure, `mx:${label}.${label}.${label}.${count}.example`, hosts);
  }
  const { groups } = throttle;
  const destinations = [...groups.values()].flatMap((group) => group.destinations);
  assert.equal(groups.size, MOST.groups);
  assert.equal(destinations.length, MOST.destinations);
  assert.ok([...groups.values()].every(({ answer }) => answer.length <= MOST.answer));
  assert.ok(JSON.stringify(Object.fromEntries(groups)).length < 8_000_000);
});
