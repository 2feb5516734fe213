/** Requests of administrators in a queue that applies them: holds, retries, removals, also interrupted ones. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import type { JobRequest, QueuedJob } from '../../../src/queue/queue.ts';
import type { SpoolClient } from '../../../src/queue/spool/open.ts';
import type { Disk, Ownership } from '../../../src/storage/disk.ts';
import { nodeDisk } from '../../../src/storage/disk.ts';
import { processTable } from '../../../src/storage/processes.ts';
import {
  bench,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openClient,
  openQueue,
  spoolOf,
  writeMessage,
} from '../../support/spool.ts';

const FILES = { 1: MAIL, 2: listFor(1, 'b@example.com'), 3: MAIL, 4: listFor(3, 'c@example.com') };
const ROOT = { by: 'root', at: NOW };
const FOLDER = '.spoolroom/removed/20120714T000000Z';

async function ask(client: SpoolClient, request: JobRequest, ...controls: readonly number[]): Promise<void> {
  const { jobs } = await client.scan();
  await client.request(
    request,
    jobs.filter(({ control }) => controls.includes(control)),
    ROOT,
  );
}

function asked(jobs: readonly QueuedJob[]): readonly (readonly [number, JobRequest | undefined])[] {
  return jobs.map(({ control, request }) => [control, request]);
}

function requestsIn(spool: string): readonly string[] {
  return fs.readdirSync(`${spool}/.spoolroom/requests`);
}

function removedIn(spool: string, folder = FOLDER): Record<string, string> {
  const names = fs.readdirSync(`${spool}/${folder}`);
  return Object.fromEntries(
    names.map((name) => [name, fs.readFileSync(`${spool}/${folder}/${name}`, 'latin1')]),
  );
}

test('a hold is seen by runner and client until it is withdrawn, and the list stays as it was', async (t) => {
  const spool = spoolOf(t, FILES);
  const queue = await openQueue(spool, bench());
  const client = await openClient(spool, bench());
  await ask(client, 'hold', 2);
  for (const scanned of [await queue.scan(), await queue.scan(), await client.scan()])
    assert.deepEqual(asked(scanned.jobs), [
      [2, 'hold'],
      [4, undefined],
    ]);
  assert.deepEqual(messagesIn(spool), FILES);
  await client.withdraw((await client.scan()).jobs);
  assert.deepEqual(asked((await queue.scan()).jobs), [
    [2, undefined],
    [4, undefined],
  ]);
  assert.deepEqual(requestsIn(spool), []);
  await queue.close();
});

test('a hold survives a repair of the payload, and does not apply to a later job of the same number', async (t) => {
  const spool = spoolOf(t, FILES);
  const client = await openClient(spool, bench());
  await ask(client, 'hold', 2, 4);
  writeMessage(spool, '1', `${MAIL}corrected\n`);
  writeMessage(spool, '4', listFor(3, 'd@example.com').replace(`submitted|${NOW}`, `submitted|${NOW + 9}`));
  const queue = await openQueue(spool, bench());
  assert.deepEqual(asked((await queue.scan()).jobs), [
    [2, 'hold'],
    [4, undefined],
  ]);
  assert.deepEqual(requestsIn(spool), ['2']);
  fs.rmSync(`${spool}/2`);
  await queue.scan();
  assert.deepEqual(requestsIn(spool), []);
  await queue.close();
});

test('a retry stays requested until the job was tried, and only once (R037)', async (t) => {
  const spool = spoolOf(t, FILES);
  const client = await openClient(spool, bench());
  await ask(client, 'retry', 2, 4);
  const first = await openQueue(spool, bench());
  assert.deepEqual(asked((await first.scan()).jobs), [
    [2, 'retry'],
    [4, 'retry'],
  ]);
  await first.close();
  const queue = await openQueue(spool, bench());
  await queue.scan();
  await queue.record(2, [{ index: 0, address: 'b@example.com', status: 4, text: 'later' }], NOW);
  assert.deepEqual(requestsIn(spool), ['4']);
  assert.deepEqual(asked((await queue.scan()).jobs), [
    [2, undefined],
    [4, 'retry'],
  ]);
  await queue.close();
});

test('a request made during the delivery of its job counts at the next scan', async (t) => {
  const spool = spoolOf(t, FILES);
  const client = await openClient(spool, bench());
  const queue = await openQueue(spool, bench());
  await ask(client, 'retry', 2);
  await queue.scan();
  await ask(client, 'retry', 2);
  await ask(client, 'remove', 4);
  await queue.record(2, [{ index: 0, address: 'b@example.com', status: 4, text: 'later' }], NOW);
  await queue.record(4, [{ index: 0, address: 'c@example.com', status: 4, text: 'full' }], NOW);
  assert.deepEqual(requestsIn(spool), ['2', '4']);
  assert.deepEqual(asked((await queue.scan()).jobs), [[2, 'retry']]);
  assert.match(removedIn(spool)[4] ?? '', /^remote\|c@example\.com\|4\|full$/m);
  await queue.close();
});

test('scans leave a job alone during its delivery', async (t) => {
  const spool = spoolOf(t, FILES);
  const client = await openClient(spool, bench());
  const queue = await openQueue(spool, bench());
  await ask(client, 'retry', 2);
  await queue.scan();
  const inHand = new Set([1, 3]);
  await ask(client, 'retry', 2);
  await ask(client, 'remove', 4);
  await queue.scan(inHand);
  await queue.record(2, [{ index: 0, address: 'b@example.com', status: 4, text: 'later' }], NOW);
  await queue.scan(inHand);
  assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2', '3', '4']);
  assert.deepEqual(asked((await queue.scan()).jobs), [[2, 'retry']], 'the second request is another one');
  assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2']);
  await queue.close();
});

test('a removed job is kept with its payload and the reason in a folder; nothing else is touched', async (t) => {
  const spool = spoolOf(t, FILES);
  const client = await openClient(spool, bench());
  await ask(client, 'remove', 4);
  assert.deepEqual(messagesIn(spool), FILES, 'asking alone moves nothing');
  const queue = await openQueue(spool, bench());
  assert.deepEqual(asked((await queue.scan()).jobs), [[2, undefined]]);
  assert.deepEqual(messagesIn(spool), { 1: MAIL, 2: FILES[2] });
  const { '4.why': why, ...files } = removedIn(spool);
  assert.deepEqual(files, { 3: MAIL, 4: FILES[4] });
  assert.match(
    why ?? '',
    /^Job 4 was removed from the spool: user root asked for it at 2012-07-14T00:00:00.*\n.* message 3 .* list 4\.\n$/,
  );
  assert.deepEqual(requestsIn(spool), []);
  await queue.close();
});

test('a payload that another job names stays, and goes when both are removed', async (t) => {
  const spool = spoolOf(t, { ...FILES, 4: listFor(1, 'c@example.com'), 5: listFor(1, 'd@example.com') });
  const client = await openClient(spool, bench());
  const queue = await openQueue(spool, bench());
  await ask(client, 'remove', 2);
  assert.deepEqual(asked((await queue.scan()).jobs), [
    [4, undefined],
    [5, undefined],
  ]);
  assert.ok(fs.existsSync(`${spool}/1`));
  assert.match(removedIn(spool)['2.why'] ?? '', /another job needs it/);
  await ask(client, 'remove', 4, 5);
  assert.deepEqual((await queue.scan()).jobs, []);
  assert.ok(!fs.existsSync(`${spool}/1`));
  assert.deepEqual(Object.keys(removedIn(spool)).sort(), ['1', '2', '2.why', '4', '4.why', '5', '5.why']);
  await queue.close();
});

/** A disk that changes nothing after `left` steps, as when the process is killed there. */
function mortalDisk(): { readonly disk: Disk; left: number } {
  const alive = <T>(call: () => T): T => {
    if (mortal.left-- <= 0) throw Object.assign(new Error('killed'), { code: 'EIO' });
    return call();
  };
  const { rename, link, unlink, remove, mkdir, create, syncDirectory } = nodeDisk;
  const mortal = {
    left: Number.POSITIVE_INFINITY,
    disk: {
      ...nodeDisk,
      rename: (from: string, to: string) => alive(() => rename(from, to)),
      link: (from: string, to: string) => alive(() => link(from, to)),
      unlink: (path: string) => alive(() => unlink(path)),
      remove: async (path: string) => alive(() => remove(path)),
      mkdir: (path: string, owner: Ownership) => alive(() => mkdir(path, owner)),
      create: (path: string, owner: Ownership) => alive(() => create(path, owner)),
      syncDirectory: async (path: string) => alive(() => syncDirectory(path)),
    },
  };
  return mortal;
}

