import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatcher, type Submission, type SubmissionBatch } from '../../src/intake/batcher.ts';
import { createManualClock } from '../support/manual-clock.ts';

function share(recipient: string, digest = 'same', sender = 'a@citref.example') {
  const closed: string[] = [];
  const given: Submission = {
    sender,
    recipients: [recipient],
    trace: '',
    letter: {
      kind: 'letter',
      size: 1,
      digest,
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
  const gathering = createBatcher(clock, 100, (gathered) => {
    jobs.push(gathered.recipients);
    return store(gathered);
  });
  return { clock, jobs, gathering };
}

test('a silent connection is waited for no longer than the window, counted from the first copy', async () => {
  const { clock, jobs, gathering } = bench();
  gathering.expect('silent', null);
  const first = gathering.join(share('b@example.com').given);
  clock.advance(99);
  const second = gathering.join(share('c@example.com').given);
  await Promise.resolve();
  assert.deepEqual(jobs, []);
  clock.advance(1);
  assert.deepEqual(await Promise.all([first, second]), ['stored', 'stored']);
  assert.deepEqual(jobs, [['b@example.com', 'c@example.com']]);
  assert.equal(clock.pending, 0);
});

test('equal bytes of different senders stay apart', async () => {
  const { clock, jobs, gathering } = bench();
  gathering.expect('silent', null);
  const both = [
    gathering.join(share('b@example.com').given),
    gathering.join(share('b@example.com', 'same', 'other@citref.example').given),
  ];
  clock.advance(100);
  await Promise.all(both);
  assert.equal(jobs.length, 2);
});

test('a connection that names its sender frees the others', async () => {
  const { jobs, gathering } = bench();
  gathering.expect('one', null);
  const waiting = gathering.join(share('b@example.com').given);
  gathering.expect('one', 'other@citref.example');
  await waiting;
  assert.equal(jobs.length, 1);
});

test('a connection that has long been silent costs nobody the window', async () => {
  const { clock, jobs, gathering } = bench();
  gathering.expect('silent', null);
  gathering.expect('named', 'a@citref.example');
  clock.advance(1000);
  gathering.expect('young', 'other@citref.example');
  await gathering.join(share('b@example.com').given);
  assert.deepEqual(jobs, [['b@example.com']]);
  gathering.expect('silent', 'a@citref.example');
  const waiting = gathering.join(share('c@example.com').given);
  await new Promise(setImmediate);
  assert.equal(jobs.length, 1, 'it says something again');
  gathering.forget('silent');
  await waiting;
});

test('what cannot be stored fails for everybody in it, and every letter is closed once', async () => {
  const { clock, gathering } = bench(async () => {
    throw new Error('full');
  });
  gathering.expect('silent', null);
  const shares = [share('b@example.com'), share('c@example.com')];
  const joined = shares.map(({ given }) => gathering.join(given));
  clock.advance(100);
  for (const each of joined) await assert.rejects(each, /full/);
  assert.deepEqual(
    shares.map(({ closed }) => closed),
    [['b@example.com'], ['c@example.com']],
  );
});

test('settling waits for nobody and for everything', async () => {
  let finish = (): void => {};
  const { gathering } = bench(
    () =>
      new Promise((resolve) => {
        finish = () => resolve('stored');
      }),
  );
  gathering.expect('silent', null);
  const joined = gathering.join(share('b@example.com').given);
  let settled = false;
  const settling = gathering.settle().then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  assert.equal(settled, false);
  finish();
  await settling;
  assert.equal(await joined, 'stored');
});
