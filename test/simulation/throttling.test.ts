/**
 * A world in which one large receiver takes so many messages a minute and refuses everything for a time when it gets more:
 * runs from cron on a simulated disk and clock until all mail has arrived.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unknown8bit } from '../../src/message/charset.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { World, type WorldScript } from '../../src/replay/world/world.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import { readyDeliveries } from '../../src/runner/deliveries.ts';
import { runQueue } from '../../src/runner/queue-runner.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { throttleStore } from '../../src/runner/throttling/throttle-store.ts';
import { readSettings } from '../../src/settings/read.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { NO_RUN_EVENTS } from '../support/no-events.ts';
import { FakeMachine } from '../support/processes.ts';
import { NOW, seededRandom } from '../support/spool.ts';
import { fillSpool, SPOOL } from './spool.ts';

const MINUTE = 60_000;
const THROTTLED = `${SPOOL}/.spoolroom/throttled`;

class WatchedDisk extends MemoryDisk {
  throttledReads = 0;
  throttledWrites = 0;

  override read(file: string, limit: number) {
    if (file === THROTTLED) this.throttledReads++;
    return super.read(file, limit);
  }

  override rename(from: string, to: string): void {
    if (to === THROTTLED) this.throttledWrites++;
    super.rename(from, to);
  }
}

/** Takes `rate` messages a minute; when it gets more, none for `penalty` milliseconds. */
class Receiver implements ServerScript {
  refused = 0;
  readonly #clock: VirtualClock;
  readonly #rate: number;
  readonly #penalty: number;
  readonly #taken: number[] = [];
  #closedUntil = 0;

  constructor(clock: VirtualClock, rate: number, penalty: number) {
    this.#clock = clock;
    this.#rate = rate;
    this.#penalty = penalty;
  }

  /** Asked once for each MAIL. */
  get mail(): string {
    const now = this.#clock.monotonic();
    const recent = this.#taken.filter((at) => at > now - MINUTE).length;
    if (now >= this.#closedUntil && recent < this.#rate) {
      this.#taken.push(now);
      return '250 2.1.0 ok';
    }
    this.#closedUntil = Math.max(this.#closedUntil, now + this.#penalty);
    this.refused++;
    return '421-4.7.28 unusual rate of unsolicited mail from your IP address\n421 4.7.28 rate limited then close';
  }
}

const BIG = ['gmail.example', 'school.example', 'firm.example', 'club.example'];

class Cron {
  readonly clock = new VirtualClock(NOW * 1000);
  readonly disk = new WatchedDisk(() => this.clock.now());
  readonly receiver: Receiver;
  readonly world: World;
  readonly outcomes: OutcomeRecord[] = [];
  readonly warnings: string[] = [];
  readonly #rules;
  readonly #machine = new FakeMachine();

  constructor(rate: number, penalty: number) {
    this.receiver = new Receiver(this.clock, rate, penalty);
    const names: WorldScript['names'] = {
      ...Object.fromEntries(
        BIG.map((domain, index) => [domain, { mx: [[10, `mx${index % 3}.big.example`]] as const }]),
      ),
      ...Object.fromEntries([0, 1, 2].map((n) => [`mx${n}.big.example`, { a: [`192.0.2.${n + 1}`] }])),
      '*': { mx: [[10, 'mx.$']], a: ['192.0.2.9'] },
    };
    const big = this.receiver;
    const servers = { '192.0.2.1': big, '192.0.2.2': big, '192.0.2.3': big, '*': {} };
    this.world = new World({ names, servers }, this.clock);
    const read = readSettings({ hostname: 'me.example' });
    if (!read.ok) throw new Error('the defaults are wrong');
    this.#rules = rulesFrom(read.settings, {
      hostname: 'me.example',
      ehloName: 'me.example',
      relays: [],
      charset: unknown8bit,
      certificates: [],
      signer: null,
      warnings: [],
      interfaces: [],
    });
  }

  fill(toBig: number, toOthers: number): void {
    const plain = { form: 'bare', lists: 1, size: 500 } as const;
    const messages = Array.from({ length: toBig + toOthers }, (_, index) => {
      const domain = index < toBig ? BIG[index % BIG.length] : `d${index % 7}.example`;
      return { ...plain, name: `m${index}`, recipients: [`m${index}@${domain}`] };
    });
    fillSpool(this.disk, messages, NOW);
  }

  /** One run; resolves to the number of jobs that are left. */
  async run(): Promise<number> {
    const { clock, disk, world } = this;
    const process = this.#machine.start();
    const warn = (text: string): void => void this.warnings.push(text);
    const deps = { disk, clock, processes: process, random: seededRandom(1), warn };
    const spans = this.#rules.due.schedule.retry;
    const done = (async () => {
      const opened = await openSpoolQueue(SPOOL, deps, { dialect: '2012', spans });
      if (opened.kind === 'refused') throw new Error(opened.text);
      const queue = opened.queue;
      await runQueue(
        readyDeliveries(
          {
            queue,
            clock,
            random: () => 0.5,
            resolver: world.resolver,
            connect: world.connect,
            throttleStore: throttleStore(disk, layoutOf(SPOOL)),
            events: {
              ...NO_RUN_EVENTS,
              outcome: (record) => void this.outcomes.push(record),
              warning: warn,
            },
          },
          this.#rules,
        ),
        this.#rules,
        new AbortController().signal,
      );
      const { jobs } = await queue.scan();
      await queue.close();
      return jobs.length;
    })();
    return clock.runUntil(done);
  }

  async pass(milliseconds: number): Promise<void> {
    await this.clock.runUntil(new Promise<void>((done) => this.clock.after(milliseconds, done)));
  }

  lists(): readonly string[] {
    return this.disk
      .list(SPOOL)
      .filter(({ kind, name }) => kind === 'file' && /^[1-9]\d+$/.test(name))
      .map(({ name }) => this.disk.read(`${SPOOL}/${name}`, 1 << 20).bytes.toString('latin1'))
      .filter((text) => text.includes('delivery-list'));
  }
}

