/** What a sender asked for, kept beside the job. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { openDsnStore } from '../../../src/queue/spool/notes/dsn-store.ts';
import type { DsnRequest } from '../../../src/smtp/dsn-request.ts';
import { bench, MAIL, NEW_JOB, NOW, openQueue, spoolOf } from '../../support/spool.ts';

const ASKED: DsnRequest = {
  ret: 'HDRS',
  envid: 'QQ+2B1',
  recipients: new Map([['b@example.com', { notify: 'NEVER', orcpt: 'rfc822;bob@example.com' }]]),
};

async function enqueued(t: TestContext, dsn: DsnRequest | null = ASKED) {
  const spool = spoolOf(t, {});
  const deps = bench();
  const queue = await openQueue(spool, deps);
  const job = { ...NEW_JOB, ...(dsn === null ? {} : { dsn }) };
  const { payload: msgid, control } = await queue.enqueue(Buffer.from(MAIL), job);
  const key = { control, msgid, submitted: NOW };
  const read = () => {
    const store = openDsnStore(spool, deps);
    store.refresh();
    return store.request(key);
  };
  return { spool, deps, queue, key, read, note: `${spool}/.spoolroom/dsn/${msgid}` };
}

describe('what a sender asked for', () => {
  it('is there as it was asked', async (t) => {
    const { read } = await enqueued(t);
    assert.deepEqual(read(), ASKED);
  });

  it('keeps that TLS was demanded, and that alone', async (t) => {
    const asked: DsnRequest = { ret: null, envid: null, requireTls: true, recipients: new Map() };
    const { read, note } = await enqueued(t, asked);
    assert.deepEqual(read(), asked);
    fs.writeFileSync(note, fs.readFileSync(note, 'latin1').replace('"requireTls":true', '"requireTls":"x"'));
    assert.equal(read(), null);
  });

  it('makes no file where nothing was asked', async (t) => {
    const { read, spool } = await enqueued(t, null);
    assert.equal(read(), null);
    assert.equal(fs.existsSync(`${spool}/.spoolroom/dsn`), false);
  });

  it('is not taken for that of another job under its number', async (t) => {
    const { spool, key, deps } = await enqueued(t);
    const store = openDsnStore(spool, deps);
    store.refresh();
    assert.equal(store.request({ ...key, submitted: NOW + 1 }), null);
    assert.equal(store.request({ ...key, submitted: null }), null);
    fs.writeFileSync(`${spool}/${key.msgid}`, 'another message');
    assert.equal(store.request(key), null);
  });

  for (const text of ['', '{', 'null', '7', '{"submitted":1}'])
    it(`counts for nothing when it is damaged: ${text}`, async (t) => {
      const { read, note } = await enqueued(t);
      fs.writeFileSync(note, text);
      assert.equal(read(), null);
    });

  it('never puts into a command what no client may say', async (t) => {
    const { read, note } = await enqueued(t);
    const written = JSON.parse(fs.readFileSync(note, 'latin1'));
    const recipients = { 'b@example.com': { notify: 'NEVER\r\nRSET', orcpt: 'rfc822;a b' } };
    fs.writeFileSync(note, JSON.stringify({ ...written, ret: 'x', envid: 'a b', recipients }));
    const nothing = new Map([['b@example.com', { notify: null, orcpt: null }]]);
    assert.deepEqual(read(), { ret: null, envid: null, recipients: nothing });
  });

  it('goes with the job, or with the next start', async (t) => {
    const { spool, deps, queue, key, note } = await enqueued(t);
    const store = openDsnStore(spool, deps);
    store.refresh();
    await queue.scan();
    fs.rmSync(`${spool}/${key.control}`);
    fs.rmSync(`${spool}/${key.msgid}`);
    await store.forget(key);
    assert.equal(fs.existsSync(note), false);
    fs.writeFileSync(note, '{}');
    openDsnStore(spool, deps);
    assert.equal(fs.existsSync(note), false);
  });
});
