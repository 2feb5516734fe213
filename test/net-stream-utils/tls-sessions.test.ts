/** TLS sessions that are resumed: what they tell, where they are resumed, and what happens when a server does not want to. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createServer, type SecureVersion, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls';
import { connect, type TlsFacts, type TlsOptions, TlsSessions } from '#net-stream-utils';
import { certificates, testCa } from '../support/certificates.ts';
import { recordEvents } from '../support/connection-events.ts';
import { startRawServer } from '../support/raw-server.ts';
import { tlsaOf } from '../support/tlsa.ts';

const { mail, selfSigned } = certificates;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const TRUSTED: TlsOptions = { serverName: 'mail.example', verify: true, ca: [testCa] };
const OTHER_NAME: TlsOptions = { ...TRUSTED, serverName: 'other.example', verify: false };
const SELF_SIGNED: TlsOptions = { serverName: 'mail.example', verify: false };
const PINNED: TlsOptions = { ...TRUSTED, pins: [mail.fingerprint] };
const DANE: TlsOptions = {
  serverName: 'mail.example',
  verify: true,
  dane: { records: [tlsaOf('3 1 1', mail.cert)], names: ['mail.example'] },
};

interface Server {
  readonly port: number;
  /** of each connection, in order */
  readonly resumed: readonly boolean[];
  /** tickets of before are unknown from now on */
  changeKeys(): void;
  close(): Promise<unknown>;
}

