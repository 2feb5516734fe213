/**
 * What every kind of queue does: one list of cases, run against a spool directory and
 * against the queue room of a server. What differs by nature is data in `QueueKind.differs`.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Dialect, MessageNumber, StatusChange } from '../../src/delivery-list/job.ts';
import type { ControlSettings } from '../../src/queue/control-message.ts';
import type { Queue } from '../../src/queue/queue.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { NEW_JOB, NOW, SETTINGS_2012, SETTINGS_2017 } from '../support/spool.ts';

/** A database answers later. */
type Later<T> = T | Promise<T>;

export interface QueueFixture {
  /** Another program puts a payload there. */
  putMail(text?: string): Later<MessageNumber>;
  /** Another program puts a delivery list there, given without its header. */
  putList(instructions: string): Later<MessageNumber>;
  /** Another program removes a message. */
  remove(number: MessageNumber): Later<void>;
  /** Another program changes a list. */
  change(number: MessageNumber, instructions: string): Later<void>;
  numbers(): Later<MessageNumber[]>;
  /** Delivery lists without their headers, by number. */
  lists(): Later<Record<MessageNumber, string>>;
  /** The next process opens the queue and may take jobs; a queue that was not closed belongs to a process that died. */
  open(overrides?: { readonly disk?: Disk }): Promise<Queue>;
  /** Opens it while the previous process is alive; resolves to the reason of the refusal. */
  openBeside(): Promise<string>;
  /** of the process that opened last */
  advance(milliseconds: number): void;
  readonly warnings: readonly string[];
}

export interface QueueKind {
  readonly name: string;
  make(t: TestContext, settings: ControlSettings): Promise<QueueFixture>;
  readonly differs: {
    /** whether a rewritten list keeps its number, or is a new message */
    readonly keepsNumbers: boolean;
    /** whether an unreadable list is moved away, or stays there */
    readonly movesUnreadable: boolean;
    /** what happens to a list that another program changed meanwhile */
    readonly changed: 'merged' | 'alarm';
    /** outcomes go into a journal on the disk first; otherwise into the queue itself */
    readonly hasJournal: boolean;
    /** whether new messages are accepted, or refused with a reason */
    readonly enqueues: boolean;
    /** its lists hold pending recipients before all others */
    readonly pendingFirst: boolean;
    /** in which its lists can be written; a server decides about that itself */
    readonly dialects: readonly [Dialect, ...Dialect[]];
  };
}

/** More than any case has. */
const MOST = 1000;
const NONE: ReadonlySet<MessageNumber> = new Set();

function outcome(index: number, address: string, status: 2 | 4 | 5, text = 'said so'): StatusChange {
  return { index, address, status, text };
}

function newInstructions(msgid: MessageNumber, ...recipients: readonly string[]): string {
  const lines = recipients.map((address) => `remote|${address}|0||\n`);
  return `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\n${lines.join('')}`;
}

/** The `retry` and `attempted` of a list that is read after its first attempt at `NOW`. */
const TIMES: Readonly<Record<Dialect, readonly [number, number]>> = {
  // the next run waits longer
  '2012': [600, NOW + 300],
  '2017': [300, NOW],
};

const SETTINGS: Readonly<Record<Dialect, ControlSettings>> = { '2012': SETTINGS_2012, '2017': SETTINGS_2017 };

function settingsOf({ differs: { dialects } }: QueueKind): ControlSettings {
  return SETTINGS[dialects[0]];
}

/** As we write it back after a run at `NOW`. */
function rewritten(kind: QueueKind, msgid: MessageNumber, ...remotes: readonly string[]): string {
  const isPending = (remote: string): boolean => /\|[04]\|/.test(remote);
  const is2012 = settingsOf(kind).dialect === '2012';
  const pending = remotes.filter(isPending);
  const ordered = [...pending, ...remotes.filter((remote) => !isPending(remote))];
  const shown = is2012 ? (kind.differs.pendingFirst ? ordered : remotes) : pending;
  const lines = shown.map((remote) => `remote|${remote}\n`);
  const head = `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\n`;
  return is2012
    ? `${head}retry|300\nattempted|${NOW + 300}\n${lines.join('')}`
    : `\n${head}${lines.join('')}attempted|${NOW}\n`;
}

