/** Connections in clear text against real servers on loopback: reading, writing, closing, and every ill ending. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#net-stream-utils';
import { recordEvents } from '../support/connection-events.ts';
import { type RawPeer, startRawServer } from '../support/raw-server.ts';

const GREETING = '220-mail.example\r\n220 ready\r\n';

/** One short dialogue, so that the ways of cutting it up can be compared. */
async function dialogue(pieces: (text: string) => readonly string[]): Promise<readonly string[]> {
  const server = await startRawServer(async (peer) => {
    await peer.say(pieces(GREETING));
    await peer.expect('EHLO client.example');
    await peer.say(pieces('250-mail.example\r\n250 SIZE 1000\r\n'));
    await peer.expect('QUIT');
    await peer.say(pieces('221 bye\r\n'));
    peer.end();
  });
  const log = recordEvents({
    lines(lines) {
      if (lines.includes('220 ready')) connection.write('EHLO client.example\r\n');
      if (lines.includes('250 SIZE 1000')) connection.write('QUIT\r\n');
    },
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  assert.deepEqual((await log.first('closed')).reason, { kind: 'ended' });
  await server.close();
  return log.lines();
}

const WHOLE = ['220-mail.example', '220 ready', '250-mail.example', '250 SIZE 1000', '221 bye'];

test('a dialogue whole, and one byte at a time', async () => {
  assert.deepEqual(await dialogue((text) => [text]), WHOLE);
  assert.deepEqual(await dialogue((text) => [...text]), WHOLE);
});

test('a dialogue cut in two at every position', async () => {
  for (let cut = 1; cut < GREETING.length; cut++) {
    assert.deepEqual(await dialogue((text) => [text.slice(0, cut), text.slice(cut)]), WHOLE, `cut at ${cut}`);
  }
});

test('the caller learns of an unfinished line at once', async () => {
  const server = await startRawServer((peer) => peer.say(['220-a', '\r\n22', '0 b\r\n']));
  const log = recordEvents();
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.line('220 b');
  connection.destroy();
  await server.close();
  assert.deepEqual(log.seen, [
    { kind: 'connected' },
    { kind: 'lines', lines: [], partial: true },
    { kind: 'lines', lines: ['220-a'], partial: true },
    { kind: 'lines', lines: ['220 b'], partial: false },
  ]);
});

test('what several connections read at the same time stays apart', async () => {
  const line = 'x'.repeat(2000);
  const server = await startRawServer(async (peer) => {
    const name = await peer.line();
    for (let each = 0; each < 100; each++) await peer.say([`${name} ${line}\r\n`]);
    peer.end();
  });
  const all = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const log = recordEvents();
      const connection = connect({ address: server.host, port: server.port }, log.events);
      connection.write(`${name}\r\n`);
      await log.first('closed');
      return log.lines();
    }),
  );
  await server.close();
  assert.deepEqual(
    all,
    ['a', 'b', 'c'].map((name) => Array.from({ length: 100 }, () => `${name} ${line}`)),
  );
});