describe('a receiver that limits the rate, and cron', () => {
  it('gets all mail, with few refusals, and nobody else waits', async () => {
    const cron = new Cron(30, 20 * MINUTE);
    cron.fill(400, 70);
    let left = await cron.run();
    const others = cron.world.arrived.filter(({ address }) => address === '192.0.2.9');
    assert.equal(others.length, 70, 'all other mail arrives in the first run');
    let runs = 1;
    while (left > 0) {
      assert.ok(++runs < 2000, `${left} messages are left after ${runs} runs`);
      await cron.pass(MINUTE);
      left = await cron.run();
    }
    assert.equal(cron.world.arrived.length, 470);
    const arrived = new Set(cron.world.arrived.flatMap(({ recipients }) => recipients));
    assert.equal(arrived.size, 470, 'each once');
    assert.ok(cron.receiver.refused <= 60, `${cron.receiver.refused} refusals in ${runs} runs`);
    assert.ok(cron.disk.throttledWrites <= runs + cron.receiver.refused);
    assert.equal(cron.disk.status(THROTTLED) === null || left === 0, true);
  });

  it('leaves the lists of waiting messages as they were', async () => {
    const cron = new Cron(5, 60 * MINUTE);
    cron.fill(60, 0);
    const before = new Set(cron.lists());
    const left = await cron.run();
    const untouched = cron.lists().filter((text) => before.has(text));
    const refused = cron.outcomes.filter(({ status }) => status === 4).length;
    assert.equal(left, 55);
    assert.equal(untouched.length, 55 - refused);
    assert.ok(refused <= 20, `${refused} messages were refused`);
    const connections = cron.world.connections;
    for (let run = 0; run < 4; run++) {
      await cron.pass(MINUTE);
      await cron.run();
    }
    assert.equal(cron.world.connections, connections, 'nothing is tried in the pause');
    assert.equal(cron.lists().filter((text) => before.has(text)).length, untouched.length);
    assert.match(
      cron.warnings.join('\n'),
      /^big\.example asked us to slow down[^\n]*: 421 4\.7\.28 unusual[^\n]*\.$/,
    );
  });

  it('is not asked for by a run that has nothing to do', async () => {
    const cron = new Cron(5, MINUTE);
    cron.fill(0, 0);
    await cron.run();
    assert.equal(cron.disk.throttledReads, 0);
  });

  it('is forgotten when what is known of it is damaged', async () => {
    const cron = new Cron(5, 60 * MINUTE);
    cron.fill(60, 0);
    await cron.run();
    const file = cron.disk.create(`${THROTTLED}.broken`, { mode: 0o600, uid: 0, gid: 0 });
    file.write(Buffer.from('{"big.example":{"state":"paus'));
    file.close();
    cron.disk.rename(`${THROTTLED}.broken`, THROTTLED);
    const refused = cron.receiver.refused;
    await cron.pass(MINUTE);
    await cron.run();
    assert.ok(cron.receiver.refused > refused);
    assert.ok(cron.receiver.refused <= refused + 8);
  });
});
