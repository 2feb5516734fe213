/** TLS over a connection: from the first byte and by upgrade, what proves a server, and what servers do wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import {
  type CloseReason,
  connect,
  type Proof,
  type TlsaRecord,
  type TlsFacts,
  type TlsOptions,
} from '#net-stream-utils';
import { certificates, type ServerCertificate, testCa } from '../support/certificates.ts';
import { type EventLog, recordEvents } from '../support/connection-events.ts';
import { type Script, startRawServer } from '../support/raw-server.ts';
import { tlsaOf } from '../support/tlsa.ts';

const TRUSTED: TlsOptions = { serverName: 'mail.example', verify: true, ca: [testCa] };
const ANY: TlsOptions = { serverName: 'mail.example', verify: false };

type Outcome = TlsFacts | CloseReason;

/** Connects with TLS at once and says how the handshake went. */
async function handshake(options: TlsOptions, certificate: ServerCertificate): Promise<Outcome> {
  const server = await startRawServer(async (peer) => {
    // a client that refuses the certificate breaks the handshake off: for the server that is no failure
    await peer.startTls(certificate).catch(() => peer.gone());
  });
  const log = recordEvents();
  const connection = connect({ address: server.host, port: server.port }, log.events, options);
  const outcome = await Promise.race([
    log.first('secured').then(({ facts }) => facts),
    log.first('closed').then(({ reason }) => reason),
  ]);
  connection.destroy();
  await server.close();
  return outcome;
}

const { mail, expired, selfSigned } = certificates;
const wrongPin = selfSigned.fingerprint;

const judged: readonly {
  readonly name: string;
  readonly options: TlsOptions;
  readonly server: ServerCertificate;
  /** what proves the server, null: nothing; or why it is refused */
  readonly proof: Proof | null | RegExp;
}[] = [
  { name: 'trusted CA, right name', options: TRUSTED, server: mail, proof: 'pkix' },
  {
    name: 'a name with a final dot',
    options: { ...TRUSTED, serverName: 'mail.example.' },
    server: mail,
    proof: 'pkix',
  },
  {
    name: 'a wildcard name',
    options: { ...TRUSTED, serverName: 'mx1.hosts.example' },
    server: mail,
    proof: 'pkix',
  },
  { name: 'an IPv4 address', options: { ...TRUSTED, serverName: '127.0.0.1' }, server: mail, proof: 'pkix' },
  {
    name: 'another IPv6 address',
    options: { ...TRUSTED, serverName: '::2' },
    server: mail,
    proof: /cert's list|altnames/,
  },
  {
    name: 'another name',
    options: { ...TRUSTED, serverName: 'other.example' },
    server: mail,
    proof: /altnames/,
  },
  {
    name: 'another address',
    options: { ...TRUSTED, serverName: '127.0.0.2' },
    server: mail,
    proof: /cert's list/,
  },
  {
    name: 'an unknown CA',
    options: { serverName: 'mail.example', verify: true },
    server: mail,
    proof: /unable to/,
  },
  { name: 'an expired certificate', options: TRUSTED, server: expired, proof: /expired/ },
  { name: 'a self-signed certificate', options: TRUSTED, server: selfSigned, proof: /self-signed/ },
  {
    name: 'opportunistic, good certificate',
    options: { ...TRUSTED, verify: false },
    server: mail,
    proof: 'pkix',
  },
  { name: 'opportunistic, self-signed', options: ANY, server: selfSigned, proof: null },
  { name: 'opportunistic, expired', options: ANY, server: expired, proof: null },
  {
    name: 'a pinned self-signed certificate',
    options: { ...TRUSTED, pins: [wrongPin.toLowerCase().replaceAll(':', '')] },
    server: selfSigned,
    proof: 'pin',
  },
  {
    name: 'one of two pins',
    options: { ...TRUSTED, pins: [wrongPin, mail.fingerprint] },
    server: mail,
    proof: 'pin',
  },
  {
    name: 'another pin, trusted CA',
    options: { ...TRUSTED, pins: [wrongPin] },
    server: mail,
    // The certificate may have been renewed: an administrator compares, and copies it.
    proof: new RegExp(`pinned fingerprint; it is ${mail.fingerprint}`, 'i'),
  },
  {
    name: 'another pin, opportunistic',
    options: { ...ANY, pins: [wrongPin] },
    server: mail,
    proof: /pinned/,
  },
  {
    name: 'a CA file without a certificate',
    options: { ...TRUSTED, ca: ['no PEM'] },
    server: mail,
    proof: /unable to/,
  },
];

