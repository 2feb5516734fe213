import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { Dialect, Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { DELIVERY_LIST_HEADER, serialiseJob } from '../../src/delivery-list/serialise.ts';
import { emptyJob } from '../support/jobs.ts';

const job: Job = {
  ...emptyJob('2012'),
  msgid: 4711,
  submitted: 1342277395,
  bounceto: 'Joe Sixpack@citnode',
  sourceRoom: 'Announce',
  recipients: [
    { address: 'a@b', status: 2, text: '2.0.0 Ok' },
    { address: 'c@d', status: 3, text: '' },
    { address: 'e@f', status: 5, text: '550 (no such user)' },
    { address: 'g@h', status: 5, text: 'refused under another server' },
    { address: 'i@j', status: 0, text: '' },
  ],
};

function reread(text: string, dialect: Dialect): Job {
  const parsed = parseDeliveryList(stripHeader(text).instructions, { dialect, fallback: dialect });
  assert.ok(parsed.kind === 'list');
  return parsed.job;
}

test('2012 keeps every recipient and writes the next try', () => {
  assert.equal(
    serialiseJob(job, '2012', 1342280000),
    `${DELIVERY_LIST_HEADER}msgid|4711\nsubmitted|1342277395\nbounceto|Joe Sixpack@citnode\nsource_room|Announce\n` +
      'retry|300\nattempted|1342280300\nremote|a@b|2|2.0.0 Ok\nremote|c@d|3|\nremote|e@f|5|550 (no such user)\n' +
      'remote|g@h|5|refused under another server\nremote|i@j|0|\n',
  );
});

test('2017 lists who is left and fresh refusals, status 3 as 4, and writes this try', () => {
  assert.equal(
    serialiseJob(job, '2017', 1342280000),
    `${DELIVERY_LIST_HEADER}\nmsgid|4711\nsubmitted|1342277395\nbounceto|Joe Sixpack@citnode\n` +
      'remote|c@d|4|\nremote|e@f|5|550 (no such user)\nremote|i@j|0|\nattempted|1342280000\n',
  );
});

test('retry doubles at each failure up to the ceiling (R006); both ends can be set', () => {
  const spans = (options?: { first: number; ceiling: number }) => {
    let current = job;
    return Array.from({ length: 10 }, () => {
      const text = serialiseJob(current, '2012', 1000, options);
      current = reread(text, '2012');
      return Number(/\nretry\|(\d+)\n/.exec(text)?.[1]);
    });
  };
  assert.deepEqual(spans(), [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 43200, 43200]);
  assert.deepEqual(spans({ first: 60, ceiling: 500 }).slice(0, 5), [60, 120, 240, 480, 500]);
  assert.deepEqual(spans({ first: 75, ceiling: 43_200 }).slice(0, 5), [75, 150, 300, 600, 1200]);
});

/** Text that tries to end its field or line (R066, "queue injection"). */
const hostile = fc
  .array(
    fc.constantFrom('\r', '\n', '\0', '|', '\r\nremote|x@y|0||\r\n', '\nmsgid|9', ' ', 'ok', '\xff', '('),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(''));

test('no status text becomes a line, a field or a recipient', () => {
  fc.assert(
    fc.property(hostile, hostile, fc.constantFrom<Dialect>('2012', '2017'), (text, address, dialect) => {
      const evil: Job = { ...job, recipients: [{ address: `a${address}`, status: 4, text }] };
      const written = serialiseJob(evil, dialect, 7);
      assert.equal(written.includes('\0'), false);
      const read = reread(written, dialect);
      assert.equal(read.recipients.length, 1);
      assert.equal(read.msgid, job.msgid);
      assert.deepEqual(read.unknownLines, []);
    }),
  );
});

test('a first control message cannot be talked into other lines', () => {
  fc.assert(
    fc.property(
      hostile,
      hostile,
      hostile,
      fc.array(hostile),
      (bounceto, envelopeFrom, sourceRoom, recipients) => {
        const text = newControlText({
          msgid: 5,
          submitted: 6,
          bounceto,
          envelopeFrom,
          sourceRoom,
          recipients,
        });
        const read = reread(text, '2012');
        assert.deepEqual([read.msgid, read.submitted], [5, 6]);
        assert.equal(read.recipients.length, recipients.filter((each) => each !== '').length);
        assert.ok(read.recipients.every(({ status, text: words }) => status === 0 && words === ''));
      },
    ),
  );
});
