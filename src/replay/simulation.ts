/**
 * Runs the real queue runner with one job, in a simulated world and on a virtual clock. Nothing outside is touched: the queue
 * is a copy in memory, the world is a script.
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

export async function simulate(simulation: Simulation, script: WorldScript): Promise<Timeline> {
  const clock = new VirtualClock(simulation.now);
  const world = new World(script, clock);
  // A constant: records of equal preference stay in the order in which they were given.
  const deps = { resolver: world.resolver, connect: world.connect, clock, random: () => 0.5 };
  return perform(simulation, deps, world.unrecorded, (done) => clock.runUntil(done));
}

/** The same in any world, including the real one. `passTime` waits until a promise settles. */
export async function perform(
  { queued, payload, rules }: Simulation,
  deps: { readonly clock: Clock; readonly random: Random } & Pick<RunDeps, 'resolver' | 'connect'>,
  unrecorded: Promise<string>,
  passTime: <T>(done: Promise<T>) => Promise<T>,
): Promise<Timeline> {
  const queue = new SingleJobQueue(queued, payload);
  const began = deps.clock.monotonic();
  const collector = new Collector(() => deps.clock.monotonic() - began);
  const unrouted: TimelineOutcome[] = [];
  const events: RunDeps['events'] = {
    outcome: ({ recipient, outcome }) => {
      if (outcome.kind !== 'failed' || outcome.stage !== 'routing' || outcome.scope !== 'recipient') return;
      const index = queued.job.recipients.findIndex(({ address }) => address === recipient);
      unrouted.push({ index, address: recipient, outcome, row: null, tls: null });
    },
    quarantined: () => {},
    warning: () => {},
    trace: collector.observe,
  };
  const forced = { ...rules, due: { ...rules.due, force: true } };
  const run = runQueue({ ...deps, queue, events }, forced, new AbortController().signal);
  const missing = await passTime(Promise.race([unrecorded, run.then(() => null)]));
  const { deliveries, events: timeline } = collector;
  const address = (index: number): string => queued.job.recipients[index]?.address ?? '';
  const outcomes = [...unrouted, ...outcomesIn(timeline, address)];
  return { deliveries, events: timeline, outcomes, unrecorded: missing };
}
