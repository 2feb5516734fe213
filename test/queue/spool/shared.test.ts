/**
 * A spool that several users share by a group, and files in it that one of them cannot read: what each may do whoever came
 * first, and that a file costs only what it is about. What needs other users is done as root, in processes of their own.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { isMessageDue } from '../../../src/queue/due.ts';
import { type Disk, nodeDisk } from '../../../src/storage/disk.ts';
import { PROGRAM } from '../../support/program.ts';
import { bench, listFor, MAIL, openClient, openQueue, SETTINGS_2012, spoolOf } from '../../support/spool.ts';

const DUE = { schedule: { retry: SETTINGS_2012.spans, steps: null }, force: true } as never;
const ASKED = { by: 'me', at: 1 };

/** A disk that lets nobody read this file. */
function closedFile(file: string): Disk {
  return {
    ...nodeDisk,
    read(at, limit) {
      if (at === file) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      return nodeDisk.read(at, limit);
    },
  };
}

test('a request that cannot be read holds its own job, is reported once, and nothing else waits (R177)', async (t) => {
  const spool = spoolOf(t, {
    1: MAIL,
    2: listFor(1, 'b@example.com'),
    3: MAIL,
    4: listFor(3, 'c@example.com'),
  });
  const client = await openClient(spool, bench());
  await client.request('hold', (await client.scan()).jobs.slice(0, 1), ASKED);
  const deps = bench({ disk: closedFile(`${spool}/.spoolroom/requests/2`) });
  const room = await openQueue(spool, deps);
  await room.scan();
  const { jobs } = await room.scan();
  assert.deepEqual(
    jobs.map((job) => [job.control, isMessageDue([job], 2_000_000_000, DUE)]),
    [
      [2, false],
      [4, true],
    ],
  );
  assert.equal(deps.warnings.length, 1);
  assert.match(deps.warnings[0] ?? '', /requests\/2 cannot be read: permission denied .*Job 2 is held/);
  const withdrawing = await openClient(spool, deps);
  await withdrawing.withdraw(jobs.slice(0, 1));
  assert.ok((await room.scan()).jobs.every((job) => isMessageDue([job], 2_000_000_000, DUE)));
  await room.close();
});

test('a link or a folder in the place of a request is moved away and nothing waits for it (R177)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const deps = bench();
  const room = await openQueue(spool, deps);
  fs.symlinkSync('/etc/hostname', `${spool}/.spoolroom/requests/2`);
  fs.mkdirSync(`${spool}/.spoolroom/requests/7`);
  fs.mkdirSync(`${spool}/.spoolroom/bad/request.7/full`, { recursive: true });
  const { jobs } = await room.scan();
  assert.equal(jobs[0]?.request, undefined);
  await room.scan();
  assert.equal(deps.warnings.length, 2, deps.warnings.join('\n'));
  await room.close();
});

test('a damaged request holds its job, whatever it was, until it is withdrawn (R290)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const client = await openClient(spool, bench());
  await client.request('hold', (await client.scan()).jobs, ASKED);
  for (const text of ['', 'rubbish', '\0\0', '{"request":"hold"}']) {
    fs.writeFileSync(`${spool}/.spoolroom/requests/2`, text);
    fs.writeFileSync(`${spool}/.spoolroom/requests/6`, text);
    const deps = bench();
    const room = await openQueue(spool, deps);
    const { jobs } = await room.scan();
    assert.equal(jobs[0]?.request, 'hold', text);
    assert.match(deps.warnings.join('\n'), /requests\/2 cannot be read: it is damaged\. Job 2 is held/);
    assert.match(deps.warnings.join('\n'), /request for job 6 is not valid and was moved/);
    await room.close();
  }
  const { jobs } = await client.scan();
  await client.request('retry', jobs, ASKED);
  assert.equal((await client.scan()).jobs[0]?.request, 'hold');
  await client.withdraw(jobs);
  assert.equal((await client.scan()).jobs[0]?.request, undefined);
});

test('a retry never takes the place of a hold (R178)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const client = await openClient(spool, bench());
  const { jobs } = await client.scan();
  await client.request('hold', jobs, ASKED);
  await client.request('retry', jobs, ASKED);
  const [held] = (await client.scan()).jobs;
  assert.equal(held?.request, 'hold');
  const room = await openQueue(spool, bench());
  const [job] = (await room.scan()).jobs;
  assert.ok(job !== undefined && !isMessageDue([job], 2_000_000_000, DUE));
  await room.close();
  await client.withdraw(jobs);
  await client.request('retry', jobs, ASKED);
  assert.equal((await client.scan()).jobs[0]?.request, 'retry');
});

