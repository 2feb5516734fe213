import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import type { StatusChange } from '../../../src/delivery-list/job.ts';
import { writeNative } from '../../../src/message/native.ts';
import { InvalidMessage } from '../../../src/queue/queue.ts';
import { openSpoolQueue } from '../../../src/queue/spool/open.ts';
import { type Disk, nodeDisk } from '../../../src/storage/disk.ts';
import { FakeMachine } from '../../support/processes.ts';
import {
  bench,
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  NEW_JOB,
  NOW,
  openClient,
  openQueue,
  SETTINGS_2012,
  spoolOf,
  temporaryDirectory,
  writeMessage,
} from '../../support/spool.ts';

function outcome(index: number, address: string, status: 2 | 4 | 5, text: string): StatusChange {
  return { index, address, status, text };
}

/** A list as we write it back in the 2012 dialect after a run at `NOW`. */
function rewritten(msgid: number, ...remotes: string[]): string {
  const lines = remotes.map((remote) => `remote|${remote}\n`).join('');
  return `${HEADER}msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${NOW + 300}\n${lines}`;
}

test('a scan distinguishes jobs, payloads and orphans and ignores everything else', async (t) => {
  const spool = spoolOf(t, {
    '1': MAIL,
    '2': listFor(1, 'b@example.com'),
    '3': MAIL,
    '5': MAIL,
    '4': listFor(5, 'c@example.com'),
    '07': listFor(1, 'leading@zero'),
    '8~': listFor(1, 'back@up'),
    '9.tmp': listFor(1, 'temporary@file'),
    '.10': listFor(1, 'dot@file'),
    '11x': listFor(1, 'no@number'),
    '99999999999999999999': listFor(1, 'too@long'),
    '12': '',
  });
  fs.mkdirSync(`${spool}/13`);
  fs.symlinkSync('2', `${spool}/14`);
  const before = messagesIn(spool);
  const deps = bench();
  const queue = await openQueue(spool, deps);
  const { jobs, orphans, quarantined } = await queue.scan();
  assert.deepEqual(
    jobs.map(({ control, job }) => [control, job.msgid, job.recipients[0]?.address]),
    [
      [2, 1, 'b@example.com'],
      [4, 5, 'c@example.com'],
    ],
  );
  assert.deepEqual([orphans, quarantined], [[3, 12], []]);
  assert.equal(deps.warnings.length, 1, 'the name with too many digits, and nothing else');
  await queue.close();
  assert.deepEqual(messagesIn(spool), before, 'a scan changes nothing');
});

test('an unreadable list is moved away once, with its reason; its payload stays', async (t) => {
  const spool = spoolOf(t, {
    '1': MAIL,
    '2': `${HEADER}submitted|5\nremote|x@example.com|0||\n`,
    '3': `${HEADER}msgid|1\nsubmitted|5\n`,
    '4': `${HEADER}nothing of it\n`,
  });
  const queue = await openQueue(spool, bench());
  const scan = await queue.scan();
  assert.deepEqual(scan.jobs, []);
  assert.deepEqual(scan.orphans, [1]);
  const bad = `${spool}/.spoolroom/bad`;
  assert.deepEqual(scan.quarantined, [
    {
      ...{ number: 2, path: `${bad}/2` },
      reason: 'it has no msgid line, so its message is unknown',
    },
    { number: 3, path: `${bad}/3`, reason: 'it has no remote line, so it has no recipient' },
    { number: 4, path: `${bad}/4`, reason: 'it has no delivery-list instruction' },
  ]);
  const after = messagesIn(spool);
  assert.deepEqual(Object.keys(after).sort(), [
    '.spoolroom/bad/2',
    '.spoolroom/bad/2.reason',
    '.spoolroom/bad/3',
    '.spoolroom/bad/3.reason',
    '.spoolroom/bad/4',
    '.spoolroom/bad/4.reason',
    '1',
  ]);
  assert.match(
    after['.spoolroom/bad/3.reason'] ?? '',
    /^Message 3 was quarantined, because it has no remote line/,
  );
  assert.deepEqual((await queue.scan()).quarantined, []);
  writeMessage(spool, '2', `${HEADER}still no payload\n`);
  assert.equal((await queue.scan()).quarantined.length, 1);
  assert.equal(
    messagesIn(spool)['.spoolroom/bad/2.1'],
    `${HEADER}still no payload\n`,
    'the older one is not replaced',
  );
  await queue.close();
});

