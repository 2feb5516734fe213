/** Limits that hold for all processes on one queue, as one of them meets them; the others are a model (src/queue/postgres/limits). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Limits } from '../../src/queue/postgres/limits/limits.ts';
import type { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { type AskedShare, ModelShares } from '../simulation/claims/model-shares.ts';
import { type Delivered, deliver, rulesWith } from './scheduling.ts';

const LEASE = 60_000;
const ROUND_TRIP = 10;
const PLACE = '192.0.2.1:25';
const OURS = 1;
const OTHER = 2;

const SCRIPT: WorldScript = {
  names: {
    'x.example': { a: ['192.0.2.1'] },
    'two.example': {
      mx: [
        [10, 'mx1.two.example'],
        [10, 'mx2.two.example'],
      ],
    },
    'mx1.two.example': { a: ['192.0.2.2'] },
    'mx2.two.example': { a: ['192.0.2.3'] },
  },
  servers: { '*': {} },
  latency: 20,
};

/** The database, another process, and how often ours asked. */
class Others {
  readonly clock: VirtualClock;
  readonly limits: Limits;
  statements = 0;
  lease = { epoch: OURS as number | null, isSafe: true };
  readonly #shares: ModelShares;
  #heard = (_: string): void => {};
  #requests = 0;
  #turn = 0;
  #ticks = 0;

  constructor(clock: VirtualClock) {
    this.clock = clock;
    this.#shares = new ModelShares({
      isAlive: () => true,
      now: () => clock.now() / 1000 + ++this.#ticks / 1e6,
      notify: (text) => void clock.after(ROUND_TRIP / 2, () => this.#heard(text.slice('limits '.length))),
    });
    this.limits = new Limits({
      database: { query: (text, values = []) => this.#query(text, values) },
      lease: this.lease,
      clock,
      notices: {
        on: (_, heard) => {
          this.#heard = heard;
        },
        attend: () => {},
      },
      ...{ length: LEASE, host: 'here' },
    });
  }

  /** What the other process is granted when it says that it keeps and needs so many. */
  ask(limit: number, keep: number, need: number, place = PLACE): number {
    const asked = { place, limit, keep, need, ahead: need };
    return this.#shares.share(OTHER, ++this.#requests, 15, [asked])?.[0]?.[0] ?? 0;
  }

  /** Our lease has ended, and we have a new one. */
  enterAgain(): void {
    this.#shares.end(new Set([OURS]));
    this.lease.epoch = OTHER + 1;
  }

  async #query(text: string, values: readonly unknown[]) {
    this.statements++;
    await new Promise<void>((later) => void this.clock.after(ROUND_TRIP, later));
    if (text.includes('turns')) {
      const [names, betweens] = values as [string[], number[]];
      const delays = names.map((_, at) => {
        const next = Math.max(this.#turn, this.clock.monotonic());
        this.#turn = next + (betweens[at] ?? 0);
        return next - this.clock.monotonic();
      });
      return [{ delays }];
    }
    const [epoch, request, seconds, places, limits, keeps, needs, aheads] = values as [
      ...[number, number, number, string[]],
      ...number[][],
    ];
    const asked = places.map(
      (place, at): AskedShare => ({
        ...{ place, limit: limits?.[at] ?? 0, keep: keeps?.[at] ?? 0, need: needs?.[at] ?? 0 },
        ahead: aheads?.[at] ?? 0,
      }),
    );
    const answers = this.#shares.share(epoch, request, seconds, asked);
    return [
      { granted: answers?.map(([grant]) => grant) ?? null, contested: answers?.map(([, is]) => is) ?? [] },
    ];
  }
}

