/**
 * Runs the real queue runner with the jobs of one payload, in a simulated world and on a virtual clock. Nothing outside is
 * touched: the queue is a copy in memory, the world is a script, and reports are composed and handed to nobody.
 */
import type { MessageNumber, Recipient } from '../delivery-list/job.ts';
import { inMemory } from '../message/stored.ts';
import type { Clock, Random } from '../platform/clock.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import { type ControlMessages, isMessageDue } from '../queue/due.ts';
import { recipientsOf } from '../queue/merge.ts';
import type { PayloadResult } from '../queue/queue.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import { type DeliveryDeps, type DeliveryEvents, readyDeliveries } from '../runner/deliveries.ts';
import { type RunEvents, runQueue } from '../runner/queue-runner.ts';
import type { RunRules } from '../runner/rules.ts';
import { CopiedQueue, type JobAfter } from './copied-queue.ts';
import { type RehearsedReport, type ReportRules, rehearseReports } from './rehearsed-reports.ts';
import type { Timeline, TimelineOutcome } from './timeline.ts';
import { Collector, outcomesIn } from './timeline.ts';
import { VirtualClock } from './world/virtual-clock.ts';
import type { WorldScript } from './world/world.ts';
import { World } from './world/world.ts';

export interface Simulation {
  readonly lists: ControlMessages;
  readonly payload: PayloadResult;
  readonly rules: RunRules;
  /** milliseconds since the epoch */
  readonly now: number;
  /** tried whether it is due or not */
  readonly force: boolean;
  /** absent: nobody would be told anything */
  readonly reports?: ReportRules;
  /** how the payload is made ready to send; absent: as in a run */
  readonly load?: NonNullable<DeliveryDeps['load']>;
  /** resolves when `load` is asked for something that was not recorded; completes "The recording does not say ..." */
  readonly unrecorded?: Promise<string>;
}

export interface Performed {
  readonly timeline: Timeline;
  /** what would be told to senders, in this order */
  readonly reports: readonly RehearsedReport[];
  /** what would be logged as warnings */
  readonly warnings: readonly string[];
  after(control: MessageNumber): JobAfter;
}

export async function simulate(simulation: Simulation, script: WorldScript): Promise<Performed> {
  const clock = new VirtualClock(simulation.now);
  const world = new World(script, clock);
  // A constant: records of equal preference stay in the order in which they were given.
  const deps = { resolver: world.resolver, connect: world.connect, clock, random: () => 0.5 };
  // While a file is read no simulated time may pass.
  const payload = await inWhole(simulation.payload);
  const unrecorded = Promise.race([
    world.unrecorded,
    ...(simulation.unrecorded ? [simulation.unrecorded] : []),
  ]);
  return perform({ ...simulation, payload }, deps, unrecorded, (done) => clock.runUntil(done));
}

async function inWhole(payload: PayloadResult): Promise<PayloadResult> {
  if (payload.kind !== 'found' || payload.message.bytes !== null) return payload;
  const pieces: Buffer[] = [];
  try {
    for await (const piece of payload.message.stream()) pieces.push(piece);
  } catch (error) {
    if (!isOperationalError(error)) throw error;
    return { kind: 'unreadable', reason: `the message cannot be read: ${describeError(error)}` };
  }
  return { kind: 'found', message: inMemory(Buffer.concat(pieces)) };
}

/** The same in any world, including the real one. `passTime` waits until a promise settles. */
export async function perform(
  { lists, payload, rules, force, reports: reportRules, load }: Simulation,
  deps: { readonly clock: Clock; readonly random: Random } & Pick<DeliveryDeps, 'resolver' | 'connect'>,
  unrecorded: Promise<string>,
  passTime: <T>(done: Promise<T>) => Promise<T>,
): Promise<Performed> {
  const queue = new CopiedQueue(lists, payload, rules.delivery.envelopeOnly);
  const began = deps.clock.monotonic();
  const collector = new Collector(() => deps.clock.monotonic() - began);
  const records: OutcomeRecord[] = [];
  const warnings: string[] = [];
  const reports: RehearsedReport[] = [];
  const events: RunEvents & DeliveryEvents = {
    outcome: (record) => records.push(record),
    quarantined: () => {},
    warning: (text) => warnings.push(text),
    silent: () => {},
    trace: collector.observe,
  };
  const dsnSender =
    reportRules === undefined
      ? undefined
      : rehearseReports({ queue, ...deps, report: (each) => reports.push(each) }, reportRules);
  const ports = {
    ...deps,
    queue,
    events,
    ...(dsnSender === undefined ? {} : { dsnSender }),
    ...(load === undefined ? {} : { load }),
  };
  const run = runQueue(
    readyDeliveries(ports, rules),
    { ...rules, due: { ...rules.due, force } },
    new AbortController().signal,
  );
  const missing = await passTime(Promise.race([unrecorded, run.then(() => null)]));
  const { deliveries, events: timeline } = collector;
  const { recipients } = recipientsOf(lists.map(({ job }) => job));
  const traced = outcomesIn(timeline, (index) => recipients[index]?.address ?? '');
  const outcomes = [...untraced(records, recipients), ...traced];
  return {
    timeline: { deliveries, events: timeline, outcomes, unrecorded: missing },
    reports,
    warnings,
    after: (control) => queue.after(control),
  };
}

/** What becomes of jobs that a run leaves alone. */
export function leftAlone({ lists, payload }: Pick<Simulation, 'lists' | 'payload'>): Performed {
  const queue = new CopiedQueue(lists, payload);
  return {
    timeline: { deliveries: [], events: [], outcomes: [], unrecorded: null },
    reports: [],
    warnings: [],
    after: (control) => queue.after(control),
  };
}

/** Whether a run at that time takes up the payload of these jobs. */
export function wouldBeTried({
  lists,
  rules,
  now,
  force,
}: Pick<Simulation, 'lists' | 'rules' | 'now' | 'force'>): boolean {
  return isMessageDue(lists, Math.floor(now / 1000), { ...rules.due, force });
}

/** What is no address has no delivery, and so no trace. */
function untraced(
  records: readonly OutcomeRecord[],
  recipients: readonly Recipient[],
): readonly TimelineOutcome[] {
  return records.flatMap(({ recipient, outcome }): readonly TimelineOutcome[] => {
    if (outcome.kind !== 'failed' || outcome.stage !== 'routing' || outcome.scope !== 'recipient') return [];
    const index = recipients.findIndex(({ address }) => address === recipient);
    return [{ index, address: recipient, outcome, row: null, tls: null }];
  });
}