const OWNER = ['--reuid=www-data', '--regid=mail', '--clear-groups'];
const MEMBER = ['--reuid=daemon', '--regid=daemon', '--groups=mail'];
const RUNNER = ['--reuid=www-data', '--regid=www-data', '--groups=mail'];
const STRANGER = ['--reuid=nobody', '--regid=nogroup', '--clear-groups'];
const USERS = { owner: OWNER, member: MEMBER, runner: RUNNER } as const;

const NEEDS_ROOT = { skip: canChangeUser() ? false : 'needs root, setpriv and the users of Debian' };

function canChangeUser(): boolean {
  if (process.geteuid?.() !== 0) return false;
  return spawnSync('setpriv', [...MEMBER, 'true']).status === 0;
}

/** The program where every user gets to it. */
function program(t: TestContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-program-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const source = path.dirname(PROGRAM.at(-1) ?? '');
  for (const name of fs.readdirSync(source)) {
    const from = path.join(source, name);
    if (fs.statSync(from).isFile()) fs.copyFileSync(from, path.join(folder, name));
  }
  fs.chmodSync(folder, 0o755);
  return path.join(folder, 'spoolroom');
}

function as(user: readonly string[], bin: string, words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('setpriv', [...user, process.execPath, bin, ...words], {
    input: 'Subject: x\n\nbody\n',
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, said: `${stdout}${stderr}` };
}

function sharedSpool(t: TestContext, mode = 0o2770): string {
  const spool = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-shared-'));
  t.after(() => fs.rmSync(spool, { recursive: true, force: true }));
  execFileSync('chown', ['www-data:mail', spool]);
  fs.chmodSync(spool, mode);
  return spool;
}

const RUN = ['run', '--hostname', 'h.example', '--smarthost', '127.0.0.1:1', '--return', 'room'];
const ENQUEUE = ['enqueue', '-f', 'a@example.org', 'b@example.com'];
const bundled = PROGRAM.length === 1;
const NAMES = ['owner', 'member', 'runner'] as const;

/** Mode of the spool, who came first, and with what. */
const BEGINNINGS: readonly (readonly [number, (typeof NAMES)[number], readonly string[]])[] = [
  [0o2770, 'owner', RUN],
  [0o2770, 'member', ENQUEUE],
  [0o2770, 'runner', RUN],
  [0o770, 'member', RUN],
];

test('in a shared spool every member can do everything, whoever came first (R177)', NEEDS_ROOT, (t) => {
  if (!bundled) return t.skip('needs the built program');
  const bin = program(t);
  for (const [mode, first, begin] of BEGINNINGS) {
    const spool = sharedSpool(t, mode);
    const dir = ['--spool', spool];
    const begun = as(USERS[first], bin, [...begin, ...dir]);
    assert.equal(begun.status, 0, `${first} ${begin[0]} first: ${begun.said}`);
    for (const next of NAMES.filter((name) => name !== first)) {
      for (const words of [ENQUEUE, ['hold', '--all'], RUN]) {
        const { status, said } = as(USERS[next], bin, [...words, ...dir]);
        const what = `${mode.toString(8)}: ${first} ${begin[0]} first, then ${next} ${words[0]}: ${said}`;
        assert.equal(status, 0, what);
        assert.doesNotMatch(said, /cannot be read|permission denied/, what);
      }
    }
    const others = execFileSync('find', [spool, '!', '-group', 'mail'], { encoding: 'utf8' });
    assert.equal(others, '', 'everything belongs to the group');
  }
});

test('a user whom the system does not know by name may do all that others may (R284)', NEEDS_ROOT, (t) => {
  if (!bundled) return t.skip('needs the built program');
  const bin = program(t);
  const spool = sharedSpool(t);
  const nameless = ['--reuid', '61001', '--regid', 'mail', '--clear-groups'];
  for (const words of [
    ENQUEUE,
    ['hold', '2'],
    ['release', '2'],
    RUN,
    ['retry', '2'],
    ['remove', '2', '--yes'],
    RUN,
  ]) {
    const { status, said } = as(nameless, bin, [...words, '--spool', spool]);
    assert.equal(status, 0, `${words[0]}: ${said}`);
  }
});

test('nothing is called queued that the owner of the spool could not read (R177)', NEEDS_ROOT, (t) => {
  if (!bundled) return t.skip('needs the built program');
  const bin = program(t);
  const spool = sharedSpool(t, 0o777);
  const { status, said } = as(STRANGER, bin, [...ENQUEUE, '--spool', spool]);
  assert.equal(status, 74, said);
  assert.match(said, /could not be read by the owner .*Nothing was queued/);
  assert.deepEqual(
    fs.readdirSync(spool).filter((name) => /^\d/.test(name)),
    [],
  );
});
