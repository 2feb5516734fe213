/** Addresses to which nothing is sent for a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SuppressionList, suppressedFailure } from '../../src/runner/suppression-list.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { MemoryDisk } from '../support/memory-disk.ts';

const LAYOUT = layoutOf('/spool');
const DAY = 86_400;
const OWNER = { mode: 0o700, uid: 0, gid: 0 };

const UNKNOWN: Failure = {
  ...{
    scope: 'recipient',
    stage: 'rcpt',
    permanent: true,
    code: 550,
    enhanced: '5.1.1',
    text: '5.1.1 no such user',
  },
  ...{ maybeDelivered: false, peer: { host: 'mx.example', address: '192.0.2.1', port: 25 } },
};

function bench(after = 3) {
  const disk = new MemoryDisk();
  disk.mkdir('/spool', OWNER);
  disk.mkdir('/spool/.spoolroom', OWNER);
  const clock = { now: 1_700_000_000 };
  const open = (): SuppressionList => {
    const list = new SuppressionList(disk, LAYOUT, { after, age: 30 * DAY }, () => clock.now);
    list.refresh();
    return list;
  };
  return { disk, clock, open };
}

describe('the suppression list', () => {
  it('has an address by hand until its time is over, whoever asks, however it is written', () => {
    const { clock, open } = bench(0);
    open().add('Bob@Example.com', 'he asked for it', DAY);
    const list = open();
    assert.equal(list.find('bob@example.com')?.why, 'he asked for it');
    assert.equal(list.find('alice@example.com'), null);
    assert.deepEqual(
      list.all().map(({ address }) => address),
      ['bob@example.com'],
    );
    clock.now += DAY;
    assert.equal(list.find('bob@example.com'), null);
    assert.deepEqual(list.all(), []);
  });

  it('loses it by hand', () => {
    const { open } = bench(0);
    open().add('bob@example.com', 'x');
    assert.equal(open().remove('BOB@example.com'), true);
    assert.equal(open().remove('bob@example.com'), false);
    assert.equal(open().find('bob@example.com'), null);
  });

  it('gets an address after so many hard bounces in a row', () => {
    const { open } = bench(3);
    for (const bounces of [1, 2]) {
      open().bounced('bob@example.com', UNKNOWN);
      assert.equal(open().find('bob@example.com'), null, `after ${bounces}`);
    }
    open().bounced('bob@example.com', UNKNOWN);
    const entry = open().find('bob@example.com');
    assert.deepEqual([entry?.bounces, entry?.why], [3, '5.1.1 no such user']);
  });

  it('begins to count anew when a message was delivered', () => {
    const { open } = bench(2);
    open().bounced('bob@example.com', UNKNOWN);
    open().delivered('bob@example.com');
    open().bounced('bob@example.com', UNKNOWN);
    assert.equal(open().find('bob@example.com'), null);
  });

  it('counts no other refusals, and none at all where that is not set', () => {
    const { disk, open } = bench(1);
    for (const change of [
      { enhanced: '5.7.1' },
      { enhanced: '4.1.1', permanent: false, code: 450 },
      { stage: 'dot' },
      { code: null },
    ] as const)
      open().bounced('bob@example.com', { ...UNKNOWN, ...change });
    assert.equal(disk.status(LAYOUT.suppressed), null);
    const off = bench(0);
    off.open().bounced('bob@example.com', UNKNOWN);
    assert.equal(off.disk.status(LAYOUT.suppressed), null);
  });

  it('is not stopped by a file that is damaged', () => {
    const { disk, open } = bench(0);
    open().add('bob@example.com', 'x');
    const [file] = disk.list(LAYOUT.suppressed);
    for (const text of ['', '{', 'null', '{"address":"bob@example.com"}']) {
      const path = `${LAYOUT.suppressed}/${file?.name}`;
      disk.unlink(path);
      const broken = disk.create(path, OWNER);
      broken.write(Buffer.from(text));
      broken.close();
      assert.equal(open().find('bob@example.com'), null);
      assert.deepEqual(open().all(), []);
    }
  });

  it('tells the sender what it is and until when', () => {
    const { open } = bench(0);
    const { text, permanent } = suppressedFailure(
      open().add('bob@example.com', 'he left'),
      '2024-01-01T00:00:00Z',
    );
    assert.equal(permanent, true);
    assert.match(text, /on the suppression list of this site until 2024-01-01T00:00:00Z \(he left\)/);
  });
});
