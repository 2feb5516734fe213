/** The queue at a glance: cut to the terminal, many alike as one, sorted, and its destinations by age. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  destinationAges,
  type ListedJob,
  ORDERS,
  queueList,
  sizeText,
  summaryTable,
} from '../../src/output/queue-list.ts';
import { NOW } from '../support/spool.ts';

function job(number: number, of: Partial<ListedJob> = {}, ...addresses: readonly string[]): ListedJob {
  const recipients = (addresses.length === 0 ? [`r${number}@example.com`] : addresses).map((address) => ({
    address,
    status: 4,
    text: '451 4.3.0 try again later',
  }));
  return {
    ...{ job: number, mail: number - 1, age: 60, size: 4711, pending: recipients.length, delivered: 0 },
    ...{ refused: 0, due: false, next: new Date((NOW + 300) * 1000).toISOString(), why: 'It waits.' },
    ...{
      throttled: null,
      last: '',
      sender: 'alice@citadel.example',
      recipients,
      unwritten: 0,
      request: null,
      ...of,
    },
  };
}

const plain = { width: null, now: NOW, grouped: false };

test('a job is a line', () => {
  const held = { request: 'hold', by: 'root', at: NOW } as const;
  const jobs = [
    job(2, {}, 'bob@example.com', 'carol@example.com'),
    job(4, { due: true, sender: '', age: null, size: null, recipients: [] }),
    job(60, { request: held, next: null }),
  ];
  assert.equal(
    queueList(jobs, plain),
    [
      'job  age   size    next   sender                 recipient           why',
      '2    60 s  4.7 KB  5 min  alice@citadel.example  bob@example.com +1  451 4.3.0 try again later',
      '4    ?     -       now    <>                     -',
      '60   60 s  4.7 KB  held   alice@citadel.example  r60@example.com     held by root',
    ].join('\n'),
  );
});

test('no line is wider than the terminal, and a count of recipients is never cut off', () => {
  const long = `${'somebody.with.a.long.name'.repeat(3)}@example.com`;
  const jobs = [job(2, { sender: long }, long, long, long), job(123_456)];
  for (const width of [60, 80, 100, 250]) {
    const lines = queueList(jobs, { ...plain, width }).split('\n');
    assert.ok(
      lines.every((line) => line.length <= width),
      `${width}: ${lines.join('\n')}`,
    );
    assert.match(lines[1] ?? '', /… \+2 |com \+2 /);
    if (width >= 100) assert.match(lines[1] ?? '', /451 4\.3\.0/);
  }
});

test('many that wait for the same are told as one, with the numbers in their replies apart', () => {
  const jobs = Array.from({ length: 30 }, (_, at) =>
    job(at, {
      recipients: [{ address: `r${at}@example.com`, status: 4, text: `450 wait ${at} seconds (id ${at}x)` }],
    }),
  );
  const other = job(99, {}, 'x@other.example');
  const lines = queueList([...jobs, other], { ...plain, grouped: true }).split('\n');
  assert.deepEqual(
    lines.slice(1).map((line) => line.split(' ').filter(Boolean).slice(0, 3).join(' ')),
    ['0 60 s', '1 60 s', '… and 28', '99 60 s'],
  );
  assert.match(lines[3] ?? '', /… and 28 jobs more like these: 450 wait 0 seconds/);
  assert.equal(queueList([...jobs, other], plain).split('\n').length, 32);
  assert.equal(queueList(jobs.slice(0, 20), { ...plain, grouped: true }).split('\n').length, 21, 'few');
});

test('sorted, what is unknown last', () => {
  const jobs = [
    job(2, { age: null, size: 10 }),
    job(4, { age: 10, size: null, due: true }),
    job(6, { age: 99, size: 20, sender: null, next: null }),
  ];
  const order = (by: keyof typeof ORDERS): readonly number[] =>
    [...jobs].sort(ORDERS[by]).map((each) => each.job);
  assert.deepEqual(order('job'), [2, 4, 6]);
  assert.deepEqual(order('age'), [6, 4, 2]);
  assert.deepEqual(order('size'), [6, 2, 4]);
  assert.deepEqual(order('next'), [4, 2, 6]);
  assert.deepEqual(order('sender'), [2, 4, 6]);
});

test('destinations by age: pending recipients, the most first', () => {
  const done = { address: 'done@b.example', status: 2, text: 'ok' };
  const jobs = [
    job(2, { age: 299 }, 'x@a.example', 'y@A.example', 'z@b.example'),
    job(4, { age: 100_000 }, 'x@a.example'),
    job(6, { age: null, recipients: [done, { address: 'no address', status: 0, text: '' }] }),
  ];
  assert.equal(
    summaryTable(destinationAges(jobs)),
    [
      '              T  5  10  20  40  80  160  320  640  1280  1280+  ?',
      'TOTAL         5  3   0   0   0   0    0    0    0     0      1  1',
      'a.example     3  2   0   0   0   0    0    0    0     0      1  0',
      '(no address)  1  0   0   0   0   0    0    0    0     0      0  1',
      'b.example     1  1   0   0   0   0    0    0    0     0      0  0',
    ].join('\n'),
  );
});

test('sizes have three digits at most', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KB'],
    [99_449, '99.4 KB'],
    [99_500, '100 KB'],
    [999_499, '999 KB'],
    [999_500, '1.0 MB'],
    [104_857_600, '105 MB'],
  ] as const)
    assert.equal(sizeText(bytes), text);
});
