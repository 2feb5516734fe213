/** `queue`: the jobs, what each waits for, and unreadable files. Nothing in the spool changes. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { command as explain } from '../../src/cli/commands/explain.ts';
import { command } from '../../src/cli/commands/queue.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { bench, HEADER, listFor, MAIL, messagesIn, NOW, openQueue, spoolOf } from '../support/spool.ts';

const WAITING =
  `${HEADER}msgid|3\nsubmitted|${NOW - 7200}\nbounceto|a@example.org\nretry|2400\nattempted|${NOW + 1800}\n` +
  'remote|gone@example.com|2|ok\nremote|g\xfcnter@example.com|4|451 Sp\xe4ter\x1b[2J\nremote|no@example.com|5|no\n';

const FILES = {
  1: MAIL,
  2: listFor(1, 'bob@example.com'),
  3: MAIL,
  4: WAITING,
  5: MAIL,
  6: `${HEADER}nothing\n`,
};

async function queue(t: TestContext, files: Readonly<Record<string, string>>, settings: object = {}) {
  const spool = spoolOf(t, files);
  const before = messagesIn(spool);
  const caught = caughtTerminal();
  const exit = await perform(command, invocation(caught, { spool, now: NOW, ...settings }));
  assert.deepEqual(messagesIn(spool), before);
  assert.deepEqual([exit, caught.errors], [0, []]);
  return caught.printed.join('\n');
}

/** What `--json` prints, a value for each line. */
async function lines(t: TestContext, files: Readonly<Record<string, string>>) {
  const text = await queue(t, files, { json: true });
  return text.split('\n').map((line): { [field: string]: unknown } => JSON.parse(line));
}

test('a table, with unreadable bytes escaped', async (t) => {
  assert.equal(
    await queue(t, FILES),
    [
      'job  age  size  next    sender  recipient              why',
      '2    0 s  61 B  now     -       bob@example.com',
      '4    2 h  61 B  30 min  -       günter@example.com +2  451 Später\\x1b[2J',
      '2 jobs: 1 due now, 1 waiting',
      'unreadable: 6: it has no delivery-list instruction',
      'messages without a job: 5',
    ].join('\n'),
  );
});

test('the same as JSON, for programs', async (t) => {
  const [, second, ...others] = await lines(t, FILES);
  assert.deepEqual(others, [
    { kind: 'orphan', mail: 5 },
    { kind: 'unreadable', number: 6, reason: 'it has no delivery-list instruction' },
  ]);
  assert.deepEqual(second, {
    ...{ kind: 'job', size: 61, throttled: null },
    ...{ job: 4, mail: 3, age: 7200, pending: 1, delivered: 1, refused: 1, due: false },
    throttled: null,
    ...{ next: '2012-07-14T00:30:00Z', why: 'It waits until 2012-07-14T00:30:00Z.' },
    last: 'günter@example.com: 451 Später\\x1b[2J',
    ...{ sender: null, unwritten: 0, request: null },
    recipients: [
      { address: 'gone@example.com', status: 2, text: 'ok' },
      { address: 'günter@example.com', status: 4, text: '451 Später\\x1b[2J' },
      { address: 'no@example.com', status: 5, text: 'no' },
    ],
  });
});

test('an empty spool', async (t) => {
  assert.equal(await queue(t, {}), 'The spool is empty.');
});

test('a spool with only a quarantined list is not empty', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: `${HEADER}nothing\n` });
  const room = await openQueue(spool, bench());
  await room.scan();
  await room.close();
  const caught = caughtTerminal();
  await perform(command, invocation(caught, { spool, now: NOW }));
  assert.deepEqual(caught.printed, [
    'There are no jobs.',
    'quarantined in .spoolroom/bad/2: Message 2 was quarantined, because it has no delivery-list instruction.',
    'messages without a job: 1',
  ]);
  await perform(command, invocation(caught, { spool, now: NOW, json: true }));
  assert.deepEqual(
    caught.printed.slice(3).map((line) => JSON.parse(line).kind),
    ['orphan', 'aside'],
  );
});

test('a list waits for the other one that names its message', async (t) => {
  const other = listFor(3, 'bob@example.com');
  const jobs = await lines(t, { 3: MAIL, 4: WAITING, 6: other });
  assert.deepEqual([jobs[1]?.job, jobs[1]?.due, jobs[1]?.next], [6, false, '2012-07-14T00:30:00Z']);
  assert.equal(jobs[1]?.why, 'Job 4 has the same message. It waits until 2012-07-14T00:30:00Z.');
});