test('a list that another program is writing is left for the next run', async (t) => {
  const spool = spoolOf(t, { '1': MAIL });
  const deps = bench();
  const queue = await openQueue(spool, deps);
  const whole = listFor(1, 'b@example.com');
  fs.writeFileSync(`${spool}/2`, whole.slice(0, -8));
  fs.utimesSync(`${spool}/2`, NOW - 1, NOW - 1);
  assert.deepEqual((await queue.scan()).jobs, []);
  fs.writeFileSync(`${spool}/2`, whole);
  fs.utimesSync(`${spool}/2`, NOW, NOW);
  assert.equal((await queue.scan()).jobs[0]?.job.recipients[0]?.address, 'b@example.com');
  await queue.close();
});

test('a cut-off list that nobody is writing any more is read as far as it goes', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com').slice(0, -1) });
  const queue = await openQueue(spool, bench());
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
});

test('a job to which a recipient was added is not finished, though it was scanned again meanwhile', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'added@example.com'));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  await queue.finish(2);
  await queue.close();
  const left = messagesIn(spool);
  assert.equal(left['1'], MAIL);
  assert.match(left['2'] ?? '', /remote\|b@example\.com\|2\|ok\nremote\|added@example\.com\|0\|/);
});

test('a list that changes while its new text is being written is merged, too, unless it never stops changing', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  let disturbances = 1;
  const disk: Disk = {
    ...nodeDisk,
    create(path, owner) {
      const file = nodeDisk.create(path, owner);
      return {
        write: (bytes) => file.write(bytes),
        async sync() {
          await file.sync();
          if (disturbances-- > 0)
            writeMessage(spool, '2', listFor(1, 'b@example.com', `new${disturbances}@example.com`));
        },
        close: () => file.close(),
      };
    },
  };
  const deps = bench({ disk });
  const queue = await openQueue(spool, deps);
  await queue.scan();
  const delivered = [outcome(0, 'b@example.com', 2, 'ok')];
  disturbances = 2;
  await queue.record(2, delivered, NOW);
  await queue.flush();
  const merged = { '1': MAIL, '2': rewritten(1, 'b@example.com|2|ok', 'new0@example.com|0|') };
  assert.deepEqual(messagesIn(spool), merged);
  await queue.record(2, delivered, NOW);
  disturbances = 100;
  await assert.rejects(
    queue.flush(),
    /control message 2 could not be rewritten: another program keeps changing it/,
  );
  disturbances = 0;
  await queue.close();
  assert.match(
    messagesIn(spool)['2'] ?? '',
    /\nremote\|b@example\.com\|2\|ok\nremote\|new\d+@example\.com\|0\|\n$/,
  );
  assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`), []);
});

test('a finished job to which another program added a recipient stays', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const deps = bench();
  const queue = await openQueue(spool, deps);
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'new@example.com'));
  await queue.finish(2);
  await queue.close();
  assert.deepEqual(messagesIn(spool), {
    '1': MAIL,
    '2': rewritten(1, 'b@example.com|2|ok', 'new@example.com|0|'),
  });
  assert.equal(deps.warnings.length, 1);
});

test('so does one to which it was added before the first outcomes were written', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'c@example.com', 'new@example.com'));
  await queue.flush();
  await queue.record(2, [outcome(1, 'c@example.com', 2, 'ok')], NOW);
  await queue.finish(2);
  await queue.close();
  assert.deepEqual(messagesIn(spool), {
    '1': MAIL,
    '2': rewritten(1, 'b@example.com|2|ok', 'c@example.com|2|ok', 'new@example.com|0|'),
  });
});

test('a recipient that another program added stays through every rewrite', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 4, 'later')], NOW);
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'c@example.com', 'new@example.com'));
  await queue.flush();
  await queue.record(2, [outcome(1, 'c@example.com', 2, 'ok')], NOW);
  await queue.close();
  assert.equal(
    messagesIn(spool)['2'],
    rewritten(1, 'b@example.com|4|later', 'c@example.com|2|ok', 'new@example.com|0|'),
  );
});

test('and one to which it was added while no runner was active, after a crash at its end', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const machine = new FakeMachine();
  const crashed = machine.start();
  const disk: Disk = {
    ...nodeDisk,
    async remove(path) {
      if (path === `${spool}/2`) throw Object.assign(new Error('killed'), { code: 'EIO' });
      await nodeDisk.remove(path);
    },
  };
  const first = await openQueue(spool, bench({ disk, processes: crashed }));
  await first.scan();
  await first.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  await assert.rejects(first.finish(2));
  crashed.end();
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'new@example.com'));
  const second = await openQueue(spool, bench({ processes: machine.start() }));
  await second.close();
  assert.deepEqual(messagesIn(spool), {
    '1': MAIL,
    '2': rewritten(1, 'b@example.com|2|ok', 'new@example.com|0|'),
  });
});

/** The real disk, on which one path cannot be read while `locked.path` names it. */
function lockingDisk(): { readonly disk: Disk; readonly locked: { path: string } } {
  const locked = { path: '' };
  const disk: Disk = {
    ...nodeDisk,
    read(path, limit) {
      if (path === locked.path) throw Object.assign(new Error('no'), { code: 'EMFILE' });
      return nodeDisk.read(path, limit);
    },
  };
  return { disk, locked };
}

test('a list that cannot be read when its job is finished keeps its outcomes, and the job is ended later', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const { disk, locked } = lockingDisk();
  const queue = await openQueue(spool, bench({ disk }));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  await queue.flush();
  await queue.record(2, [outcome(1, 'c@example.com', 2, 'ok')], NOW);
  locked.path = `${spool}/2`;
  await assert.rejects(queue.finish(2), /could not be removed from .*too many open files/);
  await assert.rejects(queue.flush());
  locked.path = '';
  const { jobs } = await queue.scan();
  assert.deepEqual(
    jobs.map(({ job }) => job.recipients.map(({ status }) => status)),
    [[2, 2]],
  );
  await queue.finish(2);
  await queue.close();
  assert.deepEqual(messagesIn(spool), {});
});

test('a scan that fails during a delivery does not lose its outcome', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const { disk, locked } = lockingDisk();
  const queue = await openQueue(spool, bench({ disk }));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  await queue.flush();
  locked.path = `${spool}/2`;
  await queue.scan();
  locked.path = '';
  await queue.record(2, [outcome(1, 'c@example.com', 4, 'later')], NOW);
  await queue.close();
  assert.equal(messagesIn(spool)['2'], rewritten(1, 'b@example.com|2|ok', 'c@example.com|4|later'));
});

test('nothing is delivered while a list with records in the journal cannot be read', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const machine = new FakeMachine();
  const crashed = machine.start();
  const first = await openQueue(spool, bench({ processes: crashed }));
  await first.scan();
  await first.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  crashed.end();
  const { disk, locked } = lockingDisk();
  const deps = bench({ disk, processes: machine.start() });
  locked.path = `${spool}/2`;
  const refused = await openSpoolQueue(spool, deps, SETTINGS_2012);
  assert.equal(refused.kind, 'refused');
  assert.match(
    refused.kind === 'refused' ? refused.text : '',
    /message 2 .*cannot be read: .*too many open files/,
  );
  locked.path = '';
  const queue = await openQueue(spool, deps);
  await queue.close();
  assert.equal(messagesIn(spool)['2'], rewritten(1, 'b@example.com|2|ok', 'c@example.com|0|'));
});

test('a recipient added by another program stays when the job ends while the list is being rewritten', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reached = (): void => {};
  const syncing = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const disk: Disk = {
    ...nodeDisk,
    async syncDirectory(directory) {
      if (directory === spool) {
        reached();
        await held;
      }
      await nodeDisk.syncDirectory(directory);
    },
  };
  const queue = await openQueue(spool, bench({ disk }));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  writeMessage(spool, '2', listFor(1, 'b@example.com', 'c@example.com', 'new@example.com'));
  const settled = queue.flush();
  await syncing;
  await queue.record(2, [outcome(1, 'c@example.com', 2, 'ok')], NOW);
  await queue.finish(2);
  release();
  await settled;
  await queue.close();
  assert.deepEqual(messagesIn(spool), {
    '1': MAIL,
    '2': rewritten(1, 'b@example.com|2|ok', 'c@example.com|2|ok', 'new@example.com|0|'),
  });
});

test('a list that another program replaced by a payload is gone', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  writeMessage(spool, '2', MAIL);
  await queue.record(2, [outcome(0, 'b@example.com', 4, 'later')], NOW);
  await queue.close();
  assert.deepEqual(messagesIn(spool), { '1': MAIL, '2': MAIL });
});

test('a finished job is remembered until its removal is durable', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  let full = false;
  const refuse = (): void => {
    if (full) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
  const disk: Disk = {
    ...nodeDisk,
    create(path, owner) {
      const file = nodeDisk.create(path, owner);
      const write = (bytes: Uint8Array): void => {
        refuse();
        file.write(bytes);
      };
      return { write, sync: () => file.sync(), close: () => file.close() };
    },
    async syncDirectory(directory) {
      refuse();
      await nodeDisk.syncDirectory(directory);
    },
  };
  const queue = await openQueue(spool, bench({ disk }));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  full = true;
  await assert.rejects(queue.finish(2));
  await assert.rejects(queue.flush());
  full = false;
  await queue.close();
  assert.deepEqual(messagesIn(spool), {}, 'its mail is removed after it');
});

test('the payload of a finished job is removed after a crash, also when the number of its list belongs to another message by then', async (t) => {
  for (const taken of [MAIL, listFor(3, 'c@example.com')]) {
    const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com'), '3': MAIL });
    const machine = new FakeMachine();
    const crashed = machine.start();
    const queue = await openQueue(spool, bench({ processes: crashed }));
    await queue.scan();
    await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
    await queue.finish(2);
    crashed.end();
    writeMessage(spool, '2', taken);
    await (await openQueue(spool, bench({ processes: machine.start() }))).close();
    assert.deepEqual(messagesIn(spool), { '2': taken, '3': MAIL });
  }
});

test('the journal and the names of a killed run are made durable before any record is applied', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const machine = new FakeMachine();
  const crashed = machine.start();
  const first = await openQueue(spool, bench({ processes: crashed }));
  await first.scan();
  await first.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  crashed.end();
  const done: string[] = [];
  const disk: Disk = {
    ...nodeDisk,
    async syncDirectory(directory) {
      await nodeDisk.syncDirectory(directory);
      done.push(directory === spool ? 'spool' : 'state');
    },
    rename(from, to) {
      nodeDisk.rename(from, to);
      done.push(to.slice(spool.length + 1));
    },
  };
  const queue = await openQueue(spool, bench({ disk, processes: machine.start() }));
  await queue.close();
  assert.deepEqual(done.slice(0, 3).sort(), ['.spoolroom/journal', 'spool', 'state']);
  assert.deepEqual(done.slice(3, 5), ['2', 'spool']);
});

test('a payload stays as long as a later message cannot be read, which may be a list that names it', async (t) => {
  const spool = spoolOf(t, {
    '1': MAIL,
    '2': listFor(1, 'b@example.com'),
    '3': listFor(1, 'c@example.com'),
  });
  const { disk, locked } = lockingDisk();
  locked.path = `${spool}/3`;
  const queue = await openQueue(spool, bench({ disk }));
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  await queue.finish(2);
  await queue.flush();
  assert.deepEqual(messagesIn(spool), { '1': MAIL, '3': listFor(1, 'c@example.com') });
  locked.path = '';
  await queue.scan();
  assert.equal((await queue.readPayload(1)).kind, 'found');
  await queue.record(3, [outcome(0, 'c@example.com', 2, 'ok')], NOW);
  await queue.finish(3);
  await queue.close();
  assert.deepEqual(messagesIn(spool), {});
});

test('another message under the number of a payload that was delivered stays (R311)', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.readPayload(1);
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  writeMessage(spool, '1', `${MAIL}another`);
  await queue.finish(2);
  await queue.close();
  assert.deepEqual(messagesIn(spool), { '1': `${MAIL}another` });
});

test('a new job under the number of one that is being delivered is not touched', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com'), '3': MAIL });
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 2, 'ok')], NOW);
  writeMessage(spool, '2', listFor(3, 'b@example.com'));
  await queue.close();
  assert.deepEqual(messagesIn(spool), { '1': MAIL, '2': listFor(3, 'b@example.com'), '3': MAIL });
});

test('a rewritten list keeps its form and its permissions', async (t) => {
  const list = listFor(1, 'b@example.com');
  const spool = spoolOf(t, {
    '1': MAIL,
    '2': `From: Citadel\r\nSubject: QMSG\r\nContent-Type: application/X-Citadel-Delivery-List; charset=us-ascii\r\n\r\n${list
      .slice(HEADER.length)
      .replaceAll('\n', '\r\n')}`,
    '3': writeNative(
      { anonymous: 0x41, format: 4, fields: new Map([['T', '77']]), text: Buffer.from(list) },
      '2016',
    ),
  });
  fs.chmodSync(`${spool}/2`, 0o640);
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.record(2, [outcome(0, 'b@example.com', 4, 'later')], NOW);
  await queue.record(3, [outcome(0, 'b@example.com', 4, 'later')], NOW);
  await queue.close();
  const instructions = rewritten(1, 'b@example.com|4|later').slice(HEADER.length);
  const after = messagesIn(spool);
  assert.equal(
    after['2'],
    `From: Citadel\r\nSubject: QMSG\r\nContent-Type: application/X-Citadel-Delivery-List; charset=us-ascii\r\n\r\n${instructions.replaceAll('\n', '\r\n')}`,
  );
  assert.equal(after['3'], `\xffA\x04T77\0ACitadel\0Jdo not journal\0UQMSG\0M${HEADER}${instructions}\0`);
  assert.equal(fs.statSync(`${spool}/2`).mode & 0o777, 0o640);
});

test('payloads: whole, streamed, missing, empty, a link, a folder, a delivery list', async (t) => {
  const large = 'x'.repeat(262_145);
  const spool = spoolOf(t, {
    '1': MAIL,
    '2': large,
    '3': '',
    '4': listFor(1, 'b@example.com'),
    '5': listFor(4, 'c@example.com'),
    '8': large.slice(1),
  });
  fs.symlinkSync('1', `${spool}/6`);
  fs.mkdirSync(`${spool}/7`);
  const queue = await openQueue(spool, bench());
  assert.deepEqual(
    (await queue.scan()).jobs.map(({ control }) => control),
    [5],
    'a list names 4 as its payload',
  );
  for (const [number, bytes] of [
    [1, MAIL],
    [2, large],
    [8, large.slice(1)],
  ] as const) {
    const read = await queue.readPayload(number);
    assert.ok(read.kind === 'found');
    assert.equal(read.message.size, bytes.length);
    assert.equal(read.message.bytes?.toString('latin1') ?? null, number === 2 ? null : bytes);
    for (const pass of [1, 2]) {
      const pieces: Buffer[] = [];
      for await (const piece of read.message.stream()) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString('latin1'), bytes, `pass ${pass}`);
    }
  }
  const reasons = await Promise.all([3, 4, 6, 7, 9].map((number) => queue.readPayload(number)));
  assert.deepEqual(reasons, [
    { kind: 'empty', reason: 'the message 3 in the spool is empty' },
    {
      kind: 'unreadable',
      reason: 'the message 4 in the spool cannot be read: it is a delivery list, not a message',
    },
    {
      kind: 'unreadable',
      reason: 'the message 6 in the spool cannot be read: it is a symbolic link (ELOOP)',
    },
    { kind: 'unreadable', reason: 'the message 7 in the spool cannot be read: it is not a file' },
    { kind: 'missing', reason: 'the message 9 is not in the spool any more' },
  ]);
  assert.deepEqual(
    (await queue.scan()).jobs.map(({ control }) => control),
    [4, 5],
    'noticed as the job it is',
  );
  await queue.finish(5);
  await queue.close();
  assert.ok('4' in messagesIn(spool), 'and not removed as the payload of another');
});

test('a new job gets the next free numbers, payload first, and replaces nothing', async (t) => {
  const spool = spoolOf(t, { '7': MAIL, '9.tmp': 'x' });
  const deps = bench();
  const queue = await openQueue(spool, deps);
  assert.deepEqual(await queue.enqueue(Buffer.from(MAIL), NEW_JOB), { payload: 8, control: 9 });
  writeMessage(spool, '10', 'another program was here');
  async function* pieces() {
    yield Buffer.from('Subject: a\n\n');
    yield Buffer.from('b\n');
  }
  assert.deepEqual(await queue.enqueue(pieces(), NEW_JOB), { payload: 11, control: 12 });
  assert.deepEqual(messagesIn(spool), {
    '7': MAIL,
    '8': MAIL,
    '9': listFor(8, 'b@example.com'),
    '9.tmp': 'x',
    '10': 'another program was here',
    '11': 'Subject: a\n\nb\n',
    '12': listFor(11, 'b@example.com'),
  });
  await queue.scan();
  await queue.finish(12);
  await queue.flush();
  assert.deepEqual(
    await queue.enqueue(Buffer.from(MAIL), NEW_JOB),
    { payload: 13, control: 14 },
    'no number twice in a run',
  );
  await queue.close();
  assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`), []);
});

