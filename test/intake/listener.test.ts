import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import { INTAKE_DEFAULTS, Intake } from '../../src/intake/listener.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { certificates, testCa } from '../support/certificates.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { bench, messagesIn, openClient, spoolOf, temporaryDirectory } from '../support/spool.ts';
import { Conversation } from './conversation.ts';
import { below, MAIL, memoryRoom, start } from './intake.ts';

test('a message becomes a job in the spool, with a Received line and the envelope', async (t) => {
  const spool = spoolOf(t, {});
  const intake = await start(t, await openClient(spool, bench()));
  const client = await intake.client();
  const extensions = await client.hello();
  assert.deepEqual(extensions.split('\n').slice(1), [
    '250-PIPELINING',
    '250-8BITMIME',
    '250-SMTPUTF8',
    '250-ENHANCEDSTATUSCODES',
    '250-DSN',
    '250-SIZE 104857600',
    '250 CHUNKING',
  ]);
  await client.envelope('alice@citref.example', 'b@example.com', 'C@xn--bcher-kva.example');
  assert.equal(
    await client.ask(`${MAIL}..dot\r\n.`),
    '250 2.6.0 queued as job 2, message 1',
    'the client learns the numbers',
  );
  const files = messagesIn(spool);
  assert.equal(below(files['1'] ?? ''), `${MAIL}.dot\r\n`);
  assert.match(
    files['2'] ?? '',
    /\nbounceto\|alice@citref.example\nenvelope_from\|alice@citref.example\nremote\|b@example.com\|0\|\|\nremote\|C@xn--bcher-kva.example\|0\|\|\n$/,
  );
  assert.deepEqual(
    intake.queued.map(({ control, transactions, size }) => [control, transactions, size]),
    [[2, 1, MAIL.length + 6]],
  );
});

test('250 comes only after the room has said that the job is durable', async (t) => {
  let allow = (): void => {};
  const gate = new Promise<void>((resolve) => {
    allow = resolve;
  });
  let asked = (): void => {};
  const reached = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const room = memoryRoom(() => {
    asked();
    return gate;
  });
  const intake = await start(t, room);
  const client = await intake.client();
  await client.hello();
  await client.envelope('', 'b@example.com');
  let answered = false;
  const reply = client.ask(`${MAIL}.`).then((text) => {
    answered = true;
    return text;
  });
  await reached;
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(answered, false);
  allow();
  assert.equal(await reply, '250 2.6.0 queued as job 2, message 1');
  assert.deepEqual([room.jobs[0]?.from, room.jobs[0]?.bounceto], ['<>', '']);
});

test('twenty connections with the same message make one job, another message its own', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { window: 60_000 });
  const clients = await Promise.all(Array.from({ length: 21 }, () => intake.client()));
  const replies = await Promise.all(
    clients.map(async (client, index) => {
      await client.hello();
      await client.envelope('alice@citref.example', `user${index}@example.com`);
      return client.ask(`${MAIL}${index === 20 ? 'Another.\r\n' : ''}.`);
    }),
  );
  assert.equal(new Set(replies).size, 2);
  assert.deepEqual(
    room.jobs.map(({ recipients }) => recipients.length).sort((a, b) => a - b),
    [1, 20],
  );
  assert.deepEqual(intake.queued.map(({ transactions }) => transactions).sort(), [1, 20]);
});

test('a message does not wait for connections that have brought theirs or come from somebody else', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { window: 3_600_000 });
  const idle = await intake.client();
  await idle.hello();
  await idle.envelope('alice@citref.example', 'a@example.com');
  assert.match((await idle.ask(`${MAIL}.`)) ?? '', /^250 /);
  const other = await intake.client();
  await other.hello();
  await other.ask('MAIL FROM:<bob@citref.example>');
  const client = await intake.client();
  await client.hello();
  await client.envelope('alice@citref.example', 'b@example.com');
  assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /);
  const third = await intake.client();
  await third.hello();
  await client.envelope('bob@citref.example', 'b@example.com');
  const waiting = client.ask(`${MAIL}.`);
  other.drop();
  third.drop();
  assert.match((await waiting) ?? '', /^250 /, 'those who leave are waited for no longer');
  assert.equal(room.jobs.length, 3);
});

