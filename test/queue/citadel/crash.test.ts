/**
 * A live room whose process dies between any two commands of the protocol, before or after the server has executed them, and
 * at any write to its own disk. Another process finishes the work. No recipient is lost, and none with a durable outcome gets
 * the message a second time.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { MessageNumber } from '../../../src/delivery-list/job.ts';
import { type Connect, type Connection, connect } from '../../../src/net-stream-utils/index.ts';
import { openLiveQueue } from '../../../src/queue/citadel/open.ts';
import type { ControlSettings } from '../../../src/queue/control-message.ts';
import { groupByPayload } from '../../../src/queue/due.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { ActiveMessage, type MessageEvents } from '../../../src/runner/active-message.ts';
import type { Outcome } from '../../../src/smtp/outcome.ts';
import { type Disk, nodeDisk, type OpenFile } from '../../../src/storage/disk.ts';
import type { Era } from '../../support/citadel-server.ts';
import { type Fault, faultyDisk } from '../../support/faulty-disk.ts';
import {
  allDead,
  type LiveScene,
  listsIn,
  liveScene,
  MAIL,
  newList,
  openLive,
  openProven,
  probesIn,
} from '../../support/live-room.ts';
import { MESSAGE_DEPS } from '../../support/message-deps.ts';
import { type Bench, bench, NOW, SETTINGS_2012, SETTINGS_2017 } from '../../support/spool.ts';
import { size } from '../../support/thorough.ts';

const PEER = { host: 'mx.example', address: '192.0.2.1', port: 25 };
const DELIVERED: Outcome = { kind: 'delivered', code: 250, enhanced: '2.0.0', text: 'ok', peer: PEER };
const LATER: Outcome = {
  ...{ kind: 'failed', scope: 'recipient', stage: 'rcpt', permanent: false, code: 450, enhanced: '4.2.1' },
  ...{ text: 'later', peer: PEER, maybeDelivered: false },
};
const NEVER = new AbortController().signal;
const SETTINGS: Readonly<Record<string, ControlSettings>> = {
  '2012': SETTINGS_2012,
  '2023': SETTINGS_2017,
};

/** Only processes die here, not the machine: what was written is there, synced or not. */
const QUICK_DISK: Disk = {
  ...nodeDisk,
  syncDirectory: async () => {},
  create: (path, owner) => unsynced(nodeDisk.create(path, owner)),
};

function unsynced(file: OpenFile): OpenFile {
  return { write: (bytes) => file.write(bytes), sync: async () => {}, close: () => file.close() };
}

/** What the servers received, from all processes. */
class World {
  /** address -> how often the message was accepted for it */
  readonly accepted = new Map<string, number>();
  /** addresses whose delivery was confirmed to be durable */
  readonly durable = new Set<string>();
  readonly repeated: string[] = [];

  accept(address: string): void {
    if (this.durable.has(address)) this.repeated.push(address);
    this.accepted.set(address, (this.accepted.get(address) ?? 0) + 1);
  }
}

/** The steps of a queue run, one at a time. */
class Runner {
  readonly queue: Queue;
  readonly #world: World;
  readonly messages = new Map<MessageNumber, ActiveMessage>();
  #written = (): void => {};

  constructor(queue: Queue, world: World) {
    this.queue = queue;
    this.#world = world;
  }

  /** Scans, and starts to deliver what is not being delivered yet. */
  async scan(): Promise<void> {
    const { jobs } = await this.queue.scan(this.messages);
    for (const [msgid, each] of groupByPayload(jobs)) {
      if (this.messages.has(msgid)) continue;
      const ports = { ...MESSAGE_DEPS, queue: this.queue, now: () => NOW, dsnSender: null };
      const reported: MessageEvents['outcome'] = ({ recipient, status }) => {
        if (status === 2) this.#world.durable.add(recipient);
        this.#written();
      };
      const mail = new ActiveMessage(each, ports, {
        outcome: reported,
        lost: () => {},
        notWritten: () => this.#written(),
      });
      mail.reconcile();
      this.messages.set(msgid, mail);
    }
  }

  /** The server of this recipient answers. */
  reply(address: string, outcome: Outcome): void {
    for (const mail of this.messages.values()) {
      const indices = mail.pending().filter((index) => mail.recipients[index]?.address === address);
      if (indices.length === 0) continue;
      if (outcome.kind === 'delivered') this.#world.accept(address);
      mail.recordOutcome('example', indices, outcome, { milliseconds: 1, tls: null });
    }
  }

