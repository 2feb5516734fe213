/**
 * Runs a plan: the program's own queue run over a simulated disk, network and clock, life after life, with everything
 * that the plan lets happen; then undisturbed lives until nothing is left to do. Checks all along what must always hold
 * (techdoc/simulation.md). The same plan gives the same run, to the last step.
 */
import { composeDsn } from '../../src/dsn/compose.ts';
import { DsnSender } from '../../src/dsn/sender.ts';
import type { HandoverResult } from '../../src/dsn/transport.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { errorCode, QueueError } from '../../src/platform/system-errors.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { openDsnStore } from '../../src/queue/spool/dsn-store.ts';
import type { SpoolDeps } from '../../src/queue/spool/open.ts';
import { openSpoolClient, openSpoolQueue } from '../../src/queue/spool/open.ts';
import type { Recorder } from '../../src/replay/transcript/recorder.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { QueueRunner, type RunDeps, runQueue } from '../../src/runner/queue-runner.ts';
import type { RunRules } from '../../src/runner/rules.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { FakeMachine } from '../support/processes.ts';
import { NOW, seededRandom } from '../support/spool.ts';
import { handOver } from './citadel.ts';
import { Ledger } from './ledger.ts';
import { Killed, Life } from './life.ts';
import { Network } from './network.ts';
import { INTAKE, type Incident, type OtherDeed, type Plan, type PlannedMail } from './plan.ts';
import { fillSpool, SPOOL, subjectIn, survey, textOf, touchList, troubleAt } from './spool.ts';

export interface Simulated {
  /** what must not happen and did, in sentences */
  readonly violations: readonly string[];
  /** every step, when it was asked for */
  readonly trace: readonly string[];
  readonly steps: number;
}

export interface SimulationOptions {
  readonly trace?: boolean;
  /** to see that the simulation finds faults: a disk that forgets what it said it has */
  readonly disk?: (now: () => number) => MemoryDisk;
  /** keeps transcripts of all deliveries, for `replay` */
  readonly recorder?: (clock: Clock) => Recorder;
}

/** A recipient that failed, in a report (RFC 3464 2.3). */
const FAILED = /^Final-Recipient: rfc822; ?(\S+)\r\nAction: failed/gim;
/** Milliseconds a run may need to end after it was told to stop. */
const STOP_LIMIT = 60_000;
/** Milliseconds after which a busy watcher looks again. */
const POLL = 5000;
/** Undisturbed lives after which everything has to be done. */
const CALM_LIVES = 4;

