import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatcher, type Submission, type SubmissionBatch } from '../../src/intake/batcher.ts';
import { createManualClock } from '../support/manual-clock.ts';

function submission(recipient: string, digest = 'same', sender = 'a@citref.example') {
  const closed: string[] = [];
  const given: Submission = {
    sender,
    recipients: [recipient],
    dsn: null,
    receivedHeader: '',
    message: {
      kind: 'message',
      size: 1,
      digest: () => digest,
      whole: null,
      header: '',
      pieces: async function* () {},
      close: async () => void closed.push(recipient),
    },
  };
  return { given, closed };
}

function bench(store = async (_: SubmissionBatch): Promise<string> => 'stored') {
  const clock = createManualClock();
  const jobs: (readonly string[])[] = [];
  const batcher = createBatcher(clock, 100, (batch) => {
    jobs.push(batch.recipients);
    return store(batch);
  });
  return { clock, jobs, batcher };
}

test('a silent connection is waited for no longer than the window, counted from the first copy', async () => {
  const { clock, jobs, batcher } = bench();
  batcher.expect('silent', null);
  const first = batcher.join('a connection', submission('b@example.com').given);
  clock.advance(99);
  const second = batcher.join('a connection', submission('c@example.com').given);
  await Promise.resolve();
  assert.deepEqual(jobs, []);
  clock.advance(1);
  assert.deepEqual(await Promise.all([first, second]), ['stored', 'stored']);
  assert.deepEqual(jobs, [['b@example.com', 'c@example.com']]);
  assert.equal(clock.pending, 0);
});

test('a message of which no copy can come waits for nothing, and its content is not compared', async () => {
  const { clock, jobs, batcher } = bench();
  batcher.expect('one', 'a@citref.example');
  const { given } = submission('b@example.com');
  const digest = (): string => assert.fail('the content was looked at');
  const joined = batcher.join('one', { ...given, message: { ...given.message, digest } });
  assert.deepEqual([jobs, clock.pending], [[['b@example.com']], 0]);
  assert.equal(await joined, 'stored');
});

test('equal bytes of different senders stay apart', async () => {
  const { clock, jobs, batcher } = bench();
  batcher.expect('silent', null);
  const both = [
    batcher.join('a connection', submission('b@example.com').given),
    batcher.join('a connection', submission('b@example.com', 'same', 'other@citref.example').given),
  ];
  clock.advance(100);
  await Promise.all(both);
  assert.equal(jobs.length, 2);
});

test('a connection that names its sender frees the others', async () => {
  const { jobs, batcher } = bench();
  batcher.expect('one', null);
  const waiting = batcher.join('a connection', submission('b@example.com').given);
  batcher.expect('one', 'other@citref.example');
  await waiting;
  assert.equal(jobs.length, 1);
});

test('a connection that has long been silent costs nobody the window', async () => {
  const { clock, jobs, batcher } = bench();
  batcher.expect('silent', null);
  batcher.expect('named', 'a@citref.example');
  clock.advance(1000);
  batcher.expect('young', 'other@citref.example');
  await batcher.join('a connection', submission('b@example.com').given);
  assert.deepEqual(jobs, [['b@example.com']]);
  batcher.expect('silent', 'a@citref.example');
  const waiting = batcher.join('a connection', submission('c@example.com').given);
  await new Promise(setImmediate);
  assert.equal(jobs.length, 1, 'it says something again');
  batcher.forget('silent');
  await waiting;
});

test('what cannot be stored fails for everybody in it, and every message is closed once', async () => {
  const { clock, batcher } = bench(async () => {
    throw new Error('full');
  });
  batcher.expect('silent', null);
  const submissions = [submission('b@example.com'), submission('c@example.com')];
  const joined = submissions.map(({ given }) => batcher.join('a connection', given));
  clock.advance(100);
  for (const each of joined) await assert.rejects(each, /full/);
  assert.deepEqual(
    submissions.map(({ closed }) => closed),
    [['b@example.com'], ['c@example.com']],
  );
});

test('settling waits for nobody and for everything', async () => {
  let finish = (): void => {};
  const { batcher } = bench(
    () =>
      new Promise((resolve) => {
        finish = () => resolve('stored');
      }),
  );
  batcher.expect('silent', null);
  const joined = batcher.join('a connection', submission('b@example.com').given);
  let settled = false;
  const settling = batcher.settle().then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  assert.equal(settled, false);
  finish();
  await settling;
  assert.equal(await joined, 'stored');
});

test('copies of which one demands TLS stay apart, and it keeps its demand', async () => {
  const demands: (true | undefined)[] = [];
  const { batcher } = bench(async ({ dsn }) => {
    demands.push(dsn?.requireTls);
    return 'stored';
  });
  batcher.expect('other', 'a@citref.example');
  const dsn = { ret: null, envid: null, requireTls: true as const, recipients: new Map() };
  const both = [
    batcher.join('a connection', { ...submission('b@example.com').given, dsn }),
    batcher.join('a connection', submission('c@example.com').given),
  ];
  batcher.forget('other');
  await Promise.all(both);
  assert.deepEqual(demands, [true, undefined]);
});
