/** BDAT (RFC 3030): the same message in every cut, and what a client may do wrong with it. */
import assert from 'node:assert/strict';
import { finished } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { INTAKE_DEFAULTS, Intake } from '../../src/intake/listener.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { bench, messagesIn, openClient, spoolOf, temporaryDirectory } from '../support/spool.ts';
import type { Conversation } from './conversation.ts';
import { below, MAIL, memoryRoom, start } from './intake.ts';

const ENVELOPE = 'MAIL FROM:<a@citref.example> BODY=8BITMIME\r\nRCPT TO:<b@example.com>\r\n';
/** What dots and line ends mean nothing in. */
const ODD = `${MAIL}.\r\n..\r\n.hidden\r\n\r\n.\r\nQUIT\r\nBDAT 5\r\n\x00\xff end without a line end`;

async function connected(t: TestContext, options: Parameters<typeof start>[2] = {}) {
  const room = memoryRoom();
  const intake = await start(t, room, options);
  const client = await intake.client();
  await client.hello(options.protocol === 'lmtp' ? 'LHLO' : 'EHLO');
  return { room, intake, client };
}

async function replies(client: Conversation, count: number): Promise<(string | null)[]> {
  const heard: (string | null)[] = [];
  while (heard.length < count) heard.push(await client.reply());
  return heard;
}

function chunk(text: string, last = false): string {
  return `BDAT ${text.length}${last ? ' LAST' : ''}\r\n${text}`;
}

test('a message in one chunk comes in byte for byte, and is durable before 250', async (t) => {
  const spool = spoolOf(t, {});
  const intake = await start(t, await openClient(spool, bench()));
  const client = await intake.client();
  assert.match(await client.hello(), /^250 CHUNKING$/m);
  client.send(ENVELOPE + chunk(ODD, true));
  assert.deepEqual(await replies(client, 3), [
    '250 2.1.0 Accepted',
    '250 2.1.5 Accepted',
    '250 2.6.0 queued as job 2, message 1',
  ]);
  assert.equal(below(messagesIn(spool)['1'] ?? ''), ODD);
});

test('wherever it is cut into chunks it is the same message', async (t) => {
  const { room, client } = await connected(t);
  for (const size of [1, 2, 7, 64]) {
    const pieces = ODD.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    client.send(ENVELOPE + pieces.map((piece) => chunk(piece)).join('') + chunk('', true));
    const heard = await replies(client, pieces.length + 3);
    assert.equal(heard[2], `250 2.0.0 ${size} octets received`);
    assert.match(heard.at(-1) ?? '', /^250 2\.6\.0 queued/);
    assert.equal(below(room.jobs.at(-1)?.payload ?? ''), ODD, `chunks of ${size}`);
  }
});

test('however the wire cuts it, it is the same conversation', async (t) => {
  const one = chunk('Subject: one\r\n\r\n') + chunk('more\r\n', true);
  const two = chunk('Subject: two\r\n\r\n', true);
  const said = `EHLO me\r\n${ENVELOPE}${one}${ENVELOPE}${two}NOOP\r\nQUIT\r\n`;
  const room = memoryRoom();
  const options = { ...INTAKE_DEFAULTS, hostname: 'queue.example', scratch: temporaryDirectory(t) };
  const events = { queued() {}, refused() {}, loginFailed() {}, warning() {} };
  const intake = new Intake(options, { queue: room, clock: systemClock, events });
  t.after(() => intake.close());
  const converse = async (pieces: readonly string[]): Promise<string> => {
    let heard = '';
    const wire = new MemorySocket((bytes) => {
      heard += bytes;
    });
    intake.accept(wire.socket);
    for (const piece of pieces) {
      wire.say(piece);
      for (let turn = 0; turn < 3; turn++) await setImmediate();
    }
    await finished(wire, { readable: false });
    wire.destroy();
    return heard.replaceAll(/job \d+, message \d+/g, 'a job');
  };
  const expected = await converse([said]);
  assert.match(expected, /(?:250 2\.[015]\.[05] .*\r\n){3}250 2\.6\.0 queued as a job\r\n/);
  for (let cut = 1; cut < said.length; cut++) {
    assert.equal(await converse([said.slice(0, cut), said.slice(cut)]), expected, `cut before byte ${cut}`);
  }
  assert.equal(await converse([...said]), expected, 'byte by byte');
  const bodies = new Set(
    room.jobs.map(({ payload }) => payload.replace(/^Received: (?:.*\r\n\t)*.*\r\n/, '')),
  );
  assert.deepEqual([...bodies], ['Subject: one\r\n\r\nmore\r\n', 'Subject: two\r\n\r\n']);
});

test('thousands of small chunks in one piece', async (t) => {
  const { room, client } = await connected(t);
  client.send(ENVELOPE + chunk(MAIL) + chunk('').repeat(8000) + chunk('', true));
  const heard = await replies(client, 8004);
  assert.match(heard.at(-1) ?? '', /^250 2\.6\.0/);
  assert.equal(below(room.jobs[0]?.payload ?? ''), MAIL);
});

test('a message in chunks of one byte costs no more memory than its bytes', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const used: number[] = [];
  const note = (): void => {
    collect();
    used.push(process.memoryUsage().arrayBuffers);
  };
  const room = memoryRoom(async () => note());
  const client = await (await start(t, room)).client();
  await client.hello();
  note();
  const body = 'x'.repeat(10_000);
  client.send(ENVELOPE + chunk(MAIL) + chunk('x').repeat(body.length) + chunk('', true));
  await replies(client, body.length + 4);
  assert.equal(below(room.jobs[0]?.payload ?? ''), MAIL + body);
  const [before = 0, holding = 0] = used;
  assert.ok(holding - before < 8_000_000, `${holding - before} bytes for a message of ${body.length}`);
});

