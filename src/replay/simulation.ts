/**
 * One job through the real queue run in a world without a network, on a clock that costs no time. Called by `replay`.
 * Touches nothing outside: the room is a copy, the world is a script.
 */
import type { Clock, Random } from '../platform/clock.ts';
import type { PayloadResult, QueuedJob } from '../queue/queue.ts';
import type { RunDeps } from '../runner/queue-runner.ts';
import { runQueue } from '../runner/queue-runner.ts';
import type { RunRules } from '../runner/rules.ts';
import { SingleJobQueue } from './single-job-queue.ts';
import type { Timeline, TimelineOutcome } from './timeline.ts';
import { Collector, outcomesIn } from './timeline.ts';
import { VirtualClock } from './world/virtual-clock.ts';
import type { WorldScript } from './world/world.ts';
import { World } from './world/world.ts';

export interface Simulation {
  readonly queued: QueuedJob;
  readonly payload: PayloadResult;
  readonly rules: RunRules;
  /** milliseconds since the epoch */
  readonly now: number;
}

export async function simulate(play: Simulation, script: WorldScript): Promise<Timeline> {
  const clock = new VirtualClock(play.now);
  const world = new World(script, clock);
  // Equal chances for all: records of equal preference stay in the order they were given in.
  const ports = { resolver: world.resolver, connect: world.connect, clock, random: () => 0.5 };
  return perform(play, ports, world.unknown, (done) => clock.runUntil(done));
}

/** The same in any world, the real one included. */
export async function perform(
  { queued, payload, rules }: Simulation,
  ports: { readonly clock: Clock; readonly random: Random } & Pick<RunDeps, 'resolver' | 'connect'>,
  unknown: Promise<string>,
  passTime: <T>(done: Promise<T>) => Promise<T>,
): Promise<Timeline> {
  const queue = new SingleJobQueue(queued, payload);
  const began = ports.clock.monotonic();
  const witness = new Collector(() => ports.clock.monotonic() - began);
  const unrouted: TimelineOutcome[] = [];
  const events: RunDeps['events'] = {
    outcome: ({ recipient, outcome }) => {
      if (outcome.kind !== 'failed' || outcome.stage !== 'routing' || outcome.scope !== 'recipient') return;
      const index = queued.job.recipients.findIndex(({ address }) => address === recipient);
      unrouted.push({ index, address: recipient, outcome, row: null });
    },
    quarantined: () => {},
    warning: () => {},
    trace: witness.observe,
  };
  const forced = { ...rules, due: { ...rules.due, force: true } };
  const run = runQueue({ ...ports, queue, events }, forced, new AbortController().signal);
  const missing = await passTime(Promise.race([unknown, run.then(() => null)]));
  const { deliveries, moments } = witness;
  const address = (index: number): string => queued.job.recipients[index]?.address ?? '';
  const outcomes = [...unrouted, ...outcomesIn(moments, address)];
  return { deliveries, moments, outcomes, unknown: missing };
}