test('addresses that differ in case only are two recipients, also for LMTP replies', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { protocol: 'lmtp' });
  const client = await intake.client();
  assert.match(await client.hello('LHLO'), /PIPELINING/);
  await client.envelope('a@citref.example', 'Bob@example.com', 'bob@example.com', 'bob@example.com');
  assert.equal(await client.ask(`${MAIL}.`), '250 2.6.0 queued as job 2, message 1');
  assert.match((await client.reply()) ?? '', /^250 /);
  assert.match((await client.reply()) ?? '', /^250 /, 'a reply for each accepted RCPT');
  assert.match((await client.ask('NOOP')) ?? '', /^250 2.0.0 OK/);
  assert.deepEqual(room.jobs[0]?.recipients, ['Bob@example.com', 'bob@example.com']);
});

test('pipelined commands, a message in one write', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const client = await intake.client();
  await client.hello();
  client.send(
    `MAIL FROM:<a@citref.example> BODY=8BITMIME SIZE=100\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<no\x01@example.com>\r\nDATA\r\n`,
  );
  const replies = [
    await client.reply(),
    await client.reply(),
    await client.reply(),
    await client.reply(),
  ].map((reply) => reply?.slice(0, 3));
  assert.deepEqual(replies, ['250', '250', '501', '354']);
  client.send(`${MAIL}\xe4\r\n.\r\nMAIL FROM:<c@citref.example>\r\nQUIT\r\n`);
  assert.deepEqual(
    [await client.reply(), await client.reply(), await client.reply()].map((reply) => reply?.slice(0, 3)),
    ['250', '250', '221'],
  );
  assert.equal(below(room.jobs[0]?.payload ?? ''), `${MAIL}\xe4\r\n`);
});

test('a dot behind a bare LF ends nothing', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const client = await intake.client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  client.send(`${MAIL}\n.\nMAIL FROM:<x@y.example>\n.\r\n`);
  assert.match((await client.ask('\r\n.')) ?? '', /^250 2.6.0/);
  assert.equal(room.jobs.length, 1);
  assert.match(room.jobs[0]?.payload ?? '', /MAIL FROM:<x@y\.example>/);
});

test('messages larger than memory come through byte by byte, and no file is left', async (t) => {
  const scratch = temporaryDirectory(t);
  const room = memoryRoom();
  const intake = await start(t, room, { scratch });
  const client = await intake.client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  const body = Array.from({ length: 30_000 }, (_, line) => `line ${line} of a large message`).join('\r\n');
  assert.match((await client.ask(`${MAIL}${body}\r\n.`)) ?? '', /^250 /);
  assert.equal(below(room.jobs[0]?.payload ?? ''), `${MAIL}${body}\r\n`);
  assert.deepEqual(fs.readdirSync(scratch), []);
});

test('SIZE is said before and enforced behind', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { size: 1000 });
  const client = await intake.client();
  await client.hello();
  assert.match((await client.ask('MAIL FROM:<a@citref.example> SIZE=1001')) ?? '', /^552 5\.3\.4 /);
  await client.envelope('a@citref.example', 'b@example.com');
  assert.match(
    (await client.ask(`${'x'.repeat(998)}\r\nx\r\n.`)) ?? '',
    /^552 5\.3\.4 .*larger than 1000 bytes/,
  );
  assert.deepEqual(room.jobs, []);
  assert.deepEqual(intake.logged, ['552 The message is larger than 1000 bytes and was not taken']);
  await client.envelope('a@citref.example', 'b@example.com');
  assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /);
});

const troubles = [
  ['ENOSPC', /^452 4\.3\.1 No space is left on the disk/],
  ['EDQUOT', /^452 4\.3\.1 /],
  ['EIO', /^451 4\.3\.0 .*could not be stored/],
] as const;
for (const [code, expected] of troubles) {
  test(`${code} while storing is answered for now only`, async (t) => {
    let broken = true;
    const room = memoryRoom(async () => {
      if (broken) throw Object.assign(new Error(`${code}: disk`), { code });
    });
    const intake = await start(t, room);
    const client = await intake.client();
    await client.hello();
    await client.envelope('a@citref.example', 'b@example.com');
    assert.match((await client.ask(`${MAIL}.`)) ?? '', expected);
    assert.equal(intake.logged.length, 1);
    broken = false;
    await client.envelope('a@citref.example', 'b@example.com');
    assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /, 'the same connection goes on');
    assert.equal(room.jobs.length, 1);
  });
}

