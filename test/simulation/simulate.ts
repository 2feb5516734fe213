/**
 * Runs a plan: the queue runs of the program over a simulated disk, network and clock, one process after the other, with the
 * incidents of the plan; then processes without incidents until nothing is left to do. Checks throughout what must always
 * hold (techdoc/simulation.md). The same plan gives the same run, step by step.
 */
import { composeDsn } from '../../src/dsn/compose.ts';
import { DsnSender } from '../../src/dsn/sender.ts';
import type { HandoverResult } from '../../src/dsn/transport.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import type { OutgoingMessage } from '../../src/message/outgoing.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { errorCode, QueueError } from '../../src/platform/system-errors.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { openDsnStore } from '../../src/queue/spool/notes/dsn-store.ts';
import type { SpoolDeps } from '../../src/queue/spool/open.ts';
import { openSpoolClient, openSpoolQueue } from '../../src/queue/spool/open.ts';
import type { Recorder } from '../../src/replay/transcript/recorder.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { readyDeliveries } from '../../src/runner/deliveries.ts';
import { QueueRunner, type RunDeps, runQueue } from '../../src/runner/queue-runner.ts';
import type { RunRules } from '../../src/runner/rules.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { throttleStore } from '../../src/runner/throttling/throttle-store.ts';
import { readSettings } from '../../src/settings/read.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { FakeMachine } from '../support/processes.ts';
import { NOW, seededRandom } from '../support/spool.ts';
import { handOver } from './citadel.ts';
import { Invariants } from './invariants.ts';
import { Network } from './network.ts';
import { INTAKE, type Incident, type Plan, type PlannedMessage, type SpoolChange } from './plan.ts';
import { Killed, SimulatedProcess } from './process.ts';
import { fillSpool, problemAt, SPOOL, subjectIn, survey, textOf, touchList } from './spool.ts';

export interface Simulated {
  /** what must not happen and did happen, in sentences */
  readonly violations: readonly string[];
  /** every step, when it was asked for */
  readonly trace: readonly string[];
  readonly steps: number;
}

export interface SimulationOptions {
  readonly trace?: boolean;
  /** a faulty disk, to show that the simulation finds its faults */
  readonly disk?: (now: () => number) => MemoryDisk;
  /** keeps transcripts of all deliveries, for `replay` */
  readonly recorder?: (clock: Clock) => Recorder;
}

/** A recipient that failed, in a report (RFC 3464 2.3). */
const FAILED = /^Final-Recipient: rfc822; ?(\S+)\r\nAction: failed/gim;
/** Milliseconds within which a run must end after SIGTERM. */
const STOP_LIMIT = 60_000;
/** As in a large queue, parked jobs are kept in a file; here from this many on. */
const FEWEST_PARKED = 1;
/** Milliseconds after which a busy watcher scans again. */
const POLL = 5000;
/** Milliseconds after which no throttling is remembered. */
const FORGOTTEN = 48 * 3_600_000;
/** Processes without incidents after which everything must be done. */
const FINAL_PROCESSES = 4;

