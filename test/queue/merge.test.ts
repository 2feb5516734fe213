import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Job } from '../../src/delivery-list/job.ts';
import { mergeLists } from '../../src/queue/merge.ts';
import { emptyJob } from '../support/jobs.ts';

const list = (...recipients: readonly (readonly [string, number])[]): Job => ({
  ...emptyJob('2017'),
  recipients: recipients.map(([address, status]) => ({ address, status, text: `text ${status}` })),
});

test('a crashed rewrite: a recipient that is final in either list is final', () => {
  const before = list(['a@b', 0], ['c@d', 0], ['e@f', 4]);
  const after = list(['a@b', 5], ['e@f', 4], ['c@d', 2]);
  assert.deepEqual(mergeLists([before, after]), [
    {
      address: 'a@b',
      status: 5,
      text: 'text 5',
      places: [
        { list: 0, index: 0 },
        { list: 1, index: 0 },
      ],
    },
    {
      address: 'c@d',
      status: 2,
      text: 'text 2',
      places: [
        { list: 0, index: 1 },
        { list: 1, index: 2 },
      ],
    },
    {
      address: 'e@f',
      status: 4,
      text: 'text 4',
      places: [
        { list: 0, index: 2 },
        { list: 1, index: 1 },
      ],
    },
  ]);
});

test('precedence: delivered, refused, tried, new, unknown', () => {
  const order = [2, 5, 4, 3, 0, 42];
  for (const [rank, status] of order.entries()) {
    for (const other of order.slice(rank)) {
      assert.equal(mergeLists([list(['a@b', other]), list(['a@b', status])])[0]?.status, status);
      assert.equal(mergeLists([list(['a@b', status]), list(['a@b', other])])[0]?.status, status);
    }
  }
});

test('an address twice in one list is two recipients, in the other list, too', () => {
  const merged = mergeLists([list(['a@b', 0], ['a@b', 5]), list(['a@b', 2], ['a@b', 0])]);
  assert.deepEqual(
    merged.map(({ status }) => status),
    [2, 5],
  );
});

test('every line has its place exactly once, and one list merges to itself', () => {
  const recipient = fc.tuple(fc.constantFrom('a@b', 'c@d', '1|a@b', ''), fc.integer({ min: 0, max: 6 }));
  fc.assert(
    fc.property(fc.array(fc.array(recipient, { maxLength: 6 }), { maxLength: 4 }), (lists) => {
      const jobs = lists.map((each) => list(...each));
      const places = mergeLists(jobs).flatMap((merged) =>
        merged.places.map(({ list: at, index }) => `${at}/${index}`),
      );
      const all = jobs.flatMap((job, at) => job.recipients.map((_, index) => `${at}/${index}`));
      assert.deepEqual(places.sort(), all.sort());
      for (const job of jobs) {
        assert.deepEqual(
          mergeLists([job]).map(({ address, status }) => [address, status]),
          job.recipients.map(({ address, status }) => [address, status]),
        );
      }
    }),
  );
});
