/** A spool that is moved into PostgreSQL, by processes that are killed: every job is there once, and nowhere else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readNative, writeNative } from '../../../src/message/native.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { withMsgid } from '../../../src/queue/postgres/take-in.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { PROGRAM } from '../../support/program.ts';
import {
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  SETTINGS_2012,
  seededRandom,
  spoolOf,
} from '../../support/spool.ts';

const JOBS = 60;

describe('moving a spool into PostgreSQL', { skip: NO_POSTGRES }, () => {
  it('neither loses nor repeats a job, wherever it is killed', async (t) => {
    const cluster = await startCluster();
    t.after(() => cluster.remove());
    const room = await cluster.create();
    const database = databaseAt(room);
    t.after(() => database.close());
    const files: { [name: string]: string } = {};
    for (let n = 0; n < JOBS; n++) {
      files[2 * n + 1] = `${MAIL}number ${n}\n`;
      files[2 * n + 2] = listFor(2 * n + 1, `r${n}@example.com`, 'all@example.com');
    }
    files[2 * JOBS + 1] = listFor(1, 'second@example.com');
    files[2 * JOBS + 2] = `${listFor(3, 'over@example.com').replace('|0||', '|2|ok|')}`;
    const spool = spoolOf(t, files);
    const random = seededRandom(5);
    const move = async (patience: number | null): Promise<number | null> => {
      const words = [...PROGRAM, 'move', '--from', spool, '--to', room];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
      const ended = once(child, 'exit');
      if (patience !== null) await Promise.race([ended, pause(patience)]);
      if (patience !== null) child.kill('SIGKILL');
      return (await ended)[0];
    };
    for (let kill = 0; kill < 12; kill++) await move(250 + 450 * random());
    assert.equal(await move(null), 0);
    const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
    const { jobs, orphans } = await client.scan();
    const recipients = jobs.flatMap(({ job }) => job.recipients.map(({ address }) => address)).sort();
    const expected = Array.from({ length: JOBS }, (_, n) => [`r${n}@example.com`, 'all@example.com']).flat();
    assert.deepEqual(recipients, [...expected, 'second@example.com', 'over@example.com'].sort());
    assert.deepEqual(orphans, []);
    assert.deepEqual(
      jobs.filter(({ request }) => request !== undefined),
      [],
    );
    for (const { job } of jobs) {
      const [{ address } = { address: '' }] = job.recipients;
      const number = /^r(\d+)@/.exec(address)?.[1];
      const read = await client.readPayload(job.msgid);
      assert.ok(read.kind === 'found', address);
      if (number !== undefined)
        assert.equal(read.message.bytes?.toString('latin1'), `${MAIL}number ${number}\n`);
    }
    assert.deepEqual(Object.keys(messagesIn(spool)), []);
    assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/requests`), []);
    assert.deepEqual(await database.query('SELECT FROM spoolroom.moved'), []);
  });

  it('changes the number of the payload in a list, and nothing else', () => {
    const text = Buffer.from(`${HEADER}msgid|7\nsubmitted|1\nremote|msgid|0||\r\n`, 'latin1');
    assert.equal(
      withMsgid(text, 99).toString('latin1'),
      text.toString('latin1').replace('msgid|7', 'msgid|99'),
    );
    const fields = new Map([['A', 'x']]);
    const native = writeNative({ anonymous: 0x41, format: 4, fields, text }, '2016');
    const read = readNative(withMsgid(native, 99));
    assert.ok(read.kind === 'message');
    assert.equal(read.message.text?.toString('latin1'), withMsgid(text, 99).toString('latin1'));
  });
});
