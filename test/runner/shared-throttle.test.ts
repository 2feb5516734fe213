/** What several processes on one queue know together of hosts that asked us to send less. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Throttle } from '../../src/delivery/throttling/throttle.ts';
import { UnavailableError } from '../../src/platform/system-errors.ts';
import type { SharedReading, SharedValues } from '../../src/queue/queue.ts';
import type { Host } from '../../src/routing/hosts.ts';
import { SharedThrottle } from '../../src/runner/throttling/shared-throttle.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { HandClock, seededRandom } from '../support/spool.ts';

const MINUTE = 60_000;
const PEER = { host: 'mx.big.example', address: '192.0.2.1', port: 25 };
const HOSTS: readonly Host[] = [
  {
    ...{ name: 'mx.big.example', literal: null, port: 25, origin: 'mx', preference: 10 },
    ...{ credentials: null, implicitTls: false },
  },
];

function refusal(): Failure {
  return {
    ...{ scope: 'host', stage: 'mail', permanent: false, code: 421, enhanced: '4.7.28' },
    ...{ text: '4.7.28 unusual rate', peer: PEER, maybeDelivered: false },
  };
}

/** The rows, and the clock of the database. */
class Rows implements SharedValues {
  readonly clock = new HandClock();
  readonly #listeners = new Set<() => void>();
  values: SharedReading['values'] = new Map();
  untils: readonly number[] = [];
  isAway = false;

  read(): Promise<SharedReading> {
    if (this.isAway) return Promise.reject(new UnavailableError('The database is away.'));
    return Promise.resolve({ values: this.values, now: this.clock.now() });
  }

  async change(change: Parameters<SharedValues['change']>[0]): Promise<SharedReading> {
    const changed = change(await this.read());
    const values = new Map(this.values);
    for (const [name, each] of changed)
      if (each === null) values.delete(name);
      else values.set(name, JSON.parse(JSON.stringify(each.value)));
    this.values = values;
    this.untils = [...changed.values()].flatMap((each) => each?.until ?? []);
    return this.read();
  }

  listen(changed: () => void): void {
    this.#listeners.add(changed);
  }
}

/** A process whose clock is so many milliseconds ahead of the database's. */
function processOn(rows: Rows, ahead = 0) {
  const clock = {
    now: () => rows.clock.now() + ahead,
    monotonic: () => rows.clock.monotonic(),
    after: (milliseconds: number, call: () => void) => rows.clock.after(milliseconds, call),
  };
  const warnings: string[] = [];
  const throttle: Throttle = new Throttle({
    now: () => clock.now(),
    changed: () => {},
    happened: (what) => shared.note(what),
    warn: (text) => warnings.push(text),
  });
  const shared = new SharedThrottle(rows, throttle, clock);
  return { throttle, shared, warnings };
}

describe('hosts that asked us to send less, where processes share a queue', () => {
  it('are left alone by those that did not hear it, until the same moment, whatever their clocks say', async () => {
    const rows = new Rows();
    const [one, two] = [processOn(rows), processOn(rows, 7 * MINUTE)];
    one.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    await one.shared.exchange();
    assert.deepEqual(rows.untils, [rows.clock.now() + 5 * MINUTE], 'by the clock of the database');
    await two.shared.exchange();
    assert.match(two.throttle.admit('big.example')?.text ?? '', /asked us to slow down/);
    assert.equal(two.throttle.groupOf('mx:big.example'), 'big.example');
    assert.deepEqual(two.warnings, [], 'it is said once');
    rows.clock.advance(5 * MINUTE - 1);
    assert.notEqual(two.throttle.admit('big.example'), null);
    rows.clock.advance(1);
    assert.equal(two.throttle.admit('big.example'), null, 'one message is offered');
    await two.shared.exchange();
    await one.shared.exchange();
    assert.notEqual(one.throttle.admit('big.example'), null, 'and no other in that minute');
  });

  it('count two refusals of one pause as one, and forget what both forget', async () => {
    const rows = new Rows();
    const [one, two] = [processOn(rows), processOn(rows)];
    one.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    two.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    await one.shared.exchange();
    await two.shared.exchange();
    assert.equal(two.throttle.groups.get('big.example')?.pause, 5 * MINUTE);
    rows.clock.advance(30 * 60 * MINUTE);
    assert.equal(one.throttle.admit('big.example'), null);
    await one.shared.exchange();
    await two.shared.exchange();
    assert.deepEqual([rows.values.size, two.throttle.isQuiet], [0, true]);
  });

  it('tell when the database is there again what happened while it was away', async () => {
    const rows = new Rows();
    const [one, two] = [processOn(rows), processOn(rows)];
    rows.isAway = true;
    one.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    await one.shared.exchange();
    assert.notEqual(one.throttle.admit('big.example'), null);
    rows.isAway = false;
    await one.shared.exchange();
    await two.shared.exchange();
    assert.notEqual(two.throttle.admit('big.example'), null);
  });

  it('keep apart whose senders were told in a pause', async () => {
    const rows = new Rows();
    const [one, two] = [processOn(rows), processOn(rows)];
    one.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    await one.shared.exchange();
    one.throttle.markTold(['big.example']);
    await one.shared.exchange();
    await two.shared.exchange();
    assert.deepEqual(
      [one, two].map(({ throttle }) => throttle.groups.get('big.example')?.told),
      [true, false],
    );
  });

  it('are offered no more than their rate by all processes together (random)', async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const random = seededRandom(seed);
    const rows = new Rows();
    const processes = [processOn(rows), processOn(rows, 3000), processOn(rows, -5000)];
    processes[0]?.throttle.failed(refusal(), 'mx:big.example', HOSTS);
    await processes[0]?.shared.exchange();
    rows.clock.advance(5 * MINUTE);
    const offered: number[] = [];
    for (let second = 0; second < 600; second++) {
      rows.clock.advance(1000);
      for (const { throttle, shared } of processes) {
        if (random() < 0.3) await shared.exchange();
        if (throttle.groups.size > 0 && throttle.admit('big.example') === null) {
          offered.push(second);
          // Half of the answers come, so that the rate stays low.
          if (random() < 0.5) throttle.accepted(PEER);
        }
      }
    }
    const { rate = 0 } = processes[0]?.throttle.groups.get('big.example') ?? {};
    assert.ok(offered.length > 20, `seed ${seed}: ${offered.length} offered`);
    assert.ok(
      offered.length <= rate * 10 + 30,
      `seed ${seed}: ${offered.length} at a rate of up to ${rate} a minute`,
    );
  });
});