test('a job with a recipient of unknown status is not ended', async (t) => {
  const odd = listFor(1, 'b@example.com').replace('|0||', '|7|what|');
  const why = 'A recipient has the unknown status 7: correct the control message, or remove the job.';
  assert.ok((await queue(t, { 1: MAIL, 2: odd })).includes(why));
});

test('a list without a time of submission has no age', async (t) => {
  const files = { 1: MAIL, 2: `${HEADER}msgid|1\nremote|b@example.com|0||\n` };
  assert.match(await queue(t, files), /^2 +\? +61 B +now +- +b@example\.com$/m);
  assert.equal((await lines(t, files))[0]?.age, null);
});

test('messages for hosts that asked us to send less wait, and that is said', async (t) => {
  const spool = spoolOf(t, {
    1: MAIL,
    2: listFor(1, 'bob@gmail.example'),
    3: MAIL,
    4: listFor(3, 'b@x.example'),
  });
  const group = {
    ...{ state: 'paused', until: (NOW + 600) * 1000, pause: 600_000, rate: 10, heard: NOW * 1000 },
    ...{ host: 'mx1.google.com', port: 25, answer: '421 4.7.28 unusual rate', enhanced: '4.7.28' },
    ...{ told: false, destinations: ['mx:gmail.example'] },
  };
  fs.mkdirSync(`${spool}/.spoolroom`);
  fs.writeFileSync(`${spool}/.spoolroom/throttled`, JSON.stringify({ 'google.com': group }));
  const printed = async (run: typeof command, settings: object, options: object = {}): Promise<string> => {
    const caught = caughtTerminal();
    const called = invocation(caught, { spool, now: NOW, ...settings });
    assert.equal(await perform(run, { ...called, options: { ...called.options, ...options } }), 0);
    return caught.printed.join('\n');
  };
  const until = '2012-07-14T00:10:00Z';
  const shown = await printed(command, {});
  assert.match(shown, /^2 .* 10 min .* Gmail asked us to slow down/m);
  assert.match(shown, /^2 jobs: 1 due now, 1 waiting$/m);
  assert.match(shown, new RegExp(`^Gmail asked us to slow down; 1 message waits until ${until}$`, 'm'));
  const found = (await printed(command, { json: true })).split('\n').map((line) => JSON.parse(line));
  const jobs = found.filter(({ kind }) => kind === 'job');
  const throttled = found.filter(({ kind }) => kind === 'throttled');
  assert.deepEqual([jobs[0].due, jobs[0].throttled, jobs[1].throttled], [false, 'google.com', null]);
  assert.deepEqual(throttled, [
    {
      ...{ kind: 'throttled', group: 'google.com', receiver: 'Gmail', state: 'paused', until, rate: 10 },
      ...{ answer: '421 4.7.28 unusual rate', waiting: 1 },
    },
  ]);
  const explained = await printed(explain, {}, { job: '2' });
  assert.match(explained, new RegExp(`^Gmail asked us to slow down, so it waits until ${until}`, 'm'));
  assert.match(explained, /^What mx1.google.com said: 421 4.7.28 unusual rate$/m);
  assert.match(explained, /^Gmail finds too much unwanted mail from this address.*See https:/m);
});

test('jobs that are due and silent hosts that hold them up (R231)', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@example.com') });
  fs.mkdirSync(`${spool}/.spoolroom`);
  const shown = async (met: number, run: typeof command, options: object): Promise<string> => {
    const alert = { since: NOW - 3600, text: '5 of 5 sessions were closed.', told: null, met };
    fs.writeFileSync(`${spool}/.spoolroom/alerts`, JSON.stringify({ 'silent hosts': alert }));
    const caught = caughtTerminal();
    await perform(run, invocation(caught, { spool, now: NOW }, { ...options }));
    return caught.printed.join('\n');
  };
  const said =
    /\nSince 2012-07-13T23:00:00Z hosts that say nothing hold up others\. Last, 5 of 5 sessions were closed\./;
  assert.match(await shown(NOW - 60, command, {}), said);
  assert.match(await shown(NOW - 60, explain, { job: '2' }), said);
  assert.doesNotMatch(await shown(NOW - 901, command, {}), said);
  assert.doesNotMatch(await shown(NOW - 901, explain, { job: '2' }), said);
});