test('a scratch directory that is gone refuses large messages only', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { scratch: `${temporaryDirectory(t)}/gone` });
  const client = await intake.client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  assert.match((await client.ask(`${MAIL}${'x'.repeat(200_000)}\r\n.`)) ?? '', /^451 /);
  await client.envelope('a@citref.example', 'b@example.com');
  assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /);
});

test('mail loops and delivery lists are refused for good', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const client = await intake.client();
  await client.hello();
  const refused = [
    [
      'Received: from a by b; today\r\n'.repeat(101),
      /^554 5\.4\.6 .*mail loop: the message has passed 101 servers/,
    ],
    [
      'Received: from x\r\n\tby QUEUE.example (spoolroom intake) with ESMTP; today\r\n'.repeat(5),
      /^554 5\.4\.6 .*mail loop: the message has passed queue\.example 5 times/,
    ],
    ['Content-Type: application/x-citadel-delivery-list\r\n', /^554 5\.7\.1 .*delivery lists/],
    [`X-Long: ${'y'.repeat(140_000)}\r\n`, /^554 5\.6\.0 .*header is longer/],
  ] as const;
  for (const [header, expected] of refused) {
    await client.envelope('a@citref.example', 'b@example.com');
    assert.match((await client.ask(`${header}${MAIL}.`)) ?? '', expected);
  }
  assert.deepEqual(room.jobs, []);
});

test('recipients of one transaction are counted, the same one as well', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { protocol: 'lmtp', maxRecipients: 3 });
  const client = await intake.client();
  await client.hello('LHLO');
  await client.ask('MAIL FROM:<a@citref.example>');
  for (const address of ['b@example.com', 'b@example.com', 'B@example.com'])
    assert.match((await client.ask(`RCPT TO:<${address}>`)) ?? '', /^250 /);
  for (const address of ['b@example.com', 'c@example.com'])
    assert.match((await client.ask(`RCPT TO:<${address}>`)) ?? '', /^452 4\.5\.3 /);
  await client.ask('DATA');
  client.send(`${MAIL}.\r\n`);
  for (let reply = 0; reply < 3; reply++) assert.match((await client.reply()) ?? '', /^250 2\.6\.0 /);
  assert.match((await client.ask('NOOP')) ?? '', /^250 2\.0\.0 OK/);
});

test('addresses nobody could deliver to are refused one by one', async (t) => {
  const intake = await start(t, memoryRoom());
  const client = await intake.client();
  await client.hello();
  await client.ask('MAIL FROM:<a@citref.example>');
  for (const [address, expected] of [
    ['someone', /^553 5\.1\.3 .*no domain/],
    ['b@ex_|x.example', /^50\d|^553/],
    [`${'('.repeat(4000)}@example.com`, /^553 5\.1\.3 .*too long/],
    ['a|b@example.com', /^553 5\.1\.3 .*bar/],
    ['"a|b"@example.com', /^553 5\.1\.3 .*bar/],
    ['caf\xc3\xa9@example.com', /^553 5\.6\.7 .*SMTPUTF8/],
    ['caf\xe9@example.com', /^553 /],
  ] as const) {
    assert.match((await client.ask(`RCPT TO:<${address}>`)) ?? '', expected);
  }
  assert.match((await client.ask('DATA')) ?? '', /^503 /);
  await client.ask('RSET');
  await client.ask('MAIL FROM:<a@citref.example> SMTPUTF8');
  assert.match((await client.ask('RCPT TO:<caf\xc3\xa9@example.com>')) ?? '', /^250 /);
});

test('an address is kept as it was given', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const client = await intake.client();
  await client.hello();
  const addresses = [
    'a.@mobile.example',
    'a..b@mobile.example',
    'a@some_host.example',
    // A label that says "example", but in wide letters
    'a@xn--xample-hy68a.com',
    'a@xn--bcher-kva.example',
    'a@[IPv6:2001:DB8::1]',
  ];
  await client.envelope('a..b@mobile.example', ...addresses, '@relay.example:last@example.com');
  assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /);
  assert.deepEqual(room.jobs[0]?.recipients, [...addresses, 'last@example.com']);
  assert.match((await client.ask('MAIL FROM:<a|b@citref.example>')) ?? '', /^553 5\.1\.7 .*bar/);
});