test('LMTP answers the last chunk once for each recipient', async (t) => {
  const { client } = await connected(t, { protocol: 'lmtp' });
  client.send('MAIL FROM:<a@citref.example>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\n');
  client.send(chunk(MAIL) + chunk('', true));
  const heard = await replies(client, 6);
  assert.deepEqual(
    heard.slice(3).map((reply) => reply?.slice(0, 9)),
    ['250 2.0.0', '250 2.6.0', '250 2.6.0'],
  );
  assert.match((await client.ask('NOOP')) ?? '', /^250 2\.0\.0 OK/);
});

test('a chunk without a transaction is swallowed, so that none of its bytes is a command', async (t) => {
  const { room, client } = await connected(t);
  client.send(`${chunk('MAIL FROM:<evil@example.com>\r\n')}${chunk('QUIT\r\n', true)}NOOP\r\n`);
  const heard = await replies(client, 3);
  assert.match(heard[0] ?? '', /^503 5\.5\.1 Need MAIL and RCPT/);
  assert.match(heard[1] ?? '', /^503 /);
  assert.match(heard[2] ?? '', /^250 /);
  assert.deepEqual(room.jobs, []);
});

test('between chunks there are no recipients and no DATA; RSET drops what came', async (t) => {
  const scratch = temporaryDirectory(t);
  const { room, client, intake } = await connected(t, { scratch });
  client.send(ENVELOPE + chunk(`${MAIL}${'x'.repeat(200_000)}`));
  await replies(client, 3);
  assert.match((await client.ask('RCPT TO:<c@example.com>')) ?? '', /^503 5\.5\.1 Send the rest/);
  assert.match((await client.ask('DATA')) ?? '', /^503 5\.5\.1 Send the rest/);
  client.send(`RSET\r\n${ENVELOPE}${chunk('Subject: another\r\n\r\n', true)}`);
  const heard = await replies(client, 4);
  assert.match(heard.at(-1) ?? '', /^250 2\.6\.0/);
  assert.deepEqual(
    room.jobs.map(({ payload }) => below(payload)),
    ['Subject: another\r\n\r\n'],
  );
  assert.deepEqual(intake.logged, [], 'a dropped message is no refusal');
});

test('a syntax nobody understands ends the connection: its bytes could be commands', async (t) => {
  for (const line of [
    'BDAT',
    'BDAT x',
    'BDAT -1',
    'BDAT\t40 LAST',
    'BDAT 5 FIRST',
    'BDAT 5 LAST 6',
    `BDAT ${'9'.repeat(20)}`,
  ]) {
    const { room, client } = await connected(t);
    client.send(`${ENVELOPE}${line}\r\nMAIL FROM:<evil@example.com>\r\n`);
    const heard = await replies(client, 4);
    assert.match(heard[2] ?? '', /^501 5\.5\.4 /, line);
    assert.equal(heard[3], null, line);
    assert.deepEqual(room.jobs, []);
  }
});

test('a client that brings mail may say now and then what nobody knows, as behind DATA', async (t) => {
  const { client } = await connected(t);
  for (let mail = 0; mail < 12; mail++) {
    assert.match((await client.ask('XFOO')) ?? '', /^500 /);
    client.send(ENVELOPE + chunk(MAIL, true));
    assert.match((await replies(client, 3)).at(-1) ?? '', /^250 2\.6\.0/);
  }
});

test('a message larger than allowed is refused at its end, and the next one is taken', async (t) => {
  const { room, client } = await connected(t, { size: 1000 });
  client.send(ENVELOPE + chunk(MAIL) + chunk('x'.repeat(2000)) + chunk('', true));
  assert.match((await replies(client, 5)).at(-1) ?? '', /^552 5\.3\.4 /);
  client.send(ENVELOPE + chunk(MAIL, true));
  assert.match((await replies(client, 3)).at(-1) ?? '', /^250 /);
  assert.equal(room.jobs.length, 1);
});

test('a disk that fails in the midst of a message refuses that message only', async (t) => {
  const { room, client } = await connected(t, { scratch: `${temporaryDirectory(t)}/gone` });
  client.send(ENVELOPE + chunk(MAIL) + chunk('x'.repeat(300_000)) + chunk('y'.repeat(300_000), true));
  assert.match((await replies(client, 5)).at(-1) ?? '', /^451 4\.3\.0 /);
  client.send(ENVELOPE + chunk(MAIL, true));
  assert.match((await replies(client, 3)).at(-1) ?? '', /^250 /);
  assert.equal(room.jobs.length, 1);
});

test('a client that goes between chunks, or within one, leaves nothing behind', async (t) => {
  for (const said of [chunk(MAIL), `BDAT 1000000\r\n${MAIL}${'x'.repeat(300_000)}`]) {
    const { room, client, intake } = await connected(t);
    client.send(ENVELOPE + said);
    await replies(client, 2);
    client.drop();
    const second = await intake.client();
    await second.hello();
    second.send(ENVELOPE + chunk(MAIL, true));
    assert.match((await replies(second, 3)).at(-1) ?? '', /^250 /);
    assert.equal(room.jobs.length, 1);
  }
});

test('a stop between chunks is reported, and the client keeps the message', async (t) => {
  const { room, client, intake } = await connected(t, { stopping: 60_000 });
  client.send(ENVELOPE + chunk(MAIL));
  await replies(client, 3);
  const closed = intake.close();
  client.send(chunk('the rest\r\n', true));
  assert.match((await client.reply()) ?? '', /^421 /);
  assert.equal(await client.reply(), null);
  client.drop();
  await closed;
  assert.deepEqual(room.jobs, []);
});
