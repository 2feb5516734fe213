/** What the intake makes of clients that do not wait, do not stop, or do not read. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { certificates } from '../support/certificates.ts';
import type { Conversation } from './conversation.ts';
import { below, MAIL, memoryRoom, start } from './intake.ts';

const ENVELOPE = 'MAIL FROM:<a@citref.example>\r\nRCPT TO:<b@example.com>\r\n';

async function codes(client: Conversation): Promise<string> {
  const heard: string[] = [];
  for (let reply = await client.reply(); reply !== null; reply = await client.reply())
    heard.push(reply.slice(0, 3));
  return heard.join(' ');
}

test('whole messages and QUIT in one segment', async (t) => {
  const room = memoryRoom();
  const client = await (await start(t, room)).client();
  const message = (number: number): string => `${ENVELOPE}DATA\r\nSubject: ${number}\r\n\r\ntext\r\n.\r\n`;
  client.send(`EHLO citadel.example\r\n${message(1)}${message(2)}${message(3)}QUIT\r\n`);
  assert.equal(await codes(client), '220 250 250 250 354 250 250 250 354 250 250 250 354 250 221');
  assert.deepEqual(
    room.jobs.map(({ payload }) => below(payload)),
    [1, 2, 3].map((number) => `Subject: ${number}\r\n\r\ntext\r\n`),
  );
});

test('lines that begin with dots do not hold up other clients', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const [busy, other] = [await intake.client(), await intake.client()];
  await busy.hello();
  await other.hello();
  await busy.envelope('a@citref.example', 'b@example.com');
  let slowest = 0;
  let done = false;
  const sent = '..\r\n'.repeat(1_000_000);
  const watching = (async () => {
    while (!done) {
      const began = performance.now();
      await other.ask('NOOP');
      slowest = Math.max(slowest, performance.now() - began);
    }
  })();
  assert.match((await busy.ask(`${MAIL}${sent}.`)) ?? '', /^250 2\.6\.0/);
  done = true;
  await watching;
  assert.equal(below(room.jobs[0]?.payload ?? '').length, MAIL.length + (sent.length * 3) / 4);
  assert.ok(slowest < 1000, `another client waited ${slowest} ms`);
});

test('dots behind a bare LF or CR stay', async (t) => {
  const room = memoryRoom();
  const client = await (await start(t, room)).client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  const odd = 'a\n..b\n.\r\nc\r..d\r.\re\r\n';
  assert.match((await client.ask(`${MAIL}${odd}.`)) ?? '', /^250 /);
  assert.equal(below(room.jobs[0]?.payload ?? ''), `${MAIL}${odd}`);
});

test('a line that is too long is refused, and the next one is read', async (t) => {
  const client = await (await start(t, memoryRoom())).client();
  await client.hello();
  assert.match((await client.ask(`NOOP ${'x'.repeat(1_000_000)}`)) ?? '', /^500 5\.5\.2 Line too long/);
  assert.match((await client.ask('NOOP')) ?? '', /^250 /);
});

test('Postmaster is the postmaster of this host', async (t) => {
  const room = memoryRoom();
  const client = await (await start(t, room)).client();
  await client.hello();
  await client.envelope('a@citref.example', 'Postmaster', 'POSTMASTER', 'postmaster@example.com');
  await client.ask(`${MAIL}.`);
  assert.deepEqual(room.jobs[0]?.recipients, ['Postmaster@queue.example', 'postmaster@example.com']);
});

test('bytes sent behind STARTTLS end the session', async (t) => {
  const client = await (await start(t, memoryRoom(), { tls: certificates.mail })).client();
  await client.hello();
  client.send(`STARTTLS\r\n${ENVELOPE}`);
  assert.match((await client.reply()) ?? '', /^554 5\.5\.0 /);
  assert.equal(await client.reply(), null);
});

test('a client that reads no answers is not read either', async (t) => {
  const intake = await start(t, memoryRoom());
  const socket = net.connect(Number(intake.address.split(':').at(-1)), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const flood = Buffer.from('NOOP\r\n'.repeat(100_000));
  let blocked = false;
  for (let written = 0; written < 60 && !blocked; written++) {
    blocked = await new Promise<boolean>((resolve) => {
      const stuck = setTimeout(() => resolve(true), 1000);
      socket.write(flood, () => {
        clearTimeout(stuck);
        resolve(false);
      });
    });
  }
  assert.ok(blocked, '36 MB of commands were taken, and their answers kept in memory');
  const other = await intake.client();
  await other.hello();
  assert.match((await other.ask('NOOP')) ?? '', /^250 /);
});

test('a failed login is reported with address and user, and without the password', async (t) => {
  const intake = await start(t, memoryRoom(), { authenticate: () => false });
  const client = await intake.client();
  await client.hello();
  const secret = Buffer.from('\0bob\0s3cret').toString('base64');
  assert.match((await client.ask(`AUTH PLAIN ${secret}`)) ?? '', /^535 5\.7\.8 /);
  assert.deepEqual(intake.failures, [{ user: 'bob', address: '127.0.0.1', failures: 1, heard: true }]);
});

test('ten refused commands are enough; the counter starts again with each message', async (t) => {
  const intake = await start(t, memoryRoom());
  const client = await intake.client();
  await client.hello();
  for (let error = 0; error < 9; error++) assert.match((await client.ask('XFOO')) ?? '', /^500 /);
  await client.envelope('a@citref.example', 'b@example.com');
  await client.ask(`${MAIL}.`);
  for (let error = 0; error < 10; error++) assert.match((await client.ask('XFOO')) ?? '', /^500 /);
  assert.match((await client.reply()) ?? '', /^421 4\.7\.0 /);
  assert.equal(await client.reply(), null);
});