test('a client that breaks off leaves nothing behind', async (t) => {
  const scratch = temporaryDirectory(t);
  const room = memoryRoom();
  const intake = await start(t, room, { scratch });
  const client = await intake.client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  client.send(`${MAIL}${'x'.repeat(300_000)}`);
  const second = await intake.client();
  await second.hello();
  client.drop();
  await second.envelope('b@citref.example', 'b@example.com');
  assert.match((await second.ask(`${MAIL}.`)) ?? '', /^250 /);
  second.drop();
  await intake.close();
  assert.equal(room.jobs.length, 1);
  assert.deepEqual(fs.readdirSync(scratch), []);
  assert.deepEqual(
    intake.logged.filter((text) => !text.startsWith('A connection to the intake was lost')),
    [],
  );
});

test('a stop answers 421, finishes what is being received, and loses nothing acknowledged', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room, { stopping: 60_000 });
  const idle = await intake.client();
  await idle.hello();
  const busy = await intake.client();
  await busy.hello();
  await busy.envelope('a@citref.example', 'b@example.com');
  const closed = intake.close();
  assert.match((await idle.reply()) ?? '', /^421 4\.3\.2 /);
  assert.equal(await idle.reply(), null);
  assert.match((await busy.ask(`${MAIL}.`)) ?? '', /^250 /);
  assert.match((await busy.ask('MAIL FROM:<a@citref.example>')) ?? '', /^421 /);
  busy.drop();
  await closed;
  assert.equal(room.jobs.length, 1);
  await assert.rejects(intake.client(), { code: 'ECONNREFUSED' });
});

test('a stop is over in the time it has, whatever clients do', async (t) => {
  const envelope = 'EHLO me\r\nMAIL FROM:<a@citref.example>\r\nRCPT TO:<b@example.com>\r\n';
  for (const said of [`${envelope}DATA\r\n${MAIL}`, `${envelope}BDAT 1000\r\n${MAIL}`, envelope]) {
    const intake = await start(t, memoryRoom(), { stopping: 1500 });
    const client = net.connect({
      port: Number(intake.address.split(':').at(-1)),
      host: '127.0.0.1',
      allowHalfOpen: true,
    });
    client.on('error', () => {}).write(said);
    for (let heard = ''; !/250 2\.1\.5|354/.test(heard); )
      heard += await new Promise<Buffer>((resolve) => client.once('data', resolve));
    client.resume();
    const began = Date.now();
    await intake.close();
    assert.ok(Date.now() - began < 2500, `${Date.now() - began} ms`);
    client.destroy();
  }
});

test('five hundred connections at once', async (t) => {
  const room = memoryRoom();
  const intake = await start(t, room);
  const clients = await Promise.all(Array.from({ length: 500 }, () => intake.client()));
  const replies = await Promise.all(
    clients.map(async (client, index) => {
      await client.hello();
      await client.envelope('alice@citref.example', `user${index}@example.com`);
      return client.ask(`${MAIL}.`);
    }),
  );
  assert.ok(replies.every((reply) => reply?.startsWith('250 ')));
  const recipients = room.jobs.flatMap((job) => job.recipients);
  assert.equal(new Set(recipients).size, 500);
  assert.equal(recipients.length, 500);
});

test('one connection too many is refused with 421', async (t) => {
  const intake = await start(t, memoryRoom(), { connections: 1 });
  const first = await intake.client();
  await first.hello();
  const second = await intake.client();
  assert.match((await second.reply()) ?? '', /^421 .*Too many/);
});