test('a removal that is cut off at any step is repeated, and nothing is lost', async (t) => {
  const everybodyIsGone = { ...processTable(nodeDisk), alive: () => false };
  for (let step = 0; ; step++) {
    const spool = spoolOf(t, FILES);
    await ask(await openClient(spool, bench()), 'remove', 4);
    const mortal = mortalDisk();
    const queue = await openQueue(spool, bench({ disk: mortal.disk }));
    mortal.left = step;
    const { jobs } = await queue.scan();
    assert.ok(!jobs.some(({ control, request }) => control === 4 && request === undefined), `step ${step}`);
    const wasCutOff = mortal.left < 0;
    const next = await openQueue(spool, bench({ processes: everybodyIsGone }));
    assert.deepEqual(asked((await next.scan()).jobs), [[2, undefined]]);
    assert.deepEqual(messagesIn(spool), { 1: MAIL, 2: FILES[2] });
    const { '4.why': why, ...files } = removedIn(spool);
    assert.deepEqual(files, { 3: MAIL, 4: FILES[4] }, `step ${step}`);
    assert.match(why ?? '', /To restore it/);
    assert.deepEqual(requestsIn(spool), []);
    await next.close();
    if (!wasCutOff) {
      assert.ok(step > 8, `${step} steps`);
      return;
    }
  }
});

test('an invalid request for no job is quarantined with a warning, once', async (t) => {
  const spool = spoolOf(t, FILES);
  const deps = bench();
  const queue = await openQueue(spool, deps);
  const note = { request: 'hold', msgid: 1, submitted: NOW, by: 'root', at: NOW };
  const bad = [
    '',
    '{',
    'null',
    '[]',
    '{"request":"hold"}',
    { ...note, request: 'eat' },
    { ...note, at: 1e300 },
  ];
  for (const [index, each] of bad.entries()) {
    fs.writeFileSync(
      `${spool}/.spoolroom/requests/9`,
      typeof each === 'string' ? each : JSON.stringify(each),
    );
    assert.deepEqual(asked((await queue.scan()).jobs), [
      [2, undefined],
      [4, undefined],
    ]);
    assert.equal(deps.warnings.length, index + 1);
    assert.match(deps.warnings.at(-1) ?? '', /request for job 9 is not valid.*bad\/request\.9/);
  }
  fs.writeFileSync(`${spool}/.spoolroom/requests/2`, JSON.stringify(note));
  assert.deepEqual(asked((await queue.scan()).jobs), [
    [2, 'hold'],
    [4, undefined],
  ]);
  await queue.close();
});
