/**
 * What every room does, whatever it is made of: one list of cases, run by room.test.ts against a spool directory and
 * against a live room. What differs by nature is said in `RoomKind.differs`, and the cases that depend on it say both.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { MessageNumber, StatusChange } from '../../src/delivery-list/job.ts';
import type { ControlSettings } from '../../src/queue/control-message.ts';
import type { Queue } from '../../src/queue/queue.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { NOW, SETTINGS_2012, SETTINGS_2017 } from '../support/spool.ts';

export interface RoomPlace {
  /** A mail to be delivered, as another program puts it there. */
  putMail(text?: string): MessageNumber;
  /** A delivery list, given without its header. */
  putList(instructions: string): MessageNumber;
  /** Another program removes a message. */
  remove(number: MessageNumber): void;
  /** Another program changes a list. */
  change(number: MessageNumber, instructions: string): void;
  numbers(): MessageNumber[];
  /** Delivery lists without their headers, by number. */
  lists(): Record<MessageNumber, string>;
  /** The next process opens the room and may take jobs; one that was not closed before has died. */
  open(overrides?: { readonly disk?: Disk }): Promise<Queue>;
  /** Opens it while the process before is alive; the reason why not. */
  openBeside(): Promise<string>;
  /** of the process that opened last */
  advance(milliseconds: number): void;
  readonly warnings: readonly string[];
}

export interface RoomKind {
  readonly name: string;
  make(t: TestContext, settings: ControlSettings): Promise<RoomPlace>;
  readonly differs: {
    /** a rewritten list keeps its number, or is a new message */
    readonly keepsNumbers: boolean;
    /** an unreadable list is moved out of the room, or stays there */
    readonly movesUnreadable: boolean;
    /** what a list is that another program changed meanwhile */
    readonly changed: 'merged' | 'alarm';
    /** new mail is taken, or refused with a sentence */
    readonly enqueues: boolean;
  };
}

function outcome(index: number, address: string, status: 2 | 4 | 5, text = 'said so'): StatusChange {
  return { index, address, status, text };
}

function newInstructions(msgid: MessageNumber, ...recipients: readonly string[]): string {
  const lines = recipients.map((address) => `remote|${address}|0||\n`);
  return `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\n${lines.join('')}`;
}

/** As we write it back in the 2012 dialect after a run at `NOW`. */
function rewritten(msgid: MessageNumber, ...remotes: readonly string[]): string {
  const lines = remotes.map((remote) => `remote|${remote}\n`).join('');
  return `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${NOW + 300}\n${lines}`;
}

function instructions(place: RoomPlace): string[] {
  return Object.values(place.lists());
}

