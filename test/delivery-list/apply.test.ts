import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyChanges, rewrittenText } from '../../src/delivery-list/apply.ts';
import type { Job, StatusChange } from '../../src/delivery-list/job.ts';

const SPANS = { first: 300, ceiling: 43_200 };

function job(...recipients: readonly (readonly [string, number, string])[]): Job {
  return {
    dialect: '2012',
    msgid: 1,
    submitted: 1000,
    attempted: 0,
    retry: 300,
    bounceto: 'me',
    envelopeFrom: null,
    sourceRoom: null,
    recipients: recipients.map(([address, status, text]) => ({ address, status, text })),
    unknownLines: [],
  };
}

function change(index: number, address: string, status: 2 | 4 | 5, text = 'new'): StatusChange {
  return { index, address, status, text };
}

const CASES: readonly {
  readonly what: string;
  readonly before: Job;
  readonly changes: readonly StatusChange[];
  readonly after: Job;
}[] = [
  {
    what: 'an outcome goes to the recipient at its index, also among equal addresses',
    before: job(['a', 0, ''], ['a', 0, '']),
    changes: [change(1, 'a', 2)],
    after: job(['a', 0, ''], ['a', 2, 'new']),
  },
  {
    what: 'where the list was changed meanwhile, it goes to the first recipient with its address',
    before: job(['x', 0, ''], ['a', 0, ''], ['b', 4, 'old']),
    changes: [change(0, 'a', 5), change(1, 'b', 2)],
    after: job(['x', 0, ''], ['a', 5, 'new'], ['b', 2, 'new']),
  },
  {
    what: "an outcome for an address that is not listed any more is nobody's",
    before: job(['a', 0, '']),
    changes: [change(0, 'b', 2), change(7, 'c', 5)],
    after: job(['a', 0, '']),
  },
  {
    what: 'a status never becomes less final',
    before: job(['a', 2, 'ok'], ['b', 5, 'no'], ['c', 2, 'ok'], ['d', 6, 'odd']),
    changes: [change(0, 'a', 4), change(1, 'b', 4), change(2, 'c', 5), change(3, 'd', 4)],
    after: job(['a', 2, 'ok'], ['b', 5, 'no'], ['c', 2, 'ok'], ['d', 6, 'odd']),
  },
  {
    what: 'delivered wins over refused, and a later failure over an earlier one',
    before: job(['a', 5, 'no'], ['b', 4, 'old'], ['c', 3, 'old']),
    changes: [change(0, 'a', 2), change(1, 'b', 4), change(2, 'c', 4), change(2, 'c', 5, 'last')],
    after: job(['a', 2, 'new'], ['b', 4, 'new'], ['c', 5, 'last']),
  },
];

for (const { what, before, changes, after } of CASES) {
  test(what, () => {
    const kept = structuredClone(before);
    assert.deepEqual(applyChanges(before, changes), after);
    assert.deepEqual(applyChanges(applyChanges(before, changes), changes), after, 'twice is as good as once');
    assert.deepEqual(before, kept, 'the job itself stays as it was');
  });
}

test('a hundred thousand outcomes in a shuffled list take linear time', () => {
  const count = 100_000;
  const before = job(...Array.from({ length: count }, (_, i) => [`u${i}`, 0, ''] as const));
  const changes = Array.from({ length: count }, (_, i) => change(i, `u${count - 1 - i}`, 2));
  const after = applyChanges(before, changes);
  assert.ok(after.recipients.every(({ status }) => status === 2));
});

test('a rewritten 2012 list keeps every recipient, and the time of the next try', () => {
  assert.equal(
    rewrittenText(job(['a', 2, 'ok'], ['b', 4, 'later']), '2012', 5000, SPANS),
    'Content-type: application/x-citadel-delivery-list\n\nmsgid|1\nsubmitted|1000\nbounceto|me\n' +
      'retry|300\nattempted|5300\nremote|a|2|ok\nremote|b|4|later\n',
  );
});

test('a 2017 list that would name nobody is not written', () => {
  assert.equal(rewrittenText(job(['a', 2, 'ok']), '2017', 5000, SPANS), null);
  assert.match(
    rewrittenText(job(['a', 2, 'ok'], ['b', 4, 'later']), '2017', 5000, SPANS) ?? '',
    /\nremote\|b\|4\|/,
  );
});

test('status 3 is written as 4: a 2017 server would drop the recipient (C11)', () => {
  for (const dialect of ['2012', '2017'] as const) {
    assert.match(
      rewrittenText(job(['a', 3, 'shutting down'], ['b', 4, 'later']), dialect, 5000, SPANS) ?? '',
      /\nremote\|a\|4\|/,
    );
  }
});