export async function simulate(plan: Plan, options: SimulationOptions = {}): Promise<Simulated> {
  return new Simulation(plan, options).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #recorder: SimulationOptions['recorder'] | null;
  readonly #clock = new VirtualClock(NOW * 1000);
  readonly #disk: MemoryDisk;
  readonly #machine = new FakeMachine();
  readonly #ledger = new Ledger();
  readonly #trace: string[] = [];
  readonly #network: Network;
  readonly #note: (line: string) => void;
  readonly #rules: RunRules;
  #steps = 0;
  #calm = false;
  #reportsRefused = 0;
  /** other programs' mails and recipients so far */
  #others = 0;
  /** the process that delivers, or has done so last */
  #deliverer: Life | null = null;
  /** the power fails because it was another process' turn */
  #powerSeed: number | null = null;
  /** a process that puts mail into the spool was killed: it may leave mails behind of which it told nobody */
  #cutShort = false;
  /** other programs at work */
  readonly #bystanders = new Set<Life>();
  readonly #bystanding: Promise<void>[] = [];

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
      lied: () => {
        this.#ledger.deceived = true;
      },
      accepted: (acceptance) => {
        this.#note(`accepted for ${acceptance.recipients.join(' ')}`);
        this.#ledger.accepted(acceptance);
      },
    });
    this.#rules = rulesOf(plan);
  }

  async run(): Promise<Simulated> {
    const { mails, lives } = this.#plan;
    for (const mail of mails) this.#expect(mail);
    fillSpool(this.#disk, mails, NOW);
    try {
      for (let number = 1; number <= lives; number++) await this.#live(number, this.#plan.runs);
      await this.#clock.runUntil(Promise.all(this.#bystanding));
      this.#calm = true;
      this.#network.calm();
      for (let number = 1; number <= CALM_LIVES; number++) await this.#live(lives + number, 1);
      this.#checkEnd();
    } catch (error) {
      this.#ledger.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    return { violations: this.#ledger.violations, trace: this.#trace, steps: this.#steps };
  }

  #expect({ name, recipients, lists }: PlannedMail): void {
    for (const address of recipients) {
      this.#ledger.expect(name, address);
      if (lists > 1 && this.#happens('disk')) this.#ledger.mayHide(address);
    }
  }

  #happens(what: Incident['what']): boolean {
    return this.#plan.incidents.some((each) => each.what === what);
  }

  /** One process, from its start to its end, whichever that is. */
  async #live(number: number, runs: number): Promise<void> {
    this.#note(`life ${number} begins`);
    const { life, controller } = this.#start(number, this.#note);
    this.#deliverer = life;
    if (!this.#calm && this.#plan.handovers.some((each) => each.life === number))
      this.#bystanding.push(
        this.#bystander(INTAKE + number, (process, signal) => this.#intake(process, signal)),
      );
    const work = this.#work(life, runs, controller);
    try {
      await this.#clock.runUntil(Promise.race([work, life.death]));
      life.end();
      this.#ledger.lifeEnded(number, life.troubled ? 'unwritten' : 'in order');
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#ledger.lifeEnded(number, 'killed');
      const seed = this.#powerSeed ?? this.#powerFailing(life);
      if (seed !== null) this.#powerFailure(seed);
    }
    this.#note(`life ${number} is over`);
    this.#steps += life.steps;
    this.#checkBetween();
  }

  /** A process, and what will happen to it. */
  #start(number: number, trace: (line: string) => void): { life: Life; controller: AbortController } {
    const life = new Life({
      number,
      incidents: this.#incidentsOf(number),
      clock: this.#clock,
      disk: this.#disk,
      machine: this.#machine,
      trace,
      changed: (path) => {
        const trouble = troubleAt(this.#disk, path);
        if (trouble !== null) this.#ledger.violated(trouble);
      },
    });
    const controller = new AbortController();
    for (const incident of this.#incidentsOf(number)) this.#schedule(incident, life, controller);
    return { life, controller };
  }

  #incidentsOf(life: number): readonly Incident[] {
    return this.#calm ? [] : this.#plan.incidents.filter((each) => 'life' in each && each.life === life);
  }

  /** What the disk forgets, when this process has ended because the power failed; null: it ended otherwise. */
  #powerFailing({ number, steps }: Life): number | null {
    const power = this.#incidentsOf(number).find((each) => each.what === 'power' && each.step === steps);
    return power?.what === 'power' ? power.seed : null;
  }

  #powerFailure(seed: number): void {
    this.#powerSeed = null;
    if (this.#bystanders.size > 0) this.#cutShort = true;
    for (const process of this.#bystanders) process.kill();
    this.#bystanders.clear();
    this.#machine.reboot();
    this.#disk.powerFailure(seededRandom(seed));
  }

  async #work(life: Life, runs: number, { signal }: AbortController): Promise<void> {
    const deps = this.#depsFor(life);
    const opened = await openSpoolQueue(SPOOL, deps, this.#settings());
    if (!life.alive) return;
    if (opened.kind === 'refused') {
      this.#note(`refused: ${opened.text}`);
      if (!life.troubled && this.#bystanders.size === 0)
        this.#ledger.violated(`the spool was refused: ${opened.text}`);
    } else {
      life.claimed = true;
      await this.#deliver(life, opened.queue, runs, signal);
    }
    if (life.disk.open > 0) this.#ledger.violated(`life ${life.number} left ${life.disk.open} files open`);
    if (life.timers > 0) this.#ledger.violated(`life ${life.number} left ${life.timers} timers`);
    if (this.#network.open > 0) this.#ledger.violated(`life ${life.number} left connections open`);
  }

  /** What `run` and, with several runs, `watch` do. */
  async #deliver(life: Life, room: Queue, runs: number, signal: AbortSignal): Promise<void> {
    const recorder = this.#recorder?.(life.clock) ?? null;
    const ports = {
      ...this.#network.portsFor(life),
      queue: room,
      clock: life.clock,
      random: seededRandom(this.#plan.seed + life.number),
      events: {
        outcome: (record: Parameters<Ledger['outcome']>[0]) => {
          this.#note(`outcome ${record.recipient} ${record.status} ${record.text}`);
          this.#ledger.outcome(record, life.number);
        },
        quarantined: (control: number, reason: string) =>
          this.#ledger.violated(`${control} was set aside: ${reason}`),
        warning: (text: string) => this.#note(`warning: ${text}`),
        trace: recorder?.observe ?? (() => {}),
      },
    };
    await this.#orTrouble(life, async () => {
      const dsnSender = this.#reporter(life, room);
      if (runs > 1) await this.#watch(life, { ...ports, dsnSender }, runs, signal);
      else await runQueue({ ...ports, dsnSender }, this.#rulesNow(), signal);
    });
    await recorder?.close();
    life.claimed = false;
    await this.#orTrouble(life, () => room.close());
  }

  /** One queue that stays: looks while it is busy, pauses, looks again; after an outcome that could not be written it begins again. */
  async #watch(life: Life, ports: RunDeps, looks: number, signal: AbortSignal): Promise<void> {
    const queue = new QueueRunner(ports, this.#rulesNow(), signal);
    const look = (): Promise<void> =>
      this.#orTrouble(life, async () => {
        if (queue.halted) await queue.resume();
        await queue.scan(false);
      });
    for (let number = 1; number <= looks && !signal.aborted; number++) {
      await look();
      while (queue.isActive && life.alive) {
        await queue.idleOr(POLL);
        if (queue.isActive && !signal.aborted) await look();
      }
      if (number < looks) await pause(life, 400_000, signal);
    }
    await queue.close();
  }

  #reporter(life: Life, room: Queue): DsnSender {
    const { clock } = life;
    const random = seededRandom(this.#plan.seed * 17 + life.number);
    const { fqdn } = this.#rules.render;
    return new DsnSender(
      {
        queue: room,
        clock,
        random,
        store: openDsnStore(SPOOL, { ...life, random }),
        transport: {
          name: 'a return path',
          eightBit: true,
          send: (report) => this.#takeReport(report, life),
        },
        compose: (report, stamp) => this.#clock.standStill(composeDsn(report, stamp)),
        events: {
          sent: ({ notices }) => {
            for (const { kind, recipient } of notices)
              if (kind !== 'delayed') this.#ledger.reportNoted(recipient);
          },
          suppressed: (_, recipients, reason) =>
            this.#ledger.violated(`${recipients.join(' ')} were not reported: ${reason}`),
          waiting: (text) => this.#note(`waiting: ${text}`),
        },
      },
      {
        site: { fqdn, aide: `room_aide@${fqdn}` },
        author: this.#rules.postmaster,
        schedule: this.#rules.due.schedule,
        render: this.#rules.render,
      },
    );
  }

  /** What is under way arrives, whatever becomes of the process that sent it. */
  async #takeReport(report: Buffer, life: Life): Promise<HandoverResult> {
    if (!life.step('sends a report')) return new Promise(() => {});
    const isDown = !this.#calm && this.#reportsRefused++ < this.#plan.reportsRefused;
    const failed = [...report.toString('latin1').matchAll(FAILED)].flatMap(([, address]) => address ?? []);
    this.#clock.after(5, () => {
      if (!isDown) this.#ledger.reported(failed, life.number);
    });
    await new Promise<void>((done) => life.clock.after(10, done));
    return isDown ? { kind: 'unavailable', why: 'it is down' } : { kind: 'safe', where: 'a mailbox' };
  }

  /** A failing disk may end a run with an error of its own, and nothing else may. */
  async #orTrouble(life: Life, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!life.alive) throw new Killed();
      const isOfDisk = error instanceof QueueError || errorCode(error) !== null;
      if (!life.troubled || !isOfDisk) throw error;
      this.#note(`trouble: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #rulesNow(): RunRules {
    return { ...this.#rules, due: { ...this.#rules.due, force: this.#calm } };
  }

  #settings() {
    return { dialect: this.#plan.dialect, spans: this.#rules.due.schedule.retry };
  }

  #depsFor(life: Life): SpoolDeps {
    const { disk, clock, processes, number } = life;
    const warn = (text: string): void => this.#note(`warning: ${text}`);
    return { disk, clock, processes, random: seededRandom(this.#plan.seed * 31 + number), warn };
  }

  #schedule(incident: Incident, life: Life, controller: AbortController): void {
    const at = (milliseconds: number, call: () => void): void => {
      this.#clock.after(milliseconds, () => {
        if (life.alive) call();
      });
    };
    switch (incident.what) {
      case 'term': {
        at(incident.at, () => {
          this.#note('SIGTERM');
          controller.abort('SIGTERM');
        });
        at(incident.at + STOP_LIMIT + this.#slowness(life.number), () =>
          this.#ledger.violated(`life ${life.number} did not stop`),
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
          this.#another(incident.does, life);
        });
        return;
      case 'kill':
      case 'power':
      case 'disk':
      case 'slow-disk':
      case 'wire':
      case 'dns':
    }
  }

  /** A slow disk may hold the end of a run up for some syncs. */
  #slowness(life: number): number {
    const slow = this.#plan.incidents.find((each) => each.what === 'slow-disk' && each.life === life);
    return slow?.what === 'slow-disk' ? 20 * slow.milliseconds : 0;
  }

  #another(does: OtherDeed, life: Life): void {
    switch (does) {
      case 'starts a second runner':
        this.#bystanding.push(this.#bystander(0, (process) => this.#secondRunner(life, process)));
        return;
      case 'enqueues':
        this.#bystanding.push(this.#bystander(0, (process) => this.#enqueue(process)));
        return;
      case 'adds a recipient':
      case 'rewrites a list as it was':
      case 'removes a list': {
        const added = `added.${++this.#others}@a.example`;
        const touch = touchList(this.#disk, does, added);
        if (touch === null) return;
        this.#note(`it was ${touch.name}`);
        if (does === 'adds a recipient') this.#ledger.expect(this.#subjectOf(touch.msgid), added);
        if (does === 'removes a list') for (const address of touch.touched) this.#ledger.withdraw(address);
      }
    }
  }

  #subjectOf(msgid: number): string {
    return subjectIn(this.#disk.read(`${SPOOL}/${msgid}`, 1000).bytes.toString('latin1'));
  }

  /** Another process on the same machine. */
  async #bystander(
    number: number,
    work: (process: Life, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const name = number > INTAKE ? `intake ${number}` : 'another process';
    const { life: process, controller } = this.#start(number, (line) => this.#note(`${name}: ${line}`));
    this.#bystanders.add(process);
    try {
      await Promise.race([work(process, controller.signal), process.death]);
    } catch (error) {
      if (error instanceof Killed) this.#bystanderKilled(process);
      else this.#ledger.violated(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    }
    this.#bystanders.delete(process);
    process.end();
    this.#steps += process.steps;
  }

  /** By itself, or because the power failed for all. */
  #bystanderKilled(process: Life): void {
    this.#cutShort = true;
    const seed = this.#powerFailing(process);
    if (seed === null) return;
    this.#bystanders.delete(process);
    if (this.#deliverer?.alive === true) {
      this.#powerSeed = seed;
      this.#deliverer.kill();
    } else {
      this.#powerFailure(seed);
    }
  }

  /** Takes what Citadel hands over; stays until that is done, or it is told to stop. */
  async #intake(process: Life, signal: AbortSignal): Promise<void> {
    const opened = await openSpoolClient(SPOOL, this.#depsFor(process), this.#settings());
    if (opened.kind === 'refused') {
      if (process.alive && !process.troubled)
        this.#ledger.violated(`the intake was refused the spool: ${opened.text}`);
      return;
    }
    const life = process.number - INTAKE;
    await handOver({
      process,
      signal,
      room: opened.client,
      clock: this.#clock,
      ledger: this.#ledger,
      note: this.#note,
      handovers: this.#plan.handovers.filter((each) => each.life === life),
    });
    if (process.disk.open > 0) this.#ledger.violated(`intake ${process.number} left files open`);
    if (process.timers > 0) this.#ledger.violated(`intake ${process.number} left timers`);
  }

  /** Cron starts the next one while the first is at work. */
  async #secondRunner(life: Life, second: Life): Promise<void> {
    const opened = await openSpoolQueue(SPOOL, this.#depsFor(second), this.#settings());
    if (opened.kind === 'refused') return;
    if (life.claimed) this.#ledger.violated('two runners at once');
    await opened.queue.close();
  }

  /** A job that was acknowledged is as good as delivered; one that was not may be there or not. */
  async #enqueue(process: Life): Promise<void> {
    const name = `other${++this.#others}`;
    const recipients = [`${name}@a.example`, `${name}@b.example`];
    const opened = await openSpoolClient(SPOOL, this.#depsFor(process), this.#settings());
    if (opened.kind === 'refused') throw new Error(opened.text);
    for (const address of recipients) {
      this.#ledger.expect(name, address);
      this.#ledger.excuse(address);
    }
    const mail = textOf({ name, recipients, form: 'bare', lists: 1, size: 100 });
    const facts = { bounceto: 'me@me.example', envelopeFrom: 'me@me.example', sourceRoom: null };
    await opened.client.enqueue(Buffer.from(mail), { ...facts, recipients, submitted: NOW });
    for (const address of recipients) this.#ledger.promise(address);
  }

  #checkBetween(): void {
    const { troubles, waiting, lists } = survey(this.#disk);
    for (const trouble of troubles) this.#ledger.violated(trouble);
    this.#ledger.audit(waiting, this.#mayRefuse);
    // Whom another program added has tries of its own.
    if (this.#happens('other')) return;
    for (const [name, job] of lists) this.#ledger.auditWait(name, job);
  }

  /** Whether anybody in this world says no for good. */
  get #mayRefuse(): boolean {
    const { servers, mails, incidents } = this.#plan;
    const gone = mails.some(({ recipients }) => recipients.some((each) => each.endsWith('@gone.example')));
    const denied = incidents.some((each) => each.what === 'dns' && each.answer === 'no-domain');
    return gone || denied || /\b5\d\d /.test(JSON.stringify(servers));
  }

  #checkEnd(): void {
    const { waiting, lists, mails } = survey(this.#disk);
    this.#ledger.finalAudit(waiting);
    for (const name of lists.keys()) this.#ledger.violated(`the list ${name} is left over`);
    const orphans = this.#cutShort || this.#happens('other') || this.#happens('disk');
    for (const name of orphans ? [] : mails) this.#ledger.violated(`the mail ${name} is left over`);
    const left = this.#disk.list(`${SPOOL}/.spoolroom/tmp`).map(({ name }) => name);
    if (left.length > 0) this.#ledger.violated(`temporary files are left over: ${left.join(' ')}`);
    const journal = `${SPOOL}/.spoolroom/journal`;
    if (this.#disk.status(journal) === null) return;
    const lines = this.#disk
      .read(journal, 1 << 24)
      .bytes.toString('latin1')
      .split('\n');
    if (lines.length > 2)
      this.#ledger.violated(`the journal still says something: ${lines.slice(1).join(' ')}`);
  }
}

/** Until the time is over or the process is told to stop. */
function pause(life: Life, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = life.clock.after(milliseconds, done);
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