/** What the list of a job is like of which an outcome was recorded at `NOW`, and in which nobody is pending. */
function settled(kind: QueueKind, msgid: MessageNumber, address: string): string {
  // A list of 2017 cannot say that, and the journal does.
  return settingsOf(kind).dialect === '2012'
    ? rewritten(kind, msgid, `${address}|2|said so`)
    : newInstructions(msgid, address);
}

async function instructions(place: QueueFixture): Promise<string[]> {
  return Object.values(await place.lists());
}

async function bytesOf(queue: Queue, payload: MessageNumber): Promise<string> {
  const read = await queue.readPayload(payload);
  assert.ok(read.kind === 'found', `${payload} is ${read.kind}`);
  const passes: string[] = [];
  for (let pass = 0; pass < 2; pass++) {
    const pieces: Buffer[] = [];
    for await (const piece of read.message.stream()) pieces.push(piece);
    passes.push(Buffer.concat(pieces).toString('latin1'));
  }
  assert.equal(passes[0], passes[1], 'a second pass gives the same');
  assert.equal(passes[0]?.length, read.message.size);
  return passes[0] ?? '';
}

/** Address and status of each recipient a scan shows. */
async function statuses(queue: Queue): Promise<(readonly [string, number])[]> {
  const { jobs } = await queue.claim(MOST, NONE);
  return jobs.flatMap(({ job }) => job.recipients.map(({ address, status }) => [address, status] as const));
}

type Case = (t: TestContext, kind: QueueKind) => Promise<void>;

async function oneJob(
  t: TestContext,
  kind: QueueKind,
  recipients: readonly string[],
  settings = settingsOf(kind),
) {
  const place = await kind.make(t, settings);
  const mail = await place.putMail();
  const control = await place.putList(newInstructions(mail, ...recipients));
  const queue = await place.open();
  return { place, mail, control, queue };
}

