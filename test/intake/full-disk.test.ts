import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { bench, messagesIn, openClient, temporaryDirectory } from '../support/spool.ts';
import { fill, onSmallDisk } from '../torture/full-disk.ts';
import { MAIL, start } from './intake.ts';

test('a full disk is reported, leaves nothing of the message behind, and has no lasting effect', async (t) => {
  const mounted = await onSmallDisk(temporaryDirectory(t), async (spool) => {
    const intake = await start(t, await openClient(spool, bench()), { scratch: `${spool}/.spoolroom/tmp` });
    const client = await intake.client();
    await client.hello();
    const handOver = async (bytes: number): Promise<string | null> => {
      await client.envelope('a@citref.example', 'b@example.com');
      return client.ask(`${MAIL}${'x'.repeat(bytes)}\r\n.`);
    };
    assert.equal(await handOver(4000), '250 2.6.0 queued as job 2, message 1');
    fill(spool, 0);
    assert.match((await handOver(4000)) ?? '', /^452 4\.3\.1 No space is left/);
    assert.match(
      (await handOver(300_000)) ?? '',
      /^452 4\.3\.1 No space is left/,
      'nor for its scratch file',
    );
    assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2', 'filler']);
    fill(spool, 65_536);
    assert.match((await handOver(4000)) ?? '', /^250 /);
    client.drop();
    await intake.close();
    assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/tmp`), []);
  });
  if (!mounted) t.diagnostic('no file system may be mounted here; test/simulation has disks that run full');
});
