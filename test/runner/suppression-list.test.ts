/** Addresses to which nothing is sent for a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatTime } from '../../src/platform/clock.ts';
import { SuppressionList, suppressedFailure } from '../../src/runner/suppression-list.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import type { Disk, FileStatus } from '../../src/storage/disk.ts';
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

const FOLDER: FileStatus = {
  kind: 'directory',
  ino: 1,
  size: 0,
  mtimeMs: 0,
  ctimeMs: 0,
  mode: 0o700,
  uid: 0,
  gid: 0,
};

function fail(code: string): never {
  throw Object.assign(new Error(code), { code });
}

/** Its methods, some of which a test replaces. */
function bound(disk: MemoryDisk): Disk {
  return {
    list: (path) => disk.list(path),
    files: (path) => disk.files(path),
    status: (path) => disk.status(path),
    writable: (path) => disk.writable(path),
    read: (path, limit) => disk.read(path, limit),
    stream: (path) => disk.stream(path),
    create: (path, owner) => disk.create(path, owner),
    rename: (from, to) => disk.rename(from, to),
    link: (from, to) => disk.link(from, to),
    unlink: (path) => disk.unlink(path),
    remove: (path) => disk.remove(path),
    mkdir: (path, owner) => disk.mkdir(path, owner),
    syncDirectory: (path) => disk.syncDirectory(path),
  };
}

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
  it('is empty until an address or a bounce is there, so that nobody need ask it', () => {
    const { open } = bench();
    const list = open();
    assert.equal(list.isEmpty, true);
    list.bounced('bob@example.org', UNKNOWN);
    assert.equal(list.isEmpty, false);
    assert.equal(open().isEmpty, false);
    list.delivered('bob@example.org');
    assert.equal(open().isEmpty, true);
  });

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

  it('is empty, and stops no mail, where something else or a closed folder has its name (R245)', () => {
    const { disk, open } = bench(1);
    disk.create('/spool/.spoolroom/suppressed', OWNER).close();
    const list = open();
    assert.equal(list.find('bob@example.com'), null);
    list.delivered('bob@example.com');
    list.bounced('bob@example.com', UNKNOWN);
    const closed = new SuppressionList(
      { ...bound(disk), status: () => FOLDER, list: () => fail('EACCES') },
      LAYOUT,
      { after: 1, age: DAY },
      () => 0,
    );
    closed.refresh();
    assert.equal(closed.find('bob@example.com'), null);
  });

  it('stops no outcome when a file cannot be removed (R245)', () => {
    const { disk, open } = bench(3);
    open().bounced('bob@example.com', UNKNOWN);
    const rules = { after: 3, age: DAY };
    const list = new SuppressionList(
      { ...bound(disk), unlink: () => fail('EACCES') },
      LAYOUT,
      rules,
      () => 1_700_000_000,
    );
    list.refresh();
    list.delivered('bob@example.com');
  });

  it('drops what is past, some at each look, and keeps a long reason readable (R245)', () => {
    const { disk, clock, open } = bench(3);
    const list = open();
    for (let n = 0; n < 50; n++) list.bounced(`user${n}@example.com`, UNKNOWN);
    clock.now += 31 * DAY;
    list.add('bob@example.com', 'x'.repeat(50_000), DAY);
    for (let minute = 0; minute < 10; minute++) {
      clock.now += 60;
      list.refresh();
    }
    assert.equal(disk.list(LAYOUT.suppressed).length, 1);
    assert.equal(open().find('bob@example.com')?.why.length, 300);
  });

  it('says a time that no calendar has, and has no number of addresses that slows it down (R279)', () => {
    const { disk, open } = bench(1);
    const list = open();
    for (let count = 0; count < 3000; count++) list.bounced(`u${count}@x.example`, UNKNOWN);
    assert.ok(list.find('u2999@x.example'));
    const path = `/spool/.spoolroom/suppressed/${disk.list('/spool/.spoolroom/suppressed')[0]?.name}`;
    const entry = JSON.parse(disk.read(path, 10_000).bytes.toString());
    disk.unlink(path);
    const file = disk.create(path, OWNER);
    file.write(Buffer.from(JSON.stringify({ ...entry, until: 1e300 })));
    file.close();
    const found = open().find(entry.address);
    assert.match(
      suppressedFailure(found as NonNullable<typeof found>, formatTime(found?.until ?? 0)).text,
      /second 1e\+300/,
    );
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