  /** Like reply; resolves when the outcome is durable, or cannot be. */
  async replyAndWait(address: string, outcome: Outcome): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#written = resolve;
    });
    this.reply(address, outcome);
    await written;
  }

  /** The deliveries of this message have ended. */
  async close(msgid: MessageNumber): Promise<void> {
    await this.messages.get(msgid)?.close(NEVER);
    this.messages.delete(msgid);
  }

  async deliverAll(): Promise<void> {
    await this.scan();
    for (const [msgid, mail] of this.messages) {
      for (const index of mail.pending()) this.reply(mail.recipients[index]?.address ?? '', DELIVERED);
      await this.close(msgid);
    }
    await this.queue.flush();
  }
}

interface ProcessContext {
  readonly scene: LiveScene;
  readonly deps: Bench;
  readonly world: World;
  /** called before each posted text is taken by the server */
  onPost: () => Promise<void>;
  open(): Promise<Runner>;
}

/** What a process does until it ends or dies; rejects when it dies. */
type Steps = (process: ProcessContext, messages: Messages) => Promise<void>;

interface Messages {
  readonly slow: MessageNumber;
  readonly quick: MessageNumber;
}

const SCENARIOS: Readonly<Record<string, { readonly isProven: boolean; readonly steps: Steps }>> = {
  'a first start: login, probe, end of the probe period, delivery': {
    isProven: false,
    async steps({ open, deps }) {
      const runner = await open();
      await runner.scan();
      deps.clock.advance(80_000);
      await runner.scan();
      deps.clock.advance(80_000);
      await runner.deliverAll();
      await runner.queue.close();
    },
  },
  'outcomes in steps, a scan during the delivery, an outcome while a text is posted': {
    isProven: true,
    async steps(process, { slow, quick }) {
      const runner = await process.open();
      await runner.scan();
      runner.reply('b@example.com', DELIVERED);
      await runner.queue.flush();
      await runner.scan();
      process.onPost = () => {
        process.onPost = async () => {};
        return runner.replyAndWait('d@example.com', DELIVERED);
      };
      runner.reply('c@example.com', LATER);
      await runner.queue.flush();
      await runner.scan();
      runner.reply('e@example.com', DELIVERED);
      await runner.close(quick);
      await runner.queue.flush();
      runner.reply('f@example.com', DELIVERED);
      await runner.close(slow);
      await runner.queue.close();
    },
  },
  'the recovery of a killed process': {
    isProven: true,
    async steps(process, { quick }) {
      const killed = await process.open();
      await killed.scan();
      killed.reply('b@example.com', DELIVERED);
      await killed.queue.flush();
      killed.reply('c@example.com', DELIVERED);
      killed.reply('d@example.com', LATER);
      killed.reply('e@example.com', DELIVERED);
      await killed.close(quick);
      // It dies here, with a full journal; the next process continues.
      const runner = await process.open();
      await runner.deliverAll();
      await runner.queue.close();
    },
  },
};

const SLOW = ['b@example.com', 'c@example.com', 'd@example.com', 'f@example.com'];
const QUICK = ['e@example.com'];

interface Cut {
  /** `ENOSPC`, `EIO`: the step fails once, and the process goes on */
  readonly where: 'before' | 'after' | 'disk' | 'ENOSPC' | 'EIO';
  /** commands or disk steps that still work */
  readonly at: number;
}