async function startServer(options: ServerOptions, port = 0): Promise<Server> {
  const resumed: boolean[] = [];
  const open = new Set<TLSSocket>();
  const server = createServer({ ...mail, ...options }, (socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    resumed.push(socket.isSessionReused());
    socket.write('220 ready\r\n');
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    resumed,
    changeKeys: () => server.setTicketKeys(randomBytes(48)),
    close() {
      for (const socket of open) socket.destroy();
      return once(server.close(), 'close');
    },
  };
}

function only(version: SecureVersion): ServerOptions {
  return { minVersion: version, maxVersion: version };
}

/** Connects and waits for the first line, behind which tickets have arrived; what was proved, or the code of the failure. */
async function visit(
  { port }: Pick<Server, 'port'>,
  options: TlsOptions,
  sessions: TlsSessions,
  peer = 'here',
): Promise<TlsFacts | string> {
  const log = recordEvents();
  const tls = { ...options, resumption: { sessions, peer } };
  const connection = connect({ address: '127.0.0.1', port }, log.events, tls);
  const failed = log.first('closed').then(({ reason }) => ('code' in reason && reason.code) || reason.kind);
  const result = await Promise.race([log.line('220 ready'), failed]);
  connection.destroy();
  if (typeof result === 'string') return result;
  return (await log.first('secured')).facts;
}

function newSessions(): TlsSessions {
  return new TlsSessions(() => 0);
}

const proofs: readonly (readonly [string, TlsOptions, ServerOptions, TlsFacts['proof'], string?])[] = [
  ['a CA', TRUSTED, mail, 'pkix'],
  ['a pin', PINNED, mail, 'pin'],
  ['TLSA records', DANE, mail, 'dane'],
  ['nothing, because the name is another', OTHER_NAME, mail, null, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['nothing, because it has signed itself', SELF_SIGNED, selfSigned, null, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
];

for (const version of VERSIONS) {
  for (const [name, options, certificate, proof, problem] of proofs) {
    test(`${version}, proved by ${name}: resumed again and again, with the facts of the first time`, async () => {
      const server = await startServer({ ...certificate, ...only(version) });
      const sessions = newSessions();
      const visits = [];
      for (let n = 0; n < 4; n++) visits.push(await visit(server, options, sessions));
      await server.close();
      assert.deepEqual(server.resumed, [false, true, true, true]);
      const [first] = visits;
      assert.ok(typeof first === 'object');
      assert.equal(first.protocol, version);
      assert.equal(first.proof, proof);
      assert.ok(first.problem?.includes(problem ?? '') ?? problem === undefined, first.problem);
      for (const facts of visits) assert.deepEqual(facts, first);
    });
  }

  test(`${version}: a session is resumed only where it leads to the same peer and the same is demanded`, async () => {
    const server = await startServer(only(version));
    const sessions = newSessions();
    await visit(server, { ...TRUSTED, verify: false }, sessions);
    for (const options of [
      TRUSTED,
      PINNED,
      DANE,
      { ...PINNED, pins: [mail.fingerprint, selfSigned.fingerprint] },
      { ...DANE, dane: { records: [tlsaOf('3 0 1', mail.cert)], names: ['mail.example'] } },
      { ...TRUSTED, ca: [testCa, testCa] },
    ])
      await visit(server, options, sessions);
    await visit(server, TRUSTED, sessions, 'elsewhere');
    assert.deepEqual(server.resumed, Array(8).fill(false));
    await visit(server, TRUSTED, sessions);
    assert.equal(server.resumed.at(-1), true);
    await server.close();
  });

  test(`${version}: a server that refuses the ticket gets a full handshake, and is judged anew`, async () => {
    const server = await startServer(only(version));
    const sessions = newSessions();
    const first = await visit(server, TRUSTED, sessions);
    server.changeKeys();
    assert.deepEqual(await visit(server, TRUSTED, sessions), first);
    assert.deepEqual(await visit(server, TRUSTED, sessions), first);
    assert.deepEqual(server.resumed, [false, false, true]);
    await server.close();
    const other = await startServer({ ...selfSigned, ...only(version) }, server.port);
    assert.equal(await visit(other, TRUSTED, sessions), 'DEPTH_ZERO_SELF_SIGNED_CERT');
    await other.close();
  });

  test(`${version}: nothing is kept of a server that was refused`, async () => {
    const server = await startServer({ ...selfSigned, ...only(version) });
    const sessions = newSessions();
    for (const options of [TRUSTED, PINNED, DANE])
      for (let n = 0; n < 2; n++) assert.match(String(await visit(server, options, sessions)), /^[A-Z_]+$/);
    assert.ok(server.resumed.every((resumed) => !resumed));
    await server.close();
  });

  test(`${version}: where a handshake that resumes breaks, the next is a full one`, async () => {
    const server = await startServer(only(version));
    const sessions = newSessions();
    await visit(server, TRUSTED, sessions);
    await server.close();
    const broken = await startRawServer(
      async (peer) => {
        await peer.until('mail.example');
        await peer.reset();
      },
      { port: server.port },
    );
    assert.equal(await visit(broken, TRUSTED, sessions), 'tls');
    await broken.close();
    const again = await startServer(only(version), server.port);
    assert.equal(typeof (await visit(again, TRUSTED, sessions)), 'object');
    assert.deepEqual(again.resumed, [false]);
    await again.close();
  });

  test(`${version}: an hour after the full handshake there is another one`, async () => {
    const server = await startServer(only(version));
    let now = 0;
    const sessions = new TlsSessions(() => now);
    for (now of [0, 3_599_999, 3_600_000, 7_199_999]) await visit(server, TRUSTED, sessions);
    assert.deepEqual(server.resumed, [false, true, false, true]);
    await server.close();
  });
}

for (const [before, after] of [VERSIONS, [...VERSIONS].reverse()]) {
  test(`a server that spoke ${before} and speaks ${after} now gets a full handshake`, async () => {
    const sessions = newSessions();
    const old = await startServer({ ...only(before as SecureVersion), ticketKeys: Buffer.alloc(48) });
    await visit(old, TRUSTED, sessions);
    await old.close();
    const now = await startServer(
      { ...only(after as SecureVersion), ticketKeys: Buffer.alloc(48) },
      old.port,
    );
    const facts = await visit(now, TRUSTED, sessions);
    assert.deepEqual(now.resumed, [false]);
    assert.ok(typeof facts === 'object' && facts.protocol === after && facts.proof === 'pkix');
    await now.close();
  });
}

test('a thousand sessions are kept, the newest', () => {
  const sessions = newSessions();
  const session = { bytes: Buffer.alloc(0), verdict: { proof: null, at: 0 } };
  for (let n = 0; n < 1100; n++) sessions.keep(`peer ${n}`, session);
  const kept = Array.from({ length: 1100 }, (_, n) => n).filter(
    (n) => sessions.get(`peer ${n}`) !== undefined,
  );
  assert.deepEqual([kept.length, kept[0]], [1000, 100]);
});