test('a client from elsewhere that keeps connections open takes a quarter of them, this machine all (R283)', async (t) => {
  const options = {
    ...INTAKE_DEFAULTS,
    hostname: 'queue.example',
    scratch: temporaryDirectory(t),
    connections: 20,
  };
  const events = { queued() {}, refused() {}, loginFailed() {}, warning() {} };
  const intake = new Intake(options, { queue: memoryRoom(), clock: systemClock, events });
  t.after(() => intake.close());
  const wires: MemorySocket[] = [];
  const from = async (addresses: readonly string[]): Promise<string> => {
    const heard = addresses.map((address) => {
      const lines: string[] = [];
      const wire = new MemorySocket((bytes) => lines.push(bytes), undefined, address);
      wires.push(wire);
      intake.accept(wire.socket);
      return lines;
    });
    for (let turns = 0; turns < 5; turns++) await turn();
    return heard.map((lines) => lines.join('').slice(0, 3)).join(' ');
  };
  const taken = (most: number, of: number) =>
    [...Array(most).fill('220'), ...Array(of - most).fill('421')].join(' ');
  assert.equal(await from(Array(8).fill('198.51.100.1')), taken(5, 8));
  assert.equal(await from(['::ffff:198.51.100.1']), '421');
  assert.equal(await from(Array.from({ length: 8 }, (_, n) => `2001:db8:0:1::${n + 1}`)), taken(5, 8));
  assert.equal(await from(['2001:db8:0:2::1', '198.51.100.2']), taken(2, 2));
  assert.equal(await from(Array(10).fill('::1')), taken(8, 10));
  for (const wire of wires) wire.destroy();
  await turn();
  assert.equal(await from(Array(8).fill('198.51.100.1')), taken(5, 8));
  assert.equal(await from(Array(16).fill('127.0.0.1')), taken(15, 16));
});

test('a unix socket: a dead one is replaced, a living one and a file are in the way', async (t) => {
  const directory = temporaryDirectory(t);
  const path = `${directory}/intake.sock`;
  const dead = net.createServer().listen(path);
  await new Promise((resolve) => dead.once('listening', resolve));
  fs.renameSync(path, `${path}.kept`);
  await new Promise((resolve) => dead.close(resolve));
  fs.renameSync(`${path}.kept`, path);
  const room = memoryRoom();
  const intake = await start(t, room, { listen: path });
  assert.equal(intake.address, path);
  assert.equal(fs.statSync(path).mode & 0o777, 0o660);
  const client = await intake.client();
  await client.hello();
  await client.envelope('a@citref.example', 'b@example.com');
  assert.match((await client.ask(`${MAIL}.`)) ?? '', /^250 /);
  below(room.jobs[0]?.payload ?? '');
  await assert.rejects(start(t, room, { listen: path }), {
    message: `The intake cannot listen on ${path}: another program already listens there.`,
  });
  fs.writeFileSync(`${directory}/file`, 'kept');
  await assert.rejects(
    start(t, room, { listen: `${directory}/file` }),
    /another program already listens there/,
  );
  assert.equal(fs.readFileSync(`${directory}/file`, 'utf8'), 'kept');
});

test('no address but this machine without users and a certificate', async (t) => {
  const room = memoryRoom();
  const everywhere = { listen: '0.0.0.0:0' } as const;
  const authenticate = (user: string, password: string) => user === 'citadel' && password === 'secret';
  const certificate = certificates.mail;
  for (const options of [everywhere, { ...everywhere, authenticate }, { ...everywhere, tls: certificate }]) {
    await assert.rejects(start(t, room, options), /other machines could send mail through it/);
  }
  for (const listen of ['mail.example:25', '127.0.0.1', '127.0.0.1:65536', '[::ffff:127.0.0.1]:0', '']) {
    await assert.rejects(start(t, room, { listen }), /The intake (cannot listen|does not listen)/);
  }
  const intake = await start(t, room, { ...everywhere, authenticate, tls: certificate });
  const client = await intake.client();
  assert.match(await client.hello(), /STARTTLS/);
  assert.match((await client.ask('MAIL FROM:<a@citref.example>')) ?? '', /^530 /);
  assert.match((await client.ask('AUTH PLAIN AGNpdGFkZWwAc2VjcmV0')) ?? '', /^538 /, 'not in clear');
});