/** The real disk, on which nothing but `spared` can be written while `isFull`. */
function fillable(spared: (bytes: string) => boolean): { readonly disk: Disk; isFull: boolean } {
  const state = { isFull: false, disk: nodeDisk };
  state.disk = {
    ...nodeDisk,
    create(path, owner) {
      const file = nodeDisk.create(path, owner);
      return {
        write(bytes) {
          if (state.isFull && !spared(Buffer.from(bytes).toString('latin1')))
            throw Object.assign(new Error('full'), { code: 'ENOSPC' });
          file.write(bytes);
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
  return state;
}

const CASES: Readonly<Record<string, Case>> = {
  'a scan distinguishes jobs, payloads and orphans, in their order, and changes nothing': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const orphan = await place.putMail();
    const mail = await place.putMail();
    const second = await place.putMail();
    const control = await place.putList(newInstructions(mail, 'b@example.com'));
    const other = await place.putList(newInstructions(second, 'c@example.com', 'd@example.com'));
    const queue = await place.open();
    const before = [await place.numbers(), await place.lists()];
    const { jobs, orphans, quarantined } = await queue.claim(MOST, NONE);
    assert.deepEqual(
      jobs.map((job) => [job.control, job.job.msgid, job.job.recipients.map(({ address }) => address)]),
      [
        [control, mail, ['b@example.com']],
        [other, second, ['c@example.com', 'd@example.com']],
      ],
    );
    assert.deepEqual([orphans, quarantined], [[orphan], []]);
    assert.deepEqual([await place.numbers(), await place.lists()], before);
    await queue.close();
    assert.deepEqual([await place.numbers(), await place.lists()], before);
  },

  'a list with more recipients than its limit lets is not delivered, however short they are': async (
    t,
    kind,
  ) => {
    const place = await kind.make(t, { ...settingsOf(kind), longestList: 65_536 });
    const queue = await place.open();
    const mail = await place.putMail();
    const list = (count: number): string => `msgid|${mail}\nsubmitted|5\n${'remote|x@y|0||\n'.repeat(count)}`;
    const most = await place.putList(list(1024));
    await place.putList(list(1025));
    const { jobs, quarantined } = await queue.claim(MOST, NONE);
    assert.deepEqual(
      jobs.map(({ control }) => control),
      [most],
    );
    assert.match(quarantined.map(({ reason }) => reason).join(), /^it has 1025 recipients, more than 1024,/);
    await queue.close();
  },

  'an unreadable list is reported once, with its reason; its payload stays': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const queue = await place.open();
    const mail = await place.putMail();
    const nameless = await place.putList('submitted|5\nremote|x@example.com|0||\n');
    const lonely = await place.putList(`msgid|${mail}\nsubmitted|5\n`);
    const scan = await queue.claim(MOST, NONE);
    assert.deepEqual(scan.jobs, []);
    assert.deepEqual(
      scan.quarantined.map(({ number, reason, path }) => [number, reason, path !== undefined]),
      [
        [nameless, 'it has no msgid line, so its message is unknown', kind.differs.movesUnreadable],
        [lonely, 'it has no remote line, so it has no recipient', kind.differs.movesUnreadable],
      ],
    );
    assert.deepEqual((await queue.claim(MOST, NONE)).quarantined, []);
    await queue.close();
    const left = kind.differs.movesUnreadable ? [] : [nameless, lonely];
    assert.deepEqual(Object.keys(await place.lists()).map(Number), left);
    assert.ok((await place.numbers()).includes(mail));
  },

  'all outcomes are in the list a second later, without line ends of their texts': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, [
      'b@example.com',
      'c@example.com',
      'd@example.com',
    ]);
    await queue.claim(MOST, NONE);
    const before = await place.lists();
    await queue.record(control, [outcome(0, 'b@example.com', 2, 'ok\r\nremote|x@y|0||')], NOW);
    await queue.record(control, [outcome(2, 'd@example.com', 4, 'later')], NOW);
    assert.deepEqual(await place.lists(), before, 'the journal has it, the list not yet');
    place.advance(1000);
    await queue.flush();
    const after = await place.lists();
    assert.deepEqual(Object.values(after), [
      rewritten(
        kind,
        mail,
        'b@example.com|2|ok  remote x@y 0  ',
        'c@example.com|0|',
        'd@example.com|4|later',
      ),
    ]);
    assert.equal(control in after, kind.differs.keepsNumbers);
    await queue.record(control, [outcome(1, 'c@example.com', 5, 'no')], NOW);
    await queue.close();
    assert.deepEqual(await instructions(place), [
      rewritten(
        kind,
        mail,
        'b@example.com|2|ok  remote x@y 0  ',
        'c@example.com|5|no',
        'd@example.com|4|later',
      ),
    ]);
    assert.deepEqual(place.warnings, []);
  },

  'bytes are kept as they are': async (t, kind) => {
    const { place, control, mail, queue } = await oneJob(t, kind, ['j\xf6rg@example.com', 'c@example.com']);
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'j\xf6rg@example.com', 4, 'sp\xe4ter \xff\t ')], NOW);
    await queue.close();
    assert.deepEqual(await instructions(place), [
      rewritten(kind, mail, 'j\xf6rg@example.com|4|sp\xe4ter \xff\t ', 'c@example.com|0|'),
    ]);
  },

  'the next scan reads a rewritten list as any other reader does': async (t, kind) => {
    const { place, control, queue } = await oneJob(t, kind, ['b@example.com']);
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'b@example.com', 4, 'later')], NOW);
    const [queued] = (await queue.claim(MOST, NONE)).jobs;
    const { dialect } = settingsOf(kind);
    assert.deepEqual(
      [queued?.job.retry, queued?.job.attempted, queued?.job.recipients],
      [...TIMES[dialect], [{ address: 'b@example.com', status: 4, text: 'later' }]],
    );
    assert.equal(String(queued?.control), Object.keys(await place.lists())[0]);
    await queue.close();
  },

  'an outcome that comes after another scan during its delivery is not lost': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['fast@one.example', 'slow@two.example']);
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'fast@one.example', 2)], NOW);
    await queue.flush();
    for (let scan = 0; scan < 3; scan++) await queue.claim(MOST, new Set([mail]));
    await queue.record(control, [outcome(1, 'slow@two.example', 4)], NOW);
    await queue.flush();
    const [left, ...others] = await instructions(place);
    const remotes = ['fast@one.example|2|said so', 'slow@two.example|4|said so'];
    assert.equal(left, rewritten(kind, mail, ...remotes));
    assert.deepEqual(others, []);
    await queue.claim(MOST, new Set([mail]));
    await queue.record(control, [outcome(1, 'slow@two.example', 2)], NOW);
    await queue.finish(control);
    await queue.close();
    assert.deepEqual([await place.numbers(), place.warnings], [[], []]);
  },

  'scans during a delivery do not delay the next attempt': async (t, kind) => {
    const addresses = ['b@example.com', 'c@example.com', 'd@example.com'];
    const { place, mail, control, queue } = await oneJob(t, kind, addresses);
    await queue.claim(MOST, NONE);
    for (const [index, address] of addresses.entries()) {
      await queue.record(control, [outcome(index, address, 4, 'later')], NOW);
      await queue.flush();
      await queue.claim(MOST, new Set([mail]));
    }
    assert.deepEqual(await instructions(place), [
      rewritten(kind, mail, ...addresses.map((address) => `${address}|4|later`)),
    ]);
    const [queued] = (await queue.claim(MOST, NONE)).jobs;
    assert.deepEqual([queued?.job.retry, queued?.job.attempted], TIMES[settingsOf(kind).dialect]);
    await queue.close();
  },

  'nor when the job was rewritten and scanned under its new number first': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['b@example.com', 'c@example.com']);
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'b@example.com', 4)], NOW);
    await queue.flush();
    const [again] = (await queue.claim(MOST, NONE)).jobs;
    assert.equal(again?.control === control, kind.differs.keepsNumbers);
    await queue.record(again?.control ?? 0, [outcome(1, 'c@example.com', 2)], NOW);
    await queue.claim(MOST, new Set([mail]));
    await queue.record(again?.control ?? 0, [outcome(0, 'b@example.com', 2)], NOW);
    await queue.finish(again?.control ?? 0);
    await queue.close();
    assert.deepEqual(await place.numbers(), []);
  },

  'a finished job leaves nothing, and a payload stays as long as another list names it': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['b@example.com']);
    const second = await place.putList(newInstructions(mail, 'c@example.com'));
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    await queue.finish(control);
    await queue.flush();
    assert.deepEqual(await place.numbers(), [mail, second]);
    const third = await place.putList(newInstructions(mail, 'd@example.com'));
    await queue.record(second, [outcome(0, 'c@example.com', 2)], NOW);
    await queue.finish(second);
    await queue.flush();
    assert.deepEqual(await place.numbers(), [mail, third], 'one that came meanwhile counts');
    await queue.claim(MOST, NONE);
    await queue.record(third, [outcome(0, 'd@example.com', 5)], NOW);
    await queue.finish(third);
    await queue.close();
    assert.deepEqual(await place.numbers(), []);
  },

  'a job another program removed is not brought back': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['b@example.com']);
    await queue.claim(MOST, NONE);
    await place.remove(control);
    await queue.record(control, [outcome(0, 'b@example.com', 4)], NOW);
    await queue.flush();
    assert.deepEqual(await place.numbers(), [mail]);
    await queue.finish(control);
    await queue.close();
    assert.deepEqual(await instructions(place), []);
  },

  'a list that another program changed is merged, or stops all delivery': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['b@example.com', 'c@example.com']);
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4)], NOW);
    await place.change(
      control,
      `msgid|${mail}\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|new@example.com|0||\nremote|c@example.com|5|given up|\nremote|b@example.com|0||\n`,
    );
    const scan = queue.claim(MOST, new Set([mail]));
    if (kind.differs.changed === 'alarm') await assert.rejects(scan, /Something else works on the queue/);
    else await scan;
    await queue.close();
    const merged = rewritten(
      kind,
      mail,
      'new@example.com|0|',
      'c@example.com|5|given up',
      'b@example.com|2|said so',
    );
    if (kind.differs.changed === 'merged') assert.deepEqual(await instructions(place), [merged]);
    else assert.equal((await instructions(place)).length, 1, 'it is left as it is');
  },

  'in the 2017 dialect finished recipients leave the list, and nobody is tried again': async (t, kind) => {
    if (!kind.differs.dialects.includes('2017')) return;
    const { place, mail, control, queue } = await oneJob(
      t,
      kind,
      ['b@example.com', 'c@example.com'],
      SETTINGS_2017,
    );
    await queue.claim(MOST, NONE);
    await queue.record(
      control,
      [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4, '450 (later)')],
      NOW,
    );
    await queue.flush();
    assert.deepEqual(await instructions(place), [
      `\nmsgid|${mail}\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|c@example.com|4|450 (later)\nattempted|${NOW}\n`,
    ]);
    await queue.record(control, [outcome(1, 'c@example.com', 2)], NOW);
    await queue.close();
    const again = await place.open();
    const [queued] = (await again.claim(MOST, NONE)).jobs;
    assert.deepEqual(queued?.job.recipients, [{ address: 'c@example.com', status: 2, text: 'said so' }]);
    await again.finish(queued?.control ?? 0);
    await again.close();
    assert.deepEqual(await place.numbers(), []);
  },

  'what a killed process recorded counts': async (t, kind) => {
    for (const settings of kind.differs.dialects.map((dialect) => SETTINGS[dialect])) {
      const { place, mail, control, queue } = await oneJob(
        t,
        kind,
        ['b@example.com', 'c@example.com'],
        settings,
      );
      const over = await place.putMail();
      const last = await place.putList(newInstructions(over, 'd@example.com'));
      await queue.claim(MOST, NONE);
      await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
      await queue.record(last, [outcome(0, 'd@example.com', 2)], NOW);
      await queue.finish(last);
      const next = await place.open();
      const left = await statuses(next);
      assert.deepEqual(
        left.filter(([, status]) => status === 0),
        [['c@example.com', 0]],
      );
      assert.equal((await place.numbers()).includes(over), false);
      assert.equal((await place.numbers()).includes(mail), true);
      await next.close();
      assert.equal((await instructions(place)).length, 1);
    }
  },

  'two lists of one message are kept apart, and each gets its own outcomes': async (t, kind) => {
    const { place, mail, control, queue } = await oneJob(t, kind, ['b@example.com']);
    const second = await place.putList(newInstructions(mail, 'b@example.com', 'c@example.com'));
    await queue.claim(MOST, NONE);
    await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    await queue.record(second, [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4)], NOW);
    await queue.close();
    assert.deepEqual(
      (await instructions(place)).sort(),
      [
        settled(kind, mail, 'b@example.com'),
        rewritten(kind, mail, 'b@example.com|2|said so', 'c@example.com|4|said so'),
      ].sort(),
    );
  },

  'many outcomes at once are all written': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const jobs: { readonly mail: MessageNumber; readonly control: MessageNumber }[] = [];
    for (let n = 0; n < 30; n++) {
      const mail = await place.putMail();
      const control = await place.putList(newInstructions(mail, `${n}@example.com`, 'z@example.com'));
      jobs.push({ mail, control });
    }
    const queue = await place.open();
    await queue.claim(MOST, NONE);
    await Promise.all(
      jobs.flatMap(({ control }, n) => [
        queue.record(control, [outcome(0, `${n}@example.com`, 2)], NOW),
        queue.record(control, [outcome(1, 'z@example.com', 4)], NOW),
      ]),
    );
    await queue.close();
    const expected = jobs.map(({ mail }, n) =>
      rewritten(kind, mail, `${n}@example.com|2|said so`, 'z@example.com|4|said so'),
    );
    assert.deepEqual((await instructions(place)).sort(), expected.sort());
  },

  'a payload is read completely, as often as asked; a missing one is reported': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const large = `Subject: large\r\n\r\n${'A line of it, and 000 in it.\r\n'.repeat(20_000)}`;
    const zeros = 'Subject: zeros\r\n\r\nbefore\r\n000\r\nafter\r\n';
    const texts = [large, zeros];
    const payloads: MessageNumber[] = [];
    for (const text of texts) payloads.push(await place.putMail(text));
    for (const payload of payloads) await place.putList(newInstructions(payload, 'b@example.com'));
    const lost = await place.putMail();
    const orphaned = await place.putList(newInstructions(lost, 'b@example.com'));
    await place.remove(lost);
    const queue = await place.open();
    await queue.claim(MOST, NONE);
    for (const [index, mail] of payloads.entries()) assert.equal(await bytesOf(queue, mail), texts[index]);
    const read = await queue.readPayload(lost);
    assert.ok(read.kind === 'missing');
    assert.match(read.reason, new RegExp(`the message ${lost} is not in the .* any more`));
    const list = await queue.readPayload(orphaned);
    assert.ok(list.kind === 'unreadable');
    assert.match(list.reason, /it is a delivery list, not a message/);
    await queue.close();
  },

  'a list that names itself is never sent and never removed as its own payload': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const next = (await place.putMail()) + 1;
    const control = await place.putList(newInstructions(next, 'b@example.com'));
    assert.equal(control, next);
    const queue = await place.open();
    assert.equal((await queue.claim(MOST, NONE)).jobs.length, 1);
    assert.equal((await queue.readPayload(control)).kind, 'unreadable');
    await queue.close();
    assert.deepEqual(await instructions(place), [newInstructions(control, 'b@example.com')]);
  },

  'when the journal finds no space, the list holds the outcome at once': async (t, kind) => {
    if (!kind.differs.hasJournal) return;
    const place = await kind.make(t, settingsOf(kind));
    const mail = await place.putMail();
    const control = await place.putList(newInstructions(mail, 'b@example.com', 'c@example.com'));
    await (await place.open()).close();
    // A list on the same disk is rewritten in place; one on a server needs no space.
    const full = fillable((bytes) => kind.differs.keepsNumbers && bytes.includes('\nremote|'));
    const queue = await place.open(full);
    await queue.claim(MOST, NONE);
    full.isFull = true;
    await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    assert.deepEqual(await instructions(place), [
      rewritten(kind, mail, 'b@example.com|2|said so', 'c@example.com|0|'),
    ]);
    full.isFull = false;
    await queue.record(control, [outcome(1, 'c@example.com', 2)], NOW);
    await queue.finish(control);
    await queue.close();
    assert.deepEqual(await place.numbers(), []);
  },

  'one process at a time': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const queue = await place.open();
    assert.match(await place.openBeside(), /Process \d+ .*; nothing was done\./);
    await queue.close();
  },

  'a new message is accepted, or refused with advice': async (t, kind) => {
    const place = await kind.make(t, settingsOf(kind));
    const queue = await place.open();
    const enqueued = queue.enqueue(Buffer.from('Subject: x\n\ny\n'), NEW_JOB);
    if (kind.differs.enqueues) assert.deepEqual(Object.keys(await enqueued), ['payload', 'control']);
    else await assert.rejects(enqueued, /Hand the message to the server by LMTP or SMTP; nothing was queued/);
    await queue.close();
  },
};

/** Runs every case against this kind of queue. */
export function queueSuite(kind: QueueKind): void {
  for (const [name, run] of Object.entries(CASES)) test(`${kind.name}: ${name}`, (t) => run(t, kind));
}