const withCa: ServerCertificate = { ...mail, cert: `${mail.cert}${testCa}` };

function dane(records: readonly TlsaRecord[], names = ['mail.example']): TlsOptions {
  return { serverName: 'mail.example', verify: true, dane: { records, names } };
}

const MISMATCH = /TLSA records/;

const judgedByTlsa: typeof judged = [
  ...['3 1 1', '3 0 1', '3 1 2', '3 0 2', '3 1 0', '3 0 0'].map((parameters) => ({
    name: `TLSA ${parameters} of the server's own certificate, whatever its name and time`,
    options: dane([tlsaOf(parameters, expired.cert)], ['other.example']),
    server: expired,
    proof: 'dane' as const,
  })),
  {
    name: 'TLSA 3 1 1 of another certificate',
    options: dane([tlsaOf('3 1 1', expired.cert)]),
    server: mail,
    proof: MISMATCH,
  },
  {
    name: 'one of two TLSA records',
    options: dane([tlsaOf('3 1 1', expired.cert), tlsaOf('3 1 1', mail.cert)]),
    server: mail,
    proof: 'dane',
  },
  {
    name: 'another TLSA record, trusted CA',
    options: { ...dane([tlsaOf('3 1 1', expired.cert)]), ca: [testCa] },
    server: mail,
    proof: MISMATCH,
  },
  ...['2 0 1', '2 1 1', '2 1 2'].map((parameters) => ({
    name: `TLSA ${parameters} of the CA in the chain`,
    options: dane([tlsaOf(parameters, testCa)]),
    server: withCa,
    proof: 'dane' as const,
  })),
  {
    name: 'TLSA 2 1 1 of a CA that the server does not show',
    options: dane([tlsaOf('2 1 1', testCa)]),
    server: mail,
    proof: MISMATCH,
  },
  ...['2 0 0', '2 1 0'].map((parameters) => ({
    name: `TLSA ${parameters}, which holds the CA that the server does not show`,
    options: dane([tlsaOf(parameters, testCa)]),
    server: mail,
    proof: 'dane' as const,
  })),
  {
    name: 'TLSA 2 1 1 of the CA, another name',
    options: dane([tlsaOf('2 1 1', testCa)], ['other.example']),
    server: withCa,
    proof: MISMATCH,
  },
  {
    name: 'TLSA 2 1 1 of the CA, the name of the domain',
    options: dane([tlsaOf('2 1 1', testCa)], ['other.example', 'mx.hosts.example']),
    server: withCa,
    proof: 'dane',
  },
  {
    name: 'TLSA 2 1 1 of the CA, expired certificate',
    options: dane([tlsaOf('2 1 1', testCa)]),
    server: { ...expired, cert: `${expired.cert}${testCa}` },
    proof: MISMATCH,
  },
  {
    name: 'TLSA 2 0 1 of a certificate that has not signed the next',
    options: dane([tlsaOf('2 0 1', testCa)]),
    server: { ...selfSigned, cert: `${selfSigned.cert}${testCa}` },
    proof: MISMATCH,
  },
  {
    name: 'TLSA 2 0 1 of the server certificate, which a CA has signed',
    options: dane([tlsaOf('2 0 1', mail.cert)]),
    server: mail,
    proof: MISMATCH,
  },
  {
    name: 'TLSA 2 0 1 of a certificate that has signed itself',
    options: dane([tlsaOf('2 0 1', selfSigned.cert)]),
    server: selfSigned,
    proof: 'dane',
  },
  {
    name: 'TLSA 2 0 0 with bytes that are no certificate',
    options: dane([{ usage: 2, selector: 0, matchingType: 0, data: 'c0ffee' }]),
    server: mail,
    proof: MISMATCH,
  },
];