async function bytesOf(room: Queue, payload: MessageNumber): Promise<string> {
  const read = await room.readPayload(payload);
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
async function standing(room: Queue): Promise<(readonly [string, number])[]> {
  const { jobs } = await room.scan();
  return jobs.flatMap(({ job }) => job.recipients.map(({ address, status }) => [address, status] as const));
}

type Case = (t: TestContext, kind: RoomKind) => Promise<void>;

async function oneJob(
  t: TestContext,
  kind: RoomKind,
  recipients: readonly string[],
  settings = SETTINGS_2012,
) {
  const place = await kind.make(t, settings);
  const mail = place.putMail();
  const control = place.putList(newInstructions(mail, ...recipients));
  const room = await place.open();
  return { place, mail, control, room };
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
  'a scan tells jobs, mails and orphans apart, in their order, and changes nothing': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const orphan = place.putMail();
    const mail = place.putMail();
    const second = place.putMail();
    const control = place.putList(newInstructions(mail, 'b@example.com'));
    const other = place.putList(newInstructions(second, 'c@example.com', 'd@example.com'));
    const room = await place.open();
    const before = [place.numbers(), place.lists()];
    const { jobs, orphans, quarantined } = await room.scan();
    assert.deepEqual(
      jobs.map((job) => [job.control, job.job.msgid, job.job.recipients.map(({ address }) => address)]),
      [
        [control, mail, ['b@example.com']],
        [other, second, ['c@example.com', 'd@example.com']],
      ],
    );
    assert.deepEqual([orphans, quarantined], [[orphan], []]);
    assert.deepEqual([place.numbers(), place.lists()], before);
    await room.close();
    assert.deepEqual([place.numbers(), place.lists()], before);
  },

  'an unreadable list is told once, with its reason; its mail stays': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const room = await place.open();
    const mail = place.putMail();
    const nameless = place.putList('submitted|5\nremote|x@example.com|0||\n');
    const lonely = place.putList(`msgid|${mail}\nsubmitted|5\n`);
    const scan = await room.scan();
    assert.deepEqual(scan.jobs, []);
    assert.deepEqual(
      scan.quarantined.map(({ number, reason, path }) => [number, reason, path !== undefined]),
      [
        [nameless, 'it has no msgid line, so its message is unknown', kind.differs.movesUnreadable],
        [lonely, 'it has no remote line, so it has no recipient', kind.differs.movesUnreadable],
      ],
    );
    assert.deepEqual((await room.scan()).quarantined, []);
    await room.close();
    const left = kind.differs.movesUnreadable ? [] : [nameless, lonely];
    assert.deepEqual(Object.keys(place.lists()).map(Number), left);
    assert.ok(place.numbers().includes(mail));
  },

  'outcomes are in the list a second later, all of them, and no line end of theirs': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, [
      'b@example.com',
      'c@example.com',
      'd@example.com',
    ]);
    await room.scan();
    const before = place.lists();
    await room.record(control, [outcome(0, 'b@example.com', 2, 'ok\r\nremote|x@y|0||')], NOW);
    await room.record(control, [outcome(2, 'd@example.com', 4, 'later')], NOW);
    assert.deepEqual(place.lists(), before, 'the ledger knows it, the list not yet');
    place.advance(1000);
    await room.flush();
    const after = place.lists();
    assert.deepEqual(Object.values(after), [
      rewritten(mail, 'b@example.com|2|ok  remote x@y 0  ', 'c@example.com|0|', 'd@example.com|4|later'),
    ]);
    assert.equal(control in after, kind.differs.keepsNumbers);
    await room.record(control, [outcome(1, 'c@example.com', 5, 'no')], NOW);
    await room.close();
    assert.deepEqual(instructions(place), [
      rewritten(mail, 'b@example.com|2|ok  remote x@y 0  ', 'c@example.com|5|no', 'd@example.com|4|later'),
    ]);
    assert.deepEqual(place.warnings, []);
  },

  'bytes stay bytes': async (t, kind) => {
    const { place, control, mail, room } = await oneJob(t, kind, ['j\xf6rg@example.com', 'c@example.com']);
    await room.scan();
    await room.record(control, [outcome(0, 'j\xf6rg@example.com', 4, 'sp\xe4ter \xff\t ')], NOW);
    await room.close();
    assert.deepEqual(instructions(place), [
      rewritten(mail, 'j\xf6rg@example.com|4|sp\xe4ter \xff\t ', 'c@example.com|0|'),
    ]);
  },

  'the next scan reads a rewritten list as any other reader does': async (t, kind) => {
    const { place, control, room } = await oneJob(t, kind, ['b@example.com']);
    await room.scan();
    await room.record(control, [outcome(0, 'b@example.com', 4, 'later')], NOW);
    const [queued] = (await room.scan()).jobs;
    assert.deepEqual(
      [queued?.job.retry, queued?.job.attempted, queued?.job.recipients],
      [600, NOW + 300, [{ address: 'b@example.com', status: 4, text: 'later' }]],
    );
    assert.equal(String(queued?.control), Object.keys(place.lists())[0]);
    await room.close();
  },

  'an outcome that comes after another look, while its mail is in hand, is not lost': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['fast@one.example', 'slow@two.example']);
    await room.scan();
    await room.record(control, [outcome(0, 'fast@one.example', 2)], NOW);
    await room.flush();
    for (let look = 0; look < 3; look++) await room.scan(new Set([mail]));
    await room.record(control, [outcome(1, 'slow@two.example', 4)], NOW);
    await room.flush();
    const [left, ...others] = instructions(place);
    assert.match(
      left ?? '',
      /\nremote\|fast@one\.example\|2\|said so\nremote\|slow@two\.example\|4\|said so\n$/,
    );
    assert.deepEqual(others, []);
    await room.scan(new Set([mail]));
    await room.record(control, [outcome(1, 'slow@two.example', 2)], NOW);
    await room.finish(control);
    await room.close();
    assert.deepEqual([place.numbers(), place.warnings], [[], []]);
  },

  'looks while a mail is in hand do not make its next try later': async (t, kind) => {
    const addresses = ['b@example.com', 'c@example.com', 'd@example.com'];
    const { place, mail, control, room } = await oneJob(t, kind, addresses);
    await room.scan();
    for (const [index, address] of addresses.entries()) {
      await room.record(control, [outcome(index, address, 4, 'later')], NOW);
      await room.flush();
      await room.scan(new Set([mail]));
    }
    assert.deepEqual(instructions(place), [
      rewritten(mail, ...addresses.map((address) => `${address}|4|later`)),
    ]);
    const [queued] = (await room.scan()).jobs;
    assert.equal(queued?.job.retry, 600, 'the next run waits longer');
    await room.close();
  },

  'and so it is when the job was rewritten and looked at under its new number first': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['b@example.com', 'c@example.com']);
    await room.scan();
    await room.record(control, [outcome(0, 'b@example.com', 4)], NOW);
    await room.flush();
    const [again] = (await room.scan()).jobs;
    assert.equal(again?.control === control, kind.differs.keepsNumbers);
    await room.record(again?.control ?? 0, [outcome(1, 'c@example.com', 2)], NOW);
    await room.scan(new Set([mail]));
    await room.record(again?.control ?? 0, [outcome(0, 'b@example.com', 2)], NOW);
    await room.finish(again?.control ?? 0);
    await room.close();
    assert.deepEqual(place.numbers(), []);
  },

  'a finished job leaves nothing, and a mail stays as long as another list names it': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['b@example.com']);
    const second = place.putList(newInstructions(mail, 'c@example.com'));
    await room.scan();
    await room.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    await room.finish(control);
    await room.flush();
    assert.deepEqual(place.numbers(), [mail, second]);
    const third = place.putList(newInstructions(mail, 'd@example.com'));
    await room.record(second, [outcome(0, 'c@example.com', 2)], NOW);
    await room.finish(second);
    await room.flush();
    assert.deepEqual(place.numbers(), [mail, third], 'one that came meanwhile counts');
    await room.scan();
    await room.record(third, [outcome(0, 'd@example.com', 5)], NOW);
    await room.finish(third);
    await room.close();
    assert.deepEqual(place.numbers(), []);
  },

  'a job another program removed is not brought back': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['b@example.com']);
    await room.scan();
    place.remove(control);
    await room.record(control, [outcome(0, 'b@example.com', 4)], NOW);
    await room.flush();
    assert.deepEqual(place.numbers(), [mail]);
    await room.finish(control);
    await room.close();
    assert.deepEqual(instructions(place), []);
  },

  'a list another program changed is merged, or stops everything': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['b@example.com', 'c@example.com']);
    await room.scan();
    await room.record(control, [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4)], NOW);
    place.change(
      control,
      `msgid|${mail}\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|new@example.com|0||\nremote|c@example.com|5|given up|\nremote|b@example.com|0||\n`,
    );
    const scan = room.scan(new Set([mail]));
    if (kind.differs.changed === 'alarm') await assert.rejects(scan, /Something else works on the queue/);
    else await scan;
    await room.close();
    const merged = rewritten(
      mail,
      'new@example.com|0|',
      'c@example.com|5|given up',
      'b@example.com|2|said so',
    );
    if (kind.differs.changed === 'merged') assert.deepEqual(instructions(place), [merged]);
    else assert.equal(instructions(place).length, 1, 'it is left as it is');
  },

  'in the 2017 dialect finished recipients leave the list, and nobody is tried again': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(
      t,
      kind,
      ['b@example.com', 'c@example.com'],
      SETTINGS_2017,
    );
    await room.scan();
    await room.record(
      control,
      [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4, '450 (later)')],
      NOW,
    );
    await room.flush();
    assert.deepEqual(instructions(place), [
      `\nmsgid|${mail}\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|c@example.com|4|450 (later)\nattempted|${NOW}\n`,
    ]);
    await room.record(control, [outcome(1, 'c@example.com', 2)], NOW);
    await room.close();
    const again = await place.open();
    const [queued] = (await again.scan()).jobs;
    assert.deepEqual(queued?.job.recipients, [{ address: 'c@example.com', status: 2, text: 'said so' }]);
    await again.finish(queued?.control ?? 0);
    await again.close();
    assert.deepEqual(place.numbers(), []);
  },

  'what a killed process recorded counts': async (t, kind) => {
    for (const settings of [SETTINGS_2012, SETTINGS_2017]) {
      const { place, mail, control, room } = await oneJob(
        t,
        kind,
        ['b@example.com', 'c@example.com'],
        settings,
      );
      const over = place.putMail();
      const last = place.putList(newInstructions(over, 'd@example.com'));
      await room.scan();
      await room.record(control, [outcome(0, 'b@example.com', 2)], NOW);
      await room.record(last, [outcome(0, 'd@example.com', 2)], NOW);
      await room.finish(last);
      const next = await place.open();
      const left = await standing(next);
      assert.deepEqual(
        left.filter(([, status]) => status === 0),
        [['c@example.com', 0]],
      );
      assert.equal(place.numbers().includes(over), false);
      assert.equal(place.numbers().includes(mail), true);
      await next.close();
      assert.equal(instructions(place).length, 1);
    }
  },

  'two lists of one mail are kept apart, and each gets its own outcomes': async (t, kind) => {
    const { place, mail, control, room } = await oneJob(t, kind, ['b@example.com']);
    const second = place.putList(newInstructions(mail, 'b@example.com', 'c@example.com'));
    await room.scan();
    await room.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    await room.record(second, [outcome(0, 'b@example.com', 2), outcome(1, 'c@example.com', 4)], NOW);
    await room.close();
    assert.deepEqual(instructions(place).sort(), [
      rewritten(mail, 'b@example.com|2|said so'),
      rewritten(mail, 'b@example.com|2|said so', 'c@example.com|4|said so'),
    ]);
  },

  'many outcomes at once are all written': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const jobs = Array.from({ length: 30 }, (_, n) => {
      const mail = place.putMail();
      return { mail, control: place.putList(newInstructions(mail, `${n}@example.com`, 'z@example.com')) };
    });
    const room = await place.open();
    await room.scan();
    await Promise.all(
      jobs.flatMap(({ control }, n) => [
        room.record(control, [outcome(0, `${n}@example.com`, 2)], NOW),
        room.record(control, [outcome(1, 'z@example.com', 4)], NOW),
      ]),
    );
    await room.close();
    const expected = jobs.map(({ mail }, n) =>
      rewritten(mail, `${n}@example.com|2|said so`, 'z@example.com|4|said so'),
    );
    assert.deepEqual(instructions(place).sort(), expected.sort());
  },

  'a mail is given whole, as often as asked; one that is missing is said': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const large = `Subject: large\r\n\r\n${'A line of it, and 000 in it.\r\n'.repeat(20_000)}`;
    const zeros = 'Subject: zeros\r\n\r\nbefore\r\n000\r\nafter\r\n';
    const texts = [large, zeros];
    const mails = texts.map((text) => place.putMail(text));
    for (const mail of mails) place.putList(newInstructions(mail, 'b@example.com'));
    const lost = place.putMail();
    const orphaned = place.putList(newInstructions(lost, 'b@example.com'));
    place.remove(lost);
    const room = await place.open();
    await room.scan();
    for (const [index, mail] of mails.entries()) assert.equal(await bytesOf(room, mail), texts[index]);
    const read = await room.readPayload(lost);
    assert.ok(read.kind === 'missing');
    assert.match(read.reason, new RegExp(`the message ${lost} is not in the .* any more`));
    const list = await room.readPayload(orphaned);
    assert.ok(list.kind === 'unreadable');
    assert.match(list.reason, /it is a delivery list, not a mail/);
    await room.close();
  },

  'a list that names itself is never sent and never removed as its own mail': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const next = place.putMail() + 1;
    const control = place.putList(newInstructions(next, 'b@example.com'));
    assert.equal(control, next);
    const room = await place.open();
    assert.equal((await room.scan()).jobs.length, 1);
    assert.equal((await room.readPayload(control)).kind, 'unreadable');
    await room.close();
    assert.deepEqual(instructions(place), [newInstructions(control, 'b@example.com')]);
  },

  'when the ledger finds no room, the list says it at once': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const mail = place.putMail();
    const control = place.putList(newInstructions(mail, 'b@example.com', 'c@example.com'));
    await (await place.open()).close();
    // A list that is rewritten on the same disk finds its place; one on a server needs none.
    const full = fillable((bytes) => kind.differs.keepsNumbers && bytes.includes('\nremote|'));
    const room = await place.open(full);
    await room.scan();
    full.isFull = true;
    await room.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    assert.deepEqual(instructions(place), [rewritten(mail, 'b@example.com|2|said so', 'c@example.com|0|')]);
    full.isFull = false;
    await room.record(control, [outcome(1, 'c@example.com', 2)], NOW);
    await room.finish(control);
    await room.close();
    assert.deepEqual(place.numbers(), []);
  },

  'one process at a time': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const room = await place.open();
    assert.match(await place.openBeside(), /Process \d+ .*; nothing was done\./);
    await room.close();
  },

  'new mail is taken, or refused with advice': async (t, kind) => {
    const place = await kind.make(t, SETTINGS_2012);
    const room = await place.open();
    const job = {
      bounceto: 'a@example.org',
      envelopeFrom: null,
      sourceRoom: null,
      recipients: ['b@example.com'],
    };
    const enqueued = room.enqueue(Buffer.from('Subject: x\n\ny\n'), { ...job, submitted: NOW });
    if (kind.differs.enqueues) assert.deepEqual(Object.keys(await enqueued), ['payload', 'control']);
    else await assert.rejects(enqueued, /Hand the message to the server by LMTP or SMTP; nothing was queued/);
    await room.close();
  },
};

/** Runs every case against this kind of room. */
export function roomSuite(kind: RoomKind): void {
  for (const [name, run] of Object.entries(CASES)) test(`${kind.name}: ${name}`, (t) => run(t, kind));
}
