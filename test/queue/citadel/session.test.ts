/** A connection to a Citadel server: TLS, login, silence; and who may read the login. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { connect } from '../../../src/net-stream-utils/index.ts';
import { readLogin } from '../../../src/queue/citadel/client/login.ts';
import { CitadelSession } from '../../../src/queue/citadel/client/session.ts';
import { openLiveQueue } from '../../../src/queue/citadel/open.ts';
import { certificates, testCa } from '../../support/certificates.ts';
import { startCitadel } from '../../support/citadel-server.ts';
import { allDead, LOGIN, MAIL, newList } from '../../support/live-room.ts';
import { startRawServer } from '../../support/raw-server.ts';
import { bench, NOW, SETTINGS_2012, temporaryDirectory } from '../../support/spool.ts';

test('a login file that others can read is refused', (t) => {
  const path = `${temporaryDirectory(t)}/login`;
  fs.writeFileSync(path, 'Admin Ä\nsecret: 1\n', { mode: 0o600 });
  assert.deepEqual(readLogin(path), {
    kind: 'login',
    login: { user: 'Admin \xc3\x84', password: 'secret: 1' },
  });
  fs.chmodSync(path, 0o640);
  const open = readLogin(path);
  assert.match(open.kind === 'refused' ? open.text : '', /other users can read or change it/);
  for (const text of ['', 'admin', 'admin\n', 'admin\npass\nmore\n', 'admin\npa\rss\n']) {
    fs.writeFileSync(path, text);
    fs.chmodSync(path, 0o600);
    assert.equal(readLogin(path).kind, 'refused', JSON.stringify(text));
  }
  assert.match((readLogin(`${path}.gone`) as { text?: string }).text ?? '', /does not exist/);
});

test('over TCP the login goes by TLS only', async (t) => {
  const server = await startRawServer(async (peer) => {
    await peer.say('200 citref.example Citadel server ready.\n');
    assert.equal(await peer.until('\n'), 'STLS\n');
    await peer.say('200 Ready for TLS\n');
    await peer.startTls(certificates.mail);
    assert.equal(await peer.until('\n'), 'USER admin\n');
    await peer.say('300 Password required\n');
    assert.equal(await peer.until('\n'), 'PASS adminpass\n');
    await peer.say('200 admin|6|1|0|0|1|0\n');
    await peer.until('\n');
    await peer.say('200 __CitadelSMTPspoolout__|0|0|0|6|0|0|0|1|0|0|11|11|0|1|0|\n');
  });
  t.after(() => server.close());
  const address = {
    endpoint: { address: server.host, port: server.port },
    tls: { serverName: 'mail.example', verify: true, ca: [testCa] },
  };
  const session = await CitadelSession.open(address, LOGIN, { ...bench(), connect });
  session.close();

  const bare = await startRawServer(async (peer) => {
    await peer.say('200 citref.example Citadel server ready.\n');
    await peer.until('STLS\n');
    await peer.say('530 Unrecognized or unsupported command.\n');
    assert.equal(await peer.line(), null, 'no login in clear');
  });
  const endpoint = { address: bare.host, port: bare.port };
  await assert.rejects(
    CitadelSession.open({ ...address, endpoint }, LOGIN, { ...bench(), connect }),
    /does not offer TLS \(530/,
  );
  await bare.close();
});

test('a mail server is no Citadel server, and hears no name', async (t) => {
  const server = await startRawServer(async (peer) => {
    await peer.say('220 mx.example ESMTP\r\n');
    assert.notEqual((await peer.line())?.slice(0, 4), 'USER');
  });
  t.after(() => server.close());
  const address = { endpoint: { address: server.host, port: server.port }, tls: null };
  await assert.rejects(CitadelSession.open(address, LOGIN, { ...bench(), connect }), {
    message: `The Citadel server at ${server.host}:${server.port} cannot be used: it is not a Citadel server; its greeting is 220 mx.example ESMTP. Its messages stay in its queue.`,
  });
});

test('without TLS no password leaves this machine', async () => {
  const address = { endpoint: { address: '192.0.2.1', port: 504 }, tls: null };
  await assert.rejects(
    CitadelSession.open(address, LOGIN, { ...bench(), connect }),
    /would be sent to another machine without TLS/,
  );
});

test('a silent server is given up after a minute', async (t) => {
  const server = await startRawServer(() => {});
  t.after(() => server.close());
  const { clock } = bench();
  const address = { endpoint: { address: server.host, port: server.port }, tls: null };
  const opened = CitadelSession.open(address, LOGIN, { connect, clock, random: Math.random });
  clock.advance(60_000);
  await assert.rejects(opened, /sent nothing for 60 seconds/);
});

for (const more of ['300 from the man in the middle: ', '300 in between\n']) {
  test(`what comes in clear in front of TLS ends the session: ${JSON.stringify(more)}`, async () => {
    const server = await startRawServer(async (peer) => {
      await peer.say('200 citref.example Citadel server ready.\n');
      await peer.until('STLS\n');
      await peer.say(`200 Begin TLS negotiation now\n${more}`);
      assert.equal(await peer.line(), null, 'not even a handshake');
    });
    const address = {
      endpoint: { address: server.host, port: server.port },
      tls: { serverName: 'mail.example', verify: true, ca: [testCa] },
    };
    await assert.rejects(
      CitadelSession.open(address, LOGIN, { ...bench(), connect }),
      /clear text instead of the TLS handshake|an answer without a command/,
    );
    await server.close();
  });
}

test('a live room over TCP: STLS, then probe period, delivery, end', async (t) => {
  const double = await startCitadel('tcp', { era: '2016', admin: false, certificate: certificates.mail });
  t.after(() => double.close());
  double.time = NOW;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com'));
  const state = temporaryDirectory(t);
  const server = {
    endpoint: { address: double.path, port: double.port },
    tls: { serverName: 'mail.example', verify: true, ca: [testCa] },
  };
  const deps = bench({ processes: allDead });
  const opened = await openLiveQueue({ server, login: LOGIN, state }, { ...deps, connect }, SETTINGS_2012);
  assert.ok(opened.kind === 'open', opened.kind === 'refused' ? opened.text : '');
  const { queue } = opened;
  await queue.scan();
  assert.deepEqual(double.commands.slice(0, 4), [
    'STLS',
    'USER admin',
    'PASS',
    'GOTO __CitadelSMTPspoolout__',
  ]);
  deps.clock.advance(150_000);
  assert.deepEqual(
    (await queue.scan()).jobs.map((job) => job.control),
    [control],
  );
  let broken = 0;
  double.fault = (line) => (line.startsWith('MSG2') && broken++ === 0 ? 'lost-after' : null);
  const read = await queue.readPayload(mail);
  assert.ok(read.kind === 'found');
  assert.equal(read.message.bytes?.toString('latin1'), MAIL);
  assert.equal(double.commands.filter((line) => line === 'STLS').length, 2, 'each connection is protected');
  await queue.record(control, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(control);
  await queue.close();
  assert.equal(double.messages.size, 1, 'the flag');

  const stranger = { ...server, tls: { ...server.tls, ca: [] } };
  const refused = await openLiveQueue(
    { server: stranger, login: LOGIN, state },
    { ...bench(), connect },
    SETTINGS_2012,
  );
  assert.ok(refused.kind === 'refused');
  assert.match(refused.text, /certificate|signature|issuer/);
});

test('a login file of somebody else is refused', (t) => {
  const path = `${temporaryDirectory(t)}/login`;
  fs.writeFileSync(path, 'admin\nsecret\n', { mode: 0o600 });
  const self = process.geteuid?.() ?? 0;
  assert.equal(readLogin(path, self).kind, 'login');
  // What belongs to root is as good as ours; only root can give a file away.
  if (self === 0) fs.chownSync(path, 54_321, 54_321);
  const read = readLogin(path, self === 0 ? 0 : self + 1);
  assert.ok(read.kind === 'refused');
  assert.match(read.text, /it belongs to another user; run "chown/);
});