test('many new jobs at once, from a runner and a client, get numbers of their own', async (t) => {
  const spool = spoolOf(t, {});
  const queue = await openQueue(spool, bench());
  const client = await openClient(spool, bench());
  const jobs = await Promise.all(
    Array.from({ length: 40 }, (_, i) => (i % 2 ? queue : client).enqueue(Buffer.from(MAIL), NEW_JOB)),
  );
  const numbers = jobs.flatMap(({ payload, control }) => [payload, control]);
  assert.equal(new Set(numbers).size, 80);
  const { jobs: queued, orphans } = await queue.scan();
  assert.deepEqual([queued.length, orphans], [40, []]);
  for (const { payload, control } of jobs) {
    assert.ok(payload < control);
    assert.equal(queued.find((each) => each.control === control)?.job.msgid, payload);
  }
  await queue.close();
});

test('a message that would be read as a delivery list is not accepted', async (t) => {
  const spool = spoolOf(t, {});
  const queue = await openQueue(spool, bench());
  const mail = `Subject: x\r\nContent-Type:\r\n application/x-citadel-delivery-list\r\n\r\nmsgid|1\r\nremote|victim@example.com|0||\r\n`;
  await assert.rejects(queue.enqueue(Buffer.from(mail), NEW_JOB), InvalidMessage);
  await queue.close();
  assert.deepEqual(messagesIn(spool), {});
});