export async function simulate(plan: Plan, options: SimulationOptions = {}): Promise<Simulated> {
  return new Simulation(plan, options).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #recorder: SimulationOptions['recorder'] | null;
  readonly #clock = new VirtualClock(NOW * 1000);
  readonly #disk: MemoryDisk;
  readonly #machine = new FakeMachine();
  readonly #invariants = new Invariants();
  readonly #trace: string[] = [];
  readonly #network: Network;
  readonly #note: (line: string) => void;
  readonly #rules: RunRules;
  #steps = 0;
  #isUndisturbed = false;
  #reportsRefused = 0;
  /** messages and recipients of other programs so far */
  #others = 0;
  /** the process that delivers, or has done so last */
  #deliverer: SimulatedProcess | null = null;
  /** the power failed in another process: what the disk forgets; null otherwise */
  #powerSeed: number | null = null;
  /** a process that enqueues was killed: it may leave messages that it did not acknowledge */
  #cutShort = false;
  /** other processes that are running */
  readonly #otherProcesses = new Set<SimulatedProcess>();
  readonly #otherRuns: Promise<void>[] = [];

  constructor(plan: Plan, options: SimulationOptions) {
    this.#plan = plan;
    this.#recorder = options.recorder ?? null;
    this.#disk = (options.disk ?? ((now) => new MemoryDisk(now)))(() => this.#clock.now());
    this.#note = options.trace
      ? (line) => void this.#trace.push(`${(this.#clock.monotonic() / 1000).toFixed(3)} ${line}`)
      : () => {};
    this.#network = new Network({
      clock: this.#clock,
      servers: plan.servers,
      incidents: plan.incidents,
      trace: this.#note,
      unsolicited: () => {
        this.#invariants.unsolicitedReply = true;
      },
      accepted: (acceptance) => {
        this.#note(`accepted for ${acceptance.recipients.join(' ')}`);
        this.#invariants.accepted(acceptance);
      },
    });
    this.#rules = rulesOf(plan);
  }

  async run(): Promise<Simulated> {
    const { messages, processes } = this.#plan;
    for (const mail of messages) this.#expect(mail);
    fillSpool(this.#disk, messages, NOW);
    try {
      for (let number = 1; number <= processes; number++) await this.#runProcess(number, this.#plan.runs);
      await this.#clock.runUntil(Promise.all(this.#otherRuns));
      this.#isUndisturbed = true;
      this.#network.endFaults();
      // What asked us to send less is left alone for hours.
      this.#clock.jump(FORGOTTEN);
      for (let number = 1; number <= FINAL_PROCESSES; number++) await this.#runProcess(processes + number, 1);
      this.#checkEnd();
    } catch (error) {
      this.#invariants.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    return { violations: this.#invariants.violations, trace: this.#trace, steps: this.#steps };
  }

  #expect({ name, recipients, lists }: PlannedMessage): void {
    for (const address of recipients) {
      this.#invariants.expect(name, address);
      if (lists > 1 && this.#happens('disk')) this.#invariants.mayHide(address);
    }
  }

  #happens(what: Incident['what']): boolean {
    return this.#plan.incidents.some((each) => each.what === what);
  }

  /** One process, from its start to its end, whatever ends it. */
  async #runProcess(number: number, runs: number): Promise<void> {
    this.#note(`process ${number} starts`);
    const { process, controller } = this.#start(number, this.#note);
    this.#deliverer = process;
    if (!this.#isUndisturbed && this.#plan.handovers.some((each) => each.process === number))
      this.#otherRuns.push(
        this.#runOther(INTAKE + number, (process, signal) => this.#intake(process, signal)),
      );
    const work = this.#work(process, runs, controller);
    try {
      await this.#clock.runUntil(Promise.race([work, process.death]));
      process.end();
      this.#invariants.processEnded(number, process.diskFailed ? 'unwritten' : 'in order');
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#invariants.processEnded(number, 'killed');
      const seed = this.#powerSeed ?? this.#powerFailing(process);
      if (seed !== null) this.#powerFailure(seed);
    }
    this.#note(`process ${number} has ended`);
    this.#steps += process.steps;
    this.#checkBetween();
  }

  /** A process, and what will happen to it. */
  #start(
    number: number,
    trace: (line: string) => void,
  ): { process: SimulatedProcess; controller: AbortController } {
    const process = new SimulatedProcess({
      number,
      incidents: this.#incidentsOf(number),
      clock: this.#clock,
      disk: this.#disk,
      machine: this.#machine,
      trace,
      changed: (path) => {
        const problem = problemAt(this.#disk, path);
        if (problem !== null) this.#invariants.violated(problem);
      },
    });
    const controller = new AbortController();
    for (const incident of this.#incidentsOf(number)) this.#schedule(incident, process, controller);
    return { process, controller };
  }

  #incidentsOf(process: number): readonly Incident[] {
    return this.#isUndisturbed
      ? []
      : this.#plan.incidents.filter((each) => 'process' in each && each.process === process);
  }

  /** What the disk forgets if this process ended because the power failed; null: it ended otherwise. */
  #powerFailing({ number, steps }: SimulatedProcess): number | null {
    const power = this.#incidentsOf(number).find((each) => each.what === 'power' && each.step === steps);
    return power?.what === 'power' ? power.seed : null;
  }

  #powerFailure(seed: number): void {
    this.#powerSeed = null;
    if (this.#otherProcesses.size > 0) this.#cutShort = true;
    for (const process of this.#otherProcesses) process.kill();
    this.#otherProcesses.clear();
    this.#machine.reboot();
    this.#disk.powerFailure(seededRandom(seed));
  }

  async #work(process: SimulatedProcess, runs: number, { signal }: AbortController): Promise<void> {
    const deps = this.#depsFor(process);
    const opened = await openSpoolQueue(SPOOL, deps, this.#settings());
    if (!process.alive) return;
    if (opened.kind === 'refused') {
      this.#note(`refused: ${opened.text}`);
      if (!process.diskFailed && this.#otherProcesses.size === 0)
        this.#invariants.violated(`the spool was refused: ${opened.text}`);
    } else {
      process.claimed = true;
      await this.#deliver(process, opened.queue, runs, signal);
    }
    if (process.disk.open > 0)
      this.#invariants.violated(`process ${process.number} left ${process.disk.open} files open`);
    if (process.timers > 0)
      this.#invariants.violated(`process ${process.number} left ${process.timers} timers`);
    if (this.#network.open > 0) this.#invariants.violated(`process ${process.number} left connections open`);
  }

  /** What `run` and, with several runs, `watch` do. */
  async #deliver(process: SimulatedProcess, queue: Queue, runs: number, signal: AbortSignal): Promise<void> {
    const recorder = this.#recorder?.(process.clock) ?? null;
    const ports = {
      ...this.#network.portsFor(process),
      queue,
      clock: process.clock,
      throttleStore: throttleStore(process.disk, layoutOf(SPOOL)),
      random: seededRandom(this.#plan.seed + process.number),
      events: {
        outcome: (record: Parameters<Invariants['outcome']>[0]) => {
          this.#note(`outcome ${record.recipient} ${record.status} ${record.text}`);
          this.#invariants.outcome(record, process.number, this.#clock.monotonic());
        },
        quarantined: (control: number, reason: string) =>
          this.#invariants.violated(`${control} was quarantined: ${reason}`),
        silent: () => {},
        warning: (text: string) => this.#note(`warning: ${text}`),
        trace: recorder?.observe ?? (() => {}),
      },
    };
    await this.#tolerateDiskErrors(process, async () => {
      const dsnSender = this.#reporter(process, queue);
      const rules = this.#rulesNow();
      const deps = readyDeliveries({ ...ports, dsnSender }, rules);
      if (runs > 1) await this.#watch(process, deps, rules, runs, signal);
      else await runQueue(deps, rules, signal);
    });
    await recorder?.close();
    process.claimed = false;
    await this.#tolerateDiskErrors(process, () => queue.close());
  }

  /** One queue that stays: scans while it is busy, pauses, scans again; after an outcome that could not be written it begins again. */
  async #watch(
    process: SimulatedProcess,
    deps: RunDeps,
    rules: RunRules,
    scans: number,
    signal: AbortSignal,
  ): Promise<void> {
    const queue = new QueueRunner(deps, rules, signal);
    const scan = (): Promise<void> =>
      this.#tolerateDiskErrors(process, async () => {
        if (queue.halted) await queue.resume();
        await queue.scan(false);
      });
    for (let number = 1; number <= scans && !signal.aborted; number++) {
      await scan();
      while (queue.isActive && process.alive) {
        await queue.idleOr(POLL);
        if (queue.isActive && !signal.aborted) await scan();
      }
      if (number < scans) await pause(process, 400_000, signal);
    }
    await queue.close();
  }

  #reporter(process: SimulatedProcess, queue: Queue): DsnSender {
    const { clock } = process;
    const random = seededRandom(this.#plan.seed * 17 + process.number);
    const { fqdn } = this.#rules.render;
    return new DsnSender(
      {
        queue,
        clock,
        random,
        store: openDsnStore(SPOOL, { ...process, random }),
        transport: {
          name: 'a return path',
          send: (report) => this.#takeReport(report, process),
        },
        compose: (report, stamp) => this.#clock.standStill(composeDsn(report, stamp)),
        events: {
          sent: ({ notices }) => {
            for (const { kind, recipient } of notices)
              if (kind !== 'delayed') this.#invariants.reportNoted(recipient);
          },
          suppressed: ({ recipients, reason }) =>
            this.#invariants.violated(`${recipients.join(' ')} were not reported: ${reason}`),
          waiting: ({ why }) => this.#note(`waiting: ${why}`),
        },
      },
      {
        site: { fqdn, aide: `room_aide@${fqdn}` },
        author: this.#rules.postmaster,
        schedule: this.#rules.due.schedule,
        render: this.#rules.render,
        signer: null,
      },
    );
  }

  /** A report that was sent arrives, even if its sender dies. */
  async #takeReport({ text }: OutgoingMessage, process: SimulatedProcess): Promise<HandoverResult> {
    if (!process.step('sends a report')) return new Promise(() => {});
    const isDown = !this.#isUndisturbed && this.#reportsRefused++ < this.#plan.reportsRefused;
    const failed = [...(text ?? '').matchAll(FAILED)].flatMap(([, address]) => address ?? []);
    this.#clock.after(5, () => {
      if (!isDown) this.#invariants.reported(failed, process.number);
    });
    await new Promise<void>((done) => process.clock.after(10, done));
    return isDown ? { kind: 'unavailable', why: 'it is down' } : { kind: 'safe', where: 'a mailbox' };
  }

  /** A failing disk may end a run with an error of its own, and nothing else may. */
  async #tolerateDiskErrors(process: SimulatedProcess, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!process.alive) throw new Killed();
      const isOfDisk = error instanceof QueueError || errorCode(error) !== null;
      if (!process.diskFailed || !isOfDisk) throw error;
      this.#note(`disk error: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #rulesNow(): RunRules {
    return { ...this.#rules, due: { ...this.#rules.due, force: this.#isUndisturbed } };
  }

  #settings() {
    return { dialect: this.#plan.dialect, spans: this.#rules.due.schedule.retry };
  }

  #depsFor(process: SimulatedProcess): SpoolDeps {
    const { disk, clock, processes, number } = process;
    const warn = (text: string): void => this.#note(`warning: ${text}`);
    const random = seededRandom(this.#plan.seed * 31 + number);
    return { disk, clock, processes, random, warn, fewestParked: FEWEST_PARKED };
  }

  #schedule(incident: Incident, process: SimulatedProcess, controller: AbortController): void {
    const at = (milliseconds: number, call: () => void): void => {
      this.#clock.after(milliseconds, () => {
        if (process.alive) call();
      });
    };
    switch (incident.what) {
      case 'term': {
        at(incident.at, () => {
          this.#note('SIGTERM');
          controller.abort('SIGTERM');
        });
        at(incident.at + STOP_LIMIT + this.#slowness(process.number), () =>
          this.#invariants.violated(`process ${process.number} did not stop`),
        );
        return;
      }
      case 'clock':
        at(incident.at, () => {
          this.#note(`the clock is set by ${incident.by} ms`);
          this.#clock.jump(incident.by);
        });
        return;
      case 'other':
        at(incident.at, () => {
          this.#note(`another program ${incident.does}`);
          this.#another(incident.does, process);
        });
        return;
      case 'kill':
      case 'power':
      case 'disk':
      case 'slow-disk':
      case 'connection':
      case 'dns':
    }
  }

  /** A slow disk may delay the end of a run by several syncs. */
  #slowness(process: number): number {
    const slow = this.#plan.incidents.find((each) => each.what === 'slow-disk' && each.process === process);
    return slow?.what === 'slow-disk' ? 20 * slow.milliseconds : 0;
  }

  #another(does: SpoolChange, process: SimulatedProcess): void {
    switch (does) {
      case 'starts a second runner':
        this.#otherRuns.push(this.#runOther(0, (second) => this.#secondRunner(process, second)));
        return;
      case 'enqueues':
        this.#otherRuns.push(this.#runOther(0, (process) => this.#enqueue(process)));
        return;
      case 'adds a recipient':
      case 'rewrites a list as it was':
      case 'removes a list': {
        const added = `added.${++this.#others}@a.example`;
        const touch = touchList(this.#disk, does, added);
        if (touch === null) return;
        this.#note(`it was ${touch.name}`);
        if (does === 'adds a recipient') this.#invariants.expect(this.#subjectOf(touch.msgid), added);
        if (does === 'removes a list')
          for (const address of touch.touched) this.#invariants.withdraw(address);
      }
    }
  }

  #subjectOf(msgid: number): string {
    return subjectIn(this.#disk.read(`${SPOOL}/${msgid}`, 1000).bytes.toString('latin1'));
  }

  /** Another process on the same machine. */
  async #runOther(
    number: number,
    work: (process: SimulatedProcess, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const name = number > INTAKE ? `intake ${number}` : 'another program';
    const { process, controller } = this.#start(number, (line) => this.#note(`${name}: ${line}`));
    this.#otherProcesses.add(process);
    try {
      await Promise.race([work(process, controller.signal), process.death]);
    } catch (error) {
      if (error instanceof Killed) this.#otherKilled(process);
      else
        this.#invariants.violated(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    }
    this.#otherProcesses.delete(process);
    process.end();
    this.#steps += process.steps;
  }

  /** It was killed, or the power failed for all. */
  #otherKilled(process: SimulatedProcess): void {
    this.#cutShort = true;
    const seed = this.#powerFailing(process);
    if (seed === null) return;
    this.#otherProcesses.delete(process);
    if (this.#deliverer?.alive === true) {
      this.#powerSeed = seed;
      this.#deliverer.kill();
    } else {
      this.#powerFailure(seed);
    }
  }

  /** Accepts what Citadel submits, until that is done or it is stopped. */
  async #intake(process: SimulatedProcess, signal: AbortSignal): Promise<void> {
    const opened = await openSpoolClient(SPOOL, this.#depsFor(process), this.#settings());
    if (opened.kind === 'refused') {
      if (process.alive && !process.diskFailed)
        this.#invariants.violated(`the intake was refused the spool: ${opened.text}`);
      return;
    }
    const runner = process.number - INTAKE;
    await handOver({
      process,
      signal,
      queue: opened.client,
      clock: this.#clock,
      invariants: this.#invariants,
      note: this.#note,
      handovers: this.#plan.handovers.filter((each) => each.process === runner),
    });
    if (process.disk.open > 0) this.#invariants.violated(`intake ${process.number} left files open`);
    if (process.timers > 0) this.#invariants.violated(`intake ${process.number} left timers`);
  }

  /** Cron starts the next one while the first is at work. */
  async #secondRunner(process: SimulatedProcess, second: SimulatedProcess): Promise<void> {
    const opened = await openSpoolQueue(SPOOL, this.#depsFor(second), this.#settings());
    if (opened.kind === 'refused') return;
    if (process.claimed) this.#invariants.violated('two runners at once');
    await opened.queue.close();
  }

  /** A job that was acknowledged must be delivered; one that was not may exist or not. */
  async #enqueue(process: SimulatedProcess): Promise<void> {
    const name = `other${++this.#others}`;
    const recipients = [`${name}@a.example`, `${name}@b.example`];
    const opened = await openSpoolClient(SPOOL, this.#depsFor(process), this.#settings());
    if (opened.kind === 'refused') throw new Error(opened.text);
    for (const address of recipients) {
      this.#invariants.expect(name, address);
      this.#invariants.allowLoss(address);
    }
    const mail = textOf({ name, recipients, form: 'bare', lists: 1, size: 100 });
    const facts = { bounceto: 'me@me.example', envelopeFrom: 'me@me.example', sourceRoom: null };
    await opened.client.enqueue(Buffer.from(mail), { ...facts, recipients, submitted: NOW });
    for (const address of recipients) this.#invariants.acknowledge(address);
  }

  #checkBetween(): void {
    const { problems, waiting, lists } = survey(this.#disk);
    for (const problem of problems) this.#invariants.violated(problem);
    this.#invariants.audit(waiting, this.#mayRefuse);
    // A recipient that another program added has a count of attempts of its own.
    if (this.#happens('other')) return;
    for (const [name, job] of lists) this.#invariants.auditWait(name, job);
  }

  /** Whether any server, or the DNS, may refuse a recipient permanently. */
  get #mayRefuse(): boolean {
    const { servers, messages, incidents } = this.#plan;
    const gone = messages.some(({ recipients }) => recipients.some((each) => each.endsWith('@gone.example')));
    const denied = incidents.some((each) => each.what === 'dns' && each.answer === 'no-domain');
    return gone || denied || /\b5\d\d /.test(JSON.stringify(servers));
  }

  #checkEnd(): void {
    const { waiting, lists, messages, halves } = survey(this.#disk);
    this.#invariants.finalAudit(waiting);
    for (const name of lists.keys()) this.#invariants.violated(`the list ${name} is left over`);
    const orphans = this.#cutShort || this.#happens('other') || this.#happens('disk');
    for (const name of orphans ? [] : [...messages, ...halves])
      this.#invariants.violated(`the message ${name} is left over`);
    const left = this.#disk.list(`${SPOOL}/.spoolroom/tmp`).map(({ name }) => name);
    if (left.length > 0) this.#invariants.violated(`temporary files are left over: ${left.join(' ')}`);
    const journal = `${SPOOL}/.spoolroom/journal`;
    if (this.#disk.status(journal) === null) return;
    const lines = this.#disk
      .read(journal, 1 << 24)
      .bytes.toString('latin1')
      .split('\n');
    if (lines.length > 2)
      this.#invariants.violated(`the journal still has records: ${lines.slice(1).join(' ')}`);
  }
}

/** Until the time has passed or the process is stopped. */
function pause(process: SimulatedProcess, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = process.clock.after(milliseconds, done);
    const stop = (): void => {
      timer.cancel();
      done();
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}

const RULES = new Map<string, RunRules>();

function rulesOf({ limits }: Plan): RunRules {
  const key = JSON.stringify(limits);
  const known = RULES.get(key);
  if (known !== undefined) return known;
  const read = readSettings({ ...limits, hostname: 'me.example' });
  if (!read.ok) throw new Error('the settings of the simulation are wrong');
  const rules = rulesFrom(read.settings, {
    hostname: 'me.example',
    ehloName: 'me.example',
    relays: [],
    charset: unknown8bit,
    certificates: [],
    signer: null,
    warnings: [],
    interfaces: [],
  });
  RULES.set(key, rules);
  return rules;
}