test('bytes are neither decoded nor changed, in either direction', async () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
    .filter((byte) => byte !== '\n' && byte !== '\r')
    .join('');
  const server = await startRawServer(async (peer) => {
    await peer.expect(bytes);
    await peer.expect('as bytes \xe4');
    await peer.say(`${bytes}\r\n`);
  });
  const log = recordEvents({
    connected() {
      connection.write(`${bytes}\r\n`);
      connection.write(Buffer.from('as bytes \xe4\r\n', 'latin1'));
    },
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.line(bytes);
  connection.destroy();
  await server.close();
});

test('a character that is no byte is refused, so that it cannot become a line end', async () => {
  const server = await startRawServer(() => {});
  const log = recordEvents();
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.first('connected');
  assert.throws(() => connection.write('RCPT TO:<a\u010d\u010aDATA>\r\n'), RangeError);
  connection.destroy();
  await server.close();
  assert.deepEqual(server.reads, []);
});

test('all writes of one turn leave together, those of the next by themselves (R007)', async () => {
  const server = await startRawServer(async (peer) => {
    await peer.until('bytes\r\n');
    await peer.say('220 ready\r\n');
    await peer.until('second\r\n');
    await peer.say('250 ok\r\n');
  });
  const log = recordEvents({
    connected() {
      connection.write('MAIL ');
      connection.write('FROM:<>\r\n');
      connection.write(Buffer.from('bytes\r\n'));
    },
    lines(lines) {
      if (!lines.includes('220 ready')) return;
      connection.write('the ');
      connection.write(Buffer.from('very '));
      connection.write('sec');
      connection.write('ond\r\n');
    },
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.line('250 ok');
  connection.destroy();
  await server.close();
  assert.deepEqual(server.reads, ['MAIL FROM:<>\r\nbytes\r\n', 'the very second\r\n']);
});

test('a body larger than every buffer: write says stop, drained says go on, all arrives', async () => {
  const piece = Buffer.alloc(100_000, 'x');
  const server = await startRawServer(async (peer) => {
    const body = await peer.until('\r\n.\r\n');
    await peer.say(`250 ${body.length} bytes\r\n`);
  });
  let left = 50;
  const send = () => {
    while (left-- > 0) if (!connection.write(piece)) return;
    connection.write('\r\n.\r\n');
  };
  const log = recordEvents({ connected: send, drained: send });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.line('250 5000005 bytes');
  connection.destroy();
  await server.close();
});

test('a unix socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'net-stream-utils-'));
  const path = join(folder, 'lmtp.socket');
  const server = await startRawServer((peer) => peer.say('220 lmtp\r\n'), { path });
  const log = recordEvents();
  const connection = connect({ address: path, port: 0 }, log.events);
  await log.line('220 lmtp');
  connection.destroy();
  await server.close();
  await rm(folder, { recursive: true });
});

test('a host name is taken for a path, never looked up', async () => {
  const log = recordEvents();
  connect({ address: 'localhost', port: 25 }, log.events);
  const { reason } = await log.first('closed');
  assert.equal(reason.kind === 'error' && reason.code, 'ENOENT');
});

test('the source address is the one asked for', async () => {
  const server = await startRawServer((peer) => peer.say(`220 ${peer.clientAddress}\r\n`));
  const log = recordEvents();
  const endpoint = { address: server.host, port: server.port, localAddress: '127.0.0.9' };
  const connection = connect(endpoint, log.events);
  await log.line('220 127.0.0.9');
  connection.destroy();
  await server.close();
});

test('a refused connection', async () => {
  const server = await startRawServer(() => {});
  await server.close();
  const log = recordEvents();
  connect({ address: server.host, port: server.port }, log.events);
  const { reason } = await log.first('closed');
  assert.equal(reason.kind === 'error' && reason.code, 'ECONNREFUSED');
  assert.equal(log.seen.length, 1);
});

const endings: readonly {
  readonly name: string;
  readonly script: (peer: RawPeer) => Promise<void>;
  readonly reason: object;
}[] = [
  {
    name: 'the peer closes at once',
    script: async (peer) => peer.end(),
    reason: { kind: 'ended' },
  },
  {
    name: 'the peer closes within a line',
    script: async (peer) => {
      await peer.say('220 mail.exa');
      peer.end();
    },
    reason: { kind: 'ended' },
  },
  {
    name: 'the peer sends a line that is too long',
    script: (peer) => peer.say(['220 ', 'x'.repeat(4096)]),
    reason: { kind: 'overlong' },
  },
];

for (const { name, script, reason } of endings) {
  test(`${name}: closed once, with the reason, and nothing after it`, async () => {
    const server = await startRawServer(async (peer) => {
      await script(peer);
      await peer.gone();
    });
    const log = recordEvents();
    const connection = connect({ address: server.host, port: server.port }, log.events);
    assert.deepEqual((await log.first('closed')).reason, reason);
    assert.equal(connection.write('too late\r\n'), false);
    connection.startTls({ serverName: 'mail.example', verify: true });
    connection.end();
    connection.destroy();
    await server.close();
    assert.equal(log.seen.at(-1)?.kind, 'closed');
    assert.equal(log.seen.filter(({ kind }) => kind === 'closed').length, 1);
  });
}

test('a reset', async () => {
  const server = await startRawServer(async (peer) => {
    await peer.say('220 ready\r\n');
    await peer.expect('EHLO x');
    await peer.reset();
  });
  const log = recordEvents({ lines: () => void connection.write('EHLO x\r\n') });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  const { reason } = await log.first('closed');
  assert.equal(reason.kind === 'error' && reason.code, 'ECONNRESET');
  await server.close();
});

test('end() sends what is written, lets the peer answer, and reports its close', async () => {
  const server = await startRawServer(async (peer) => {
    await peer.expect('QUIT');
    await peer.gone();
    await peer.say('221 bye\r\n');
    peer.end();
  });
  const log = recordEvents({
    connected() {
      connection.write('QUIT\r\n');
      connection.end();
    },
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.first('closed');
  await server.close();
  assert.deepEqual(log.seen, [
    { kind: 'connected' },
    { kind: 'lines', lines: ['221 bye'], partial: false },
    { kind: 'closed', reason: { kind: 'ended' } },
  ]);
});

test('destroy() is silent: before the connect, within an event, with lines still to come', async () => {
  let gone: () => void = () => {};
  const allGone = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const server = await startRawServer(async (peer, connection) => {
    await peer.say('220 one\r\n');
    await peer.say('220 two\r\n');
    await peer.gone();
    if (connection === 2) gone();
  });
  const early = recordEvents();
  connect({ address: server.host, port: server.port }, early.events).destroy();
  const atConnect = recordEvents({ connected: () => first.destroy() });
  const first = connect({ address: server.host, port: server.port }, atConnect.events);
  const atLine = recordEvents({ lines: () => second.destroy() });
  const second = connect({ address: server.host, port: server.port }, atLine.events);
  await allGone;
  await server.close();
  assert.deepEqual(early.seen, []);
  assert.deepEqual(atConnect.seen, [{ kind: 'connected' }]);
  assert.deepEqual(atLine.seen, [
    { kind: 'connected' },
    { kind: 'lines', lines: ['220 one'], partial: false },
  ]);
});