/** One process that ends at the cut. Resolves to whether the cut was reached. */
async function runUntilCut(t: TestContext, era: Era, name: string, cut: Cut): Promise<boolean> {
  const { isProven, steps } = SCENARIOS[name] as (typeof SCENARIOS)[string];
  const scene = { ...(await liveScene(t, era)), deps: bench({ processes: allDead, disk: QUICK_DISK }) };
  const { double } = scene;
  const settings = SETTINGS[era] ?? SETTINGS_2012;
  if (isProven) await (await openProven(scene, settings)).close();
  const slow = double.postMail(MAIL);
  double.post(newList(slow, ...SLOW));
  const quick = double.postMail(MAIL);
  double.post(newList(quick, ...QUICK));
  const world = new World();

  const isNetwork = cut.where === 'before' || cut.where === 'after';
  const isDeadly = isNetwork || cut.where === 'disk';
  const fault: { step: number; code: Fault['code'] } = {
    step: isNetwork ? Number.MAX_SAFE_INTEGER : cut.at + 1,
    code: cut.where === 'ENOSPC' || cut.where === 'EIO' ? cut.where : 'killed',
  };
  const disk = faultyDisk(fault, QUICK_DISK);
  const isReached = (): boolean => disk.taken.length >= fault.step;
  let isOver = false;
  const isDead = (): boolean => isOver || (isDeadly && isReached());
  let commands = 0;
  const connections: Connection[] = [];
  /** What is left of a dead process reaches nobody. */
  const connectAlive: Connect = (endpoint, events, tls) => {
    const reached = isDead() ? { ...endpoint, address: `${endpoint.address}.gone` } : endpoint;
    const connection = connect(reached, events, tls);
    connections.push(connection);
    return connection;
  };
  const deps = bench({ processes: allDead, disk });
  const process: ProcessContext = {
    ...{ scene, deps, world, onPost: async () => {} },
    async open() {
      const opened = await openLiveQueue(scene.options, { ...deps, connect: connectAlive }, settings);
      if (opened.kind === 'refused') throw new Error(opened.text);
      return new Runner(opened.queue, world);
    },
  };
  double.fault = async (line) => {
    if (isDead()) return 'lost-before';
    if (line === '(text)') {
      const recorded = process.onPost();
      // An outcome that the disk does not take waits for this text.
      if (isNetwork) await recorded;
    }
    if (!isNetwork || commands++ !== cut.at) return null;
    fault.step = 0;
    return cut.where === 'before' ? 'lost-before' : 'lost-after';
  };
  await steps(process, { slow, quick }).catch((error) => {
    if (!isReached()) throw error;
  });
  const came = isReached();
  // The process is dead now, however it ended.
  isOver = true;
  Object.assign(fault, { step: 0, code: 'killed' });
  for (const connection of connections) connection.destroy();
  double.fault = () => null;
  await endOfWork(scene, world, settings, `${name}, ${cut.where} ${cut.at}`);
  await double.close();
  return came;
}

/** The next process finishes the work. */
async function endOfWork(
  scene: LiveScene,
  world: World,
  settings: ControlSettings,
  what: string,
): Promise<void> {
  const { double } = scene;
  const next = { ...scene, deps: bench({ processes: allDead, disk: QUICK_DISK }) };
  const runner = new Runner(await openLive(next, settings), world);
  await runner.scan();
  next.deps.clock.advance(160_000);
  await runner.deliverAll();
  await runner.queue.close();
  assert.deepEqual(world.repeated, [], `${what}: nobody gets it twice`);
  assert.deepEqual([...world.accepted.keys()].sort(), [...SLOW, ...QUICK].sort(), `${what}: nobody is lost`);
  assert.deepEqual(listsIn(double), {}, `${what}: no list is left`);
  assert.deepEqual([...double.messages.keys()], probesIn(double), `${what}: no payload is left`);
  assert.equal(probesIn(double).length, 1, `${what}: the flag alone is left`);
}

/** What differs between the eras is the text, whose writing is the same step. */
const EVERY = { '2012': size(2, 1), '2023': size(3, 1) };

const HOW = { before: 'before any command', after: 'after any command', disk: 'at any write' } as const;

async function atEachStep(
  t: TestContext,
  era: keyof typeof EVERY,
  name: string,
  where: Cut['where'],
): Promise<void> {
  let at = 0;
  while (await runUntilCut(t, era, name, { where, at })) at += EVERY[era];
  assert.ok(at >= 10, `${at} steps`);
  t.diagnostic(`${at} steps`);
}

for (const era of ['2012', '2023'] as const) {
  for (const name of Object.keys(SCENARIOS))
    for (const where of ['before', 'after', 'disk'] as const)
      test(`${era}: ${name}: dies ${HOW[where]}`, (t) => atEachStep(t, era, name, where));
  for (const code of ['ENOSPC', 'EIO'] as const)
    test(`${era}: no write that fails with ${code} loses a message or repeats one`, (t) =>
      atEachStep(
        t,
        era,
        'outcomes in steps, a scan during the delivery, an outcome while a text is posted',
        code,
      ));
}