for (const { name, options, server, proof } of [...judged, ...judgedByTlsa]) {
  test(`${name}: ${proof instanceof RegExp ? `refused, ${proof}` : `proved by ${proof}`}`, async () => {
    const outcome = await handshake(options, server);
    if (!(proof instanceof RegExp)) {
      const { problem, ...facts } = outcome as TlsFacts;
      assert.deepEqual(facts, { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', proof });
      assert.equal(problem === undefined, proof !== null);
    } else {
      assert.ok('kind' in outcome && outcome.kind === 'tls', JSON.stringify(outcome));
      assert.match(outcome.message, proof);
      assert.doesNotMatch(outcome.message, /[\r\n]/);
    }
  });
}

test('an IPv6 address that the certificate has is proved, in each version of Node (R286)', async () => {
  const outcome = await handshake({ ...TRUSTED, serverName: '::1' }, mail);
  assert.equal('proof' in outcome && outcome.proof, 'pkix');
});

test('SNI carries names and no addresses', async () => {
  const asked: unknown[] = [];
  const server = await startRawServer(async (peer) => {
    asked.push((await peer.startTls(mail)).servername);
    await peer.say('220 secure\r\n');
  });
  for (const serverName of ['mail.example', '127.0.0.1']) {
    const log = recordEvents();
    const tls = { ...TRUSTED, serverName };
    const connection = connect({ address: server.host, port: server.port }, log.events, tls);
    await log.line('220 secure');
    connection.destroy();
  }
  await server.close();
  assert.deepEqual(asked, ['mail.example', false]);
});

/** A session that asks for STARTTLS and goes on in TLS; what the server does is the script's. */
async function upgrade(script: Script): Promise<EventLog> {
  const server = await startRawServer(script);
  const log = recordEvents({
    lines(lines) {
      if (lines.includes('220 ready')) connection.write('STARTTLS\r\n');
      if (lines.includes('220 go ahead')) connection.startTls(TRUSTED);
      if (lines.includes('250 secret')) connection.write('QUIT\r\n');
    },
    secured: () => void connection.write('EHLO client.example\r\n'),
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.first('closed');
  await server.close();
  return log;
}

for (const bytewise of [false, true]) {
  test(`an upgrade in place, replies ${bytewise ? 'byte by byte' : 'whole'}`, async () => {
    const pieces = (text: string) => (bytewise ? [...text] : [text]);
    const log = await upgrade(async (peer) => {
      await peer.say(pieces('220 ready\r\n'));
      await peer.expect('STARTTLS');
      await peer.say(pieces('220 go ahead\r\n'));
      await peer.startTls(mail);
      await peer.expect('EHLO client.example');
      await peer.say(pieces('250 secret\r\n'));
      await peer.expect('QUIT');
      await peer.say(pieces('221 bye\r\n'));
      peer.end();
    });
    assert.deepEqual(log.lines(), ['220 ready', '220 go ahead', '250 secret', '221 bye']);
    const kinds = log.seen.map(({ kind }) => kind).filter((kind) => kind !== 'lines');
    assert.deepEqual(kinds, ['connected', 'secured', 'closed']);
    assert.deepEqual(log.seen.at(-1), { kind: 'closed', reason: { kind: 'ended' } });
  });
}

test('an unfinished clear-text line does not become part of a line in TLS', async () => {
  const log = await upgrade(async (peer) => {
    await peer.say('220 ready\r\n');
    await peer.expect('STARTTLS');
    await peer.say('220 go ahead\r\n250-injected ');
    await peer.startTls(mail);
    await peer.expect('EHLO client.example');
    await peer.say('250 secret\r\n');
    await peer.expect('QUIT');
    peer.end();
  });
  assert.deepEqual(log.lines(), ['220 ready', '220 go ahead', '250 secret']);
});

const broken: readonly { readonly name: string; readonly after: Script; readonly message: RegExp }[] = [
  {
    name: 'clear text after the go-ahead',
    after: (peer) => peer.say('250 injected\r\n'),
    message: /clear text|wrong version number|packet length/,
  },
  {
    name: 'garbage for a handshake',
    after: async (peer) => {
      await peer.until('mail.example');
      await peer.say('\x00\xff garbage \x15\x03\x01');
    },
    message: /wrong version number|packet length/,
  },
  { name: 'a close', after: (peer) => peer.end(), message: /closed|disconnected/ },
  { name: 'a reset', after: (peer) => peer.reset(), message: /ECONNRESET|closed|disconnected/ },
];

for (const { name, after, message } of broken) {
  test(`${name} where the handshake belongs: closed once, kind tls, nothing in clear text after it`, async () => {
    const log = await upgrade(async (peer, connection) => {
      await peer.say('220 ready\r\n');
      await peer.expect('STARTTLS');
      await peer.say('220 go ahead\r\n');
      await after(peer, connection);
      await peer.gone();
    });
    const { reason } = await log.first('closed');
    assert.ok(reason.kind === 'tls', JSON.stringify(reason));
    assert.match(reason.message, message);
    assert.doesNotMatch(reason.message, /[\r\n]/);
    assert.deepEqual(log.lines(), ['220 ready', '220 go ahead']);
    assert.equal(log.seen.filter(({ kind }) => kind === 'closed').length, 1);
    assert.equal(log.seen.at(-1)?.kind, 'closed');
  });
}

test('injected text in the read of the go-ahead reaches the caller before TLS, not after it', async () => {
  const log = await upgrade(async (peer) => {
    await peer.say('220 ready\r\n');
    await peer.expect('STARTTLS');
    await peer.say('220 go ahead\r\n250 injected\r\n');
    await peer.startTls(mail);
    await peer.expect('EHLO client.example');
    peer.end();
  });
  assert.deepEqual(
    log.seen.filter(({ kind }) => kind === 'lines'),
    [
      { kind: 'lines', lines: ['220 ready'], partial: false },
      { kind: 'lines', lines: ['220 go ahead', '250 injected'], partial: false },
    ],
  );
});

test('nothing can be written in clear text once the handshake has begun', async () => {
  const server = await startRawServer((peer) => peer.gone());
  const log = recordEvents({
    connected() {
      connection.startTls(TRUSTED);
      assert.throws(() => connection.write('AUTH PLAIN secret\r\n'), /clear text/);
    },
  });
  const connection = connect({ address: server.host, port: server.port }, log.events);
  await log.first('connected');
  connection.destroy();
  await server.close();
  assert.ok(!server.reads.join('').includes('secret'));
});

test('destroy() in the handshake is silent', async () => {
  let gone: () => void = () => {};
  const clientGone = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const server = await startRawServer(async (peer) => {
    await peer.until('mail.example');
    connection.destroy();
    await peer.gone();
    gone();
  });
  const log = recordEvents();
  const connection = connect({ address: server.host, port: server.port }, log.events, TRUSTED);
  await clientGone;
  await server.close();
  assert.deepEqual(log.seen, [{ kind: 'connected' }]);
});

test('a large body through TLS keeps its order and its bytes', async () => {
  const server = await startRawServer(async (peer) => {
    await peer.startTls(mail);
    const body = await peer.until('\r\n.\r\n');
    await peer.say(`250 ${body.length} ${body.split('ab').length - 1}\r\n`);
  });
  const piece = Buffer.from('ab'.repeat(40_000));
  let left = 20;
  const send = () => {
    while (left-- > 0) if (!connection.write(piece)) return;
    connection.write('\r\n.\r\n');
  };
  const log = recordEvents({ secured: send, drained: send });
  const connection = connect({ address: server.host, port: server.port }, log.events, TRUSTED);
  await log.line('250 1600005 800000');
  connection.destroy();
  await server.close();
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: an alert of the server is a failure of TLS, in OpenSSL's words alone (R151)`, async () => {
    const server = createServer({
      ...mail,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    });
    server.on('tlsClientError', () => {});
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const log = recordEvents();
    const connection = connect({ address: '127.0.0.1', port }, log.events, ANY);
    const { reason } = await log.first('closed');
    connection.destroy();
    server.close();
    assert.equal(reason.kind, 'tls');
    assert.match(reason.kind === 'tls' ? reason.message : '', /^[\w/]+ alert [a-z ]+$/);
  });
}
