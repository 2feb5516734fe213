/** `intake` and `watch --intake` as processes: what they acknowledge is a job; how they stop; when they do not start. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import nodemailer from 'nodemailer';
import { Conversation } from '../intake/conversation.ts';
import { certificates, testCa } from '../support/certificates.ts';
import { RunningCommand } from '../support/command.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { messagesIn, spoolOf, temporaryDirectory } from '../support/spool.ts';

const BOUNDED = { timeout: 30_000 };
const MAIL = 'Subject: hello\r\n\r\nHello.\r\n.';

async function listening(intake: RunningCommand): Promise<string> {
  return String((await intake.says('listening')).address);
}

function intakeOf(t: TestContext, spool: string, ...more: readonly string[]): RunningCommand {
  const words = ['intake', '--spool', spool, '--hostname', 'queue.example', '--intake.listen', '127.0.0.1:0'];
  return new RunningCommand(t, ...words, ...more);
}

function secretFile(t: TestContext, name: string, text: string, mode = 0o600): string {
  const file = path.join(temporaryDirectory(t), name);
  fs.writeFileSync(file, text, { mode });
  fs.chmodSync(file, mode);
  return file;
}

describe('intake', () => {
  it('creates jobs, and stops cleanly when asked', BOUNDED, async (t) => {
    const spool = spoolOf(t, {});
    const intake = intakeOf(t, spool);
    const address = await listening(intake);
    const client = await Conversation.with(address);
    // `check` recognises it by this word.
    assert.match((await client.reply()) ?? '', /^220 queue\.example ESMTP spoolroom$/);
    await client.ask('EHLO citadel.example');
    await client.envelope('alice@citref.example', 'bob@example.com');
    assert.equal(await client.ask(MAIL), '250 2.6.0 queued as job 2, message 1');
    const { job, recipients } = await intake.says('queued');
    assert.deepEqual({ job, recipients }, { job: 2, recipients: 'bob@example.com' });
    intake.child.kill('SIGTERM');
    assert.match((await client.reply()) ?? '', /^421 /);
    assert.equal(await intake.ended(), 0);
    await assert.rejects(Conversation.with(address), { code: 'ECONNREFUSED' });
    const { 1: mail = '', 2: list = '' } = messagesIn(spool);
    assert.match(mail, /^Received: from citadel\.example \(\[127\.0\.0\.1\]\)\r\n\tby queue\.example /);
    assert.match(list, /^remote\|bob@example\.com\|0\|/m);
  });

  it('goes on after SIGHUP, also when new settings cannot be used', BOUNDED, async (t) => {
    const config = secretFile(t, 'config', '{}');
    const intake = intakeOf(t, spoolOf(t, {}), '--config', config);
    await listening(intake);
    fs.writeFileSync(config, '{"intake.users": "/nowhere/at/all"}');
    intake.child.kill('SIGHUP');
    assert.match(String((await intake.says('warning')).message), /not reloaded.*\/nowhere\/at\/all/);
    fs.writeFileSync(config, '{"intake.size": 1000000}');
    intake.child.kill('SIGHUP');
    const client = await Conversation.with(await listening(intake));
    assert.match((await client.reply()) ?? '', /^220 /);
    intake.child.kill('SIGTERM');
    assert.equal(await intake.ended(), 0);
  });

  it('finishes what is being received when it is stopped', BOUNDED, async (t) => {
    const spool = spoolOf(t, {});
    const intake = intakeOf(t, spool);
    const address = await listening(intake);
    const [idle, busy] = [await Conversation.with(address), await Conversation.with(address)];
    await idle.hello();
    await busy.hello();
    await busy.envelope('alice@citref.example', 'bob@example.com');
    busy.send('Subject: hello\r\n\r\n');
    intake.child.kill('SIGTERM');
    assert.match((await idle.reply()) ?? '', /^421 /, 'the stop has begun');
    assert.match((await busy.ask('Hello.\r\n.')) ?? '', /^250 /);
    busy.drop();
    assert.equal(await intake.ended(), 0);
    assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2']);
  });

  it('accepts mail from its users only, and no password in clear', BOUNDED, async (t) => {
    const { key, cert } = certificates.mail;
    const users = secretFile(t, 'users', 'citadel:open:sesame\n');
    const pem = secretFile(t, 'queue.pem', key + cert);
    const settings = ['--intake.users', users, '--intake.certificate', pem];
    const intake = intakeOf(t, spoolOf(t, {}), ...settings);
    const address = await listening(intake);
    const client = await Conversation.with(address);
    await client.hello();
    assert.match((await client.ask('AUTH PLAIN AGNpdGFkZWwAb3BlbjpzZXNhbWU=')) ?? '', /^538 /);
    assert.match((await client.ask('MAIL FROM:<alice@citref.example>')) ?? '', /^5/);
    client.drop();
    const send = (pass: string) =>
      nodemailer
        .createTransport({
          host: '127.0.0.1',
          port: Number(address.split(':')[1]),
          requireTLS: true,
          tls: { ca: testCa },
          auth: { user: 'citadel', pass },
        })
        .sendMail({ from: 'alice@citref.example', to: 'bob@example.com', text: 'Hello.' });
    await assert.rejects(send('open'), { responseCode: 535 });
    assert.match((await send('open:sesame')).response, /^250 /);
    assert.equal(await intake.stop('SIGINT'), 0);
  });

  it('reports why it cannot start, and ends', BOUNDED, async (t) => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const spool = spoolOf(t, {});
    const readable = secretFile(t, 'users', 'citadel:sesame\n', 0o644);
    const users = secretFile(t, 'users', 'citadel\n');
    const cases: readonly (readonly [string[], number, RegExp])[] = [
      [
        ['--intake.listen', `127.0.0.1:${port}`],
        69,
        /^spoolroom: The intake cannot listen on .*: another program already listens there\.$/,
      ],
      [['--intake.listen', `${spool}/gone/socket`], 69, /its directory does not exist/],
      [['--intake.listen', '0.0.0.0:0'], 64, /other machines could send mail through it/],
      [['--intake.listen', 'here'], 64, /write \/path, PORT or ADDRESS:PORT/],
      [['--intake.users', readable], 78, /chmod 600/],
      [['--intake.users', users], 78, /line 1 is not user:password/],
      [
        ['--intake.users', secretFile(t, 'users', '\na:b\n\na:c\n')],
        78,
        /line 4 names a user who was named before/,
      ],
      [['--intake.users', secretFile(t, 'users', 'a:b\n')], 78, /Set intake\.certificate as well/],
      [
        ['--intake.certificate', users],
        78,
        /setting intake\.certificate: .* cannot be used: it does not hold a private key/,
      ],
    ];
    await Promise.all(
      cases.map(async ([words, exit, sentence]) => {
        const intake = new RunningCommand(t, 'intake', '--spool', spool, ...words);
        assert.equal(await intake.ended(), exit, words.join(' '));
        assert.match(intake.unparsed.join('\n'), sentence);
      }),
    );
  });
});

describe('watch --intake', () => {
  it('delivers at once what it accepts', BOUNDED, async (t) => {
    const server = await startSmtpServer();
    t.after(() => server.close());
    const spool = spoolOf(t, {});
    const relay = ['--smarthost', `127.0.0.1:${server.port}`, '--poll', '1h', '--return', 'room'];
    const listen = ['--intake', '--intake.listen', '127.0.0.1:0'];
    const watcher = new RunningCommand(t, 'watch', '--spool', spool, ...relay, ...listen);
    const address = await listening(watcher);
    await watcher.says('started');
    const client = await Conversation.with(address);
    await client.hello();
    await client.envelope('alice@citref.example', 'bob@example.com');
    assert.match((await client.ask(MAIL)) ?? '', /^250 /);
    assert.equal((await watcher.says('delivered')).recipient, 'bob@example.com');
    client.drop();
    assert.equal(await watcher.stop('SIGTERM'), 0);
    assert.deepEqual(
      server.accepted.map(({ recipients }) => recipients),
      [['bob@example.com']],
    );
    assert.deepEqual(messagesIn(spool), {});
  });
});