test('fields of a new job cannot add instructions', async (t) => {
  const spool = spoolOf(t, {});
  const queue = await openQueue(spool, bench());
  await queue.enqueue(Buffer.from(MAIL), { ...NEW_JOB, bounceto: 'x\nremote|victim@example.com|0||' });
  const [queued] = (await queue.scan()).jobs;
  assert.deepEqual(
    queued?.job.recipients.map(({ address }) => address),
    ['b@example.com'],
  );
  await queue.close();
});

test('a client scans and changes nothing', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com'), '3': `${HEADER}no list\n` });
  const before = messagesIn(spool);
  const queue = await openQueue(spool, bench());
  const client = await openClient(spool, bench());
  const scan = await client.scan();
  assert.deepEqual([scan.jobs.length, scan.quarantined.map(({ number }) => number)], [1, [3]]);
  assert.deepEqual(messagesIn(spool), before);
  await queue.close();
});

test('a spool that cannot be used is refused with the reason', async (t) => {
  const spool = temporaryDirectory(t);
  fs.writeFileSync(`${spool}/file`, '');
  const refusal = async (path: string) => {
    const opened = await openSpoolQueue(path, bench(), SETTINGS_2012);
    assert.ok(opened.kind === 'refused');
    return [opened.why, opened.text];
  };
  assert.deepEqual(await refusal(`${spool}/none`), [
    'missing',
    `The spool directory ${spool}/none does not exist. Create it, or give another one.`,
  ]);
  assert.deepEqual(await refusal(`${spool}/file`), ['not-a-directory', `${spool}/file is not a directory.`]);
  const readOnly = { ...bench().disk, writable: () => false };
  const opened = await openSpoolQueue(spool, bench({ disk: readOnly }), SETTINGS_2012);
  assert.ok(opened.kind === 'refused' && opened.why === 'not-writable');
  const queue = await openQueue(spool, bench());
  assert.deepEqual(await refusal(spool), [
    'busy',
    `Process ${process.pid} is already delivering from ${spool}; nothing was done.`,
  ]);
  await queue.close();
});

test('a link to the spool directory is as good as the directory', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const link = `${temporaryDirectory(t)}/spool`;
  fs.symlinkSync(spool, link);
  const queue = await openQueue(link, bench());
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
});

test('a list beyond the limit is set aside with a reason, and the others are read', async (t) => {
  const long = listFor(1, ...Array.from({ length: 5000 }, (_, at) => `recipient${at}@example.com`));
  const spool = spoolOf(t, { 1: MAIL, 2: long, 3: MAIL, 4: listFor(3, 'b@example.com') });
  const queue = await openQueue(spool, bench(), { ...SETTINGS_2012, longestList: 70_000 });
  const { jobs, quarantined } = await queue.scan();
  assert.deepEqual(
    jobs.map(({ control }) => control),
    [4],
  );
  assert.deepEqual([quarantined.length, quarantined[0]?.number], [1, 2]);
  assert.match(quarantined[0]?.reason ?? '', /has \d+ bytes, more than limit\.list \(70000\)/);
  await queue.close();
});