async function beside(
  messages: number,
  limits: Parameters<typeof rulesWith>[0],
  during: (others: Others) => void = () => {},
  domain = 'x.example',
): Promise<{ readonly delivered: Delivered; readonly others: Others }> {
  let others: Others | undefined;
  const mails = Array.from({ length: messages }, (_, n) => ({ to: [`u${n}@${domain}`] }));
  const delivered = await deliver(SCRIPT, mails, rulesWith(limits), () => {}, {
    shared: (clock) => {
      others = new Others(clock);
      during(others);
      return others.limits;
    },
  });
  others?.limits.close();
  if (others === undefined) throw new Error('nobody shared');
  const accepted = delivered.outcomes.filter(({ outcome }) => outcome.kind === 'delivered');
  assert.equal(accepted.length, messages, 'each is delivered, once');
  return { delivered, others };
}

describe('limits shared with other processes', () => {
  it('are asked for in blocks and ahead of time: no round trip for each session', async () => {
    const { delivered, others } = await beside(300, { host: 16, destination: 16, messages: 3 });
    assert.equal(delivered.world.mostOpen, 16);
    assert.ok(delivered.world.connections >= 100);
    assert.ok(others.statements <= 12, `${others.statements} statements`);
  });

  it('leave what others have, and take it when they leave it', async () => {
    let began = 0;
    const { delivered } = await beside(4, { host: 2 }, (others) => {
      began = others.clock.monotonic();
      others.ask(2, 0, 2);
      others.clock.after(3000, () => others.ask(2, 0, 0));
    });
    const first = Math.min(...delivered.outcomes.map(({ at }) => at)) - began;
    assert.ok(first > 3000 && first < 3500, `the first after ${first} ms`);
  });

  it('are divided anew in each third of a lease, so that nobody waits for ever', async () => {
    let got = Number.POSITIVE_INFINITY;
    let began = 0;
    const { delivered } = await beside(400, { host: 1, messages: 1000 }, (others) => {
      began = others.clock.monotonic();
      const ask = (): void => {
        if (others.ask(1, 0, 1) === 1) {
          got = others.clock.monotonic() - began;
          others.clock.after(1000, () => others.ask(1, 0, 0));
        } else others.clock.after(50, ask);
      };
      others.clock.after(1000, ask);
    });
    assert.ok(got <= LEASE / 3 + 1000, `the other process got its session after ${got} ms`);
    assert.equal(delivered.world.mostOpen, 1);
  });

  it('open no session while the lease is not safely alive, and go on when it is', async () => {
    let began = 0;
    const { delivered } = await beside(3, { host: 2 }, (others) => {
      began = others.clock.monotonic();
      others.lease.isSafe = false;
      others.clock.after(10_000, () => {
        others.lease.isSafe = true;
      });
    });
    const first = Math.min(...delivered.outcomes.map(({ at }) => at)) - began;
    assert.ok(first > 10_000 && first <= 10_000 + LEASE / 12 + 1000, `the first after ${first} ms`);
  });

  it('count what is open under a new lease, and open no more until others have less', async () => {
    const { delivered } = await beside(40, { host: 2, messages: 1000 }, (others) => {
      others.clock.after(500, () => {
        others.enterAgain();
        assert.equal(others.ask(2, 0, 2), 2, 'they do not know of our sessions yet');
        others.clock.after(5000, () => others.ask(2, 0, 0));
      });
    });
    assert.ok(delivered.world.mostOpen <= 2);
  });

  it('hold for a destination with several hosts', async () => {
    const take = (others: Others): unknown => others.ask(3, 2, 2, 'to mx:two.example');
    const { delivered } = await beside(30, { host: 10, destination: 3 }, take, 'two.example');
    assert.equal(delivered.world.mostOpen, 1);
  });

  it('spread the start of sessions over all processes', async () => {
    const { delivered } = await beside(5, { host: 5, destination: 5, messages: 1, rate: 2 });
    const times = delivered.outcomes.map(({ at }) => at).sort((a, b) => a - b);
    for (const [at, time] of times.entries())
      if (at > 0) assert.ok(time - (times[at - 1] ?? 0) >= 450, times.join());
  });
});