test('a client that goes before TLS stands gives its place back', async (t) => {
  for (const began of ['', '\x16\x03\x01']) {
    const intake = await start(t, memoryRoom(), { connections: 1, tls: certificates.mail });
    const gone = await intake.client();
    await gone.hello();
    assert.match((await gone.ask('STARTTLS')) ?? '', /^220 /);
    gone.end(began);
    let greeting: string | null = null;
    for (const end = Date.now() + 2000; !greeting?.startsWith('220') && Date.now() < end; ) {
      const next = await intake.client();
      greeting = await next.reply();
      next.drop();
    }
    assert.match(greeting ?? '', /^220 /);
  }
});

test('behind TLS, too, a client that has said all hears every answer', async (t) => {
  const room = memoryRoom(() => new Promise((resolve) => setImmediate(resolve)));
  const intake = await start(t, room, { tls: certificates.mail });
  const port = Number(intake.address.split(':').at(-1));
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const plain = new Conversation(socket);
  await plain.hello();
  assert.match((await plain.ask('STARTTLS')) ?? '', /^220 /);
  socket.removeAllListeners('data');
  const secure = tls.connect({ socket, ca: testCa, servername: 'mail.example' });
  await new Promise((resolve) => secure.once('secureConnect', resolve));
  const client = new Conversation(secure);
  client.end(
    `EHLO citadel.example\r\nMAIL FROM:<a@citref.example>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n${MAIL}.\r\nQUIT\r\n`,
  );
  const heard: string[] = [];
  for (let reply = await client.reply(); reply !== null; reply = await client.reply())
    heard.push(reply.slice(0, 3));
  assert.deepEqual(heard, ['250', '250', '250', '354', '250', '221']);
  assert.equal(room.jobs.length, 1);
  secure.destroy();
});

test('users on a loopback address', async (t) => {
  const authenticate = (user: string, password: string) => user === 'citadel' && password === 'secret';
  const delays: number[] = [];
  const hurried: Clock = {
    ...systemClock,
    after: (milliseconds, call) => {
      if (milliseconds > 1000) return systemClock.after(milliseconds, call);
      delays.push(milliseconds);
      return systemClock.after(0, call);
    },
  };
  const intake = await start(t, memoryRoom(), { authenticate }, hurried);
  const client = await intake.client();
  assert.match(await client.hello(), /AUTH LOGIN PLAIN/);
  assert.match((await client.ask('MAIL FROM:<a@citref.example>')) ?? '', /^530 /);
  assert.match((await client.ask('AUTH PLAIN AGNpdGFkZWwAd3Jvbmc=')) ?? '', /^535 /);
  assert.match((await client.ask('AUTH PLAIN AGNpdGFkZWwAc2VjcmV0')) ?? '', /^235 /);
  assert.match((await client.ask('MAIL FROM:<a@citref.example>')) ?? '', /^250 /);
  const guessing = await intake.client();
  await guessing.hello();
  for (let guess = 0; guess < 3; guess++)
    assert.match((await guessing.ask('AUTH PLAIN AGNpdGFkZWwAd3Jvbmc=')) ?? '', /^535 5\.7\.8 /);
  assert.match((await guessing.reply()) ?? '', /^421 4\.7\.0 /);
  assert.equal(await guessing.reply(), null);
  assert.deepEqual(delays, [1000, 1000, 1000, 1000], 'each wrong password waits for its answer');
});

test('a client that has said all and closes its side hears every answer', async (t) => {
  for (const message of [`DATA\r\n${MAIL}.\r\n`, `BDAT ${MAIL.length} LAST\r\n${MAIL}`]) {
    for (const farewell of ['QUIT\r\n', '']) {
      const room = memoryRoom(() => new Promise((resolve) => setImmediate(resolve)));
      const intake = await start(t, room);
      const client = await intake.client();
      client.send(`EHLO citadel.example\r\nMAIL FROM:<a@citref.example>\r\nRCPT TO:<b@example.com>\r\n`);
      client.end(`${message}${farewell}`);
      const heard: string[] = [];
      for (let reply = await client.reply(); reply !== null; reply = await client.reply())
        heard.push(reply.slice(0, 3));
      const [middle, end] = [message.startsWith('DATA') ? ['354'] : [], farewell === '' ? [] : ['221']];
      assert.deepEqual(heard, ['220', '250', '250', '250', ...middle, '250', ...end]);
      assert.equal(room.jobs.length, 1);
    }
  }
});
