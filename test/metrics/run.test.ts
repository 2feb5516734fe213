/** What a queue run and an intake count, over real directories and real servers on loopback. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { command as run } from '../../src/cli/commands/run.ts';
import type { DemoWorld } from '../../src/cli/demo/world/index.ts';
import { startDemoWorld } from '../../src/cli/demo/world/index.ts';
import { EXIT } from '../../src/cli/shell/exit.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { countLine } from '../../src/metrics/counting.ts';
import { metricsBeside } from '../../src/metrics/running.ts';
import { Metrics } from '../../src/metrics/values.ts';
import { queuedEvent, rejectedEvent } from '../../src/output/log/log-events.ts';
import { loginFailedEvent, loginsFailedEvent } from '../../src/output/log/process-events.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { certificates, testCa } from '../support/certificates.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { listFor, MAIL, NOW, spoolOf } from '../support/spool.ts';

let world: DemoWorld;
before(async () => {
  world = await startDemoWorld();
});
after(() => world.close());

/** Runs, and returns the samples that are not 0, without histograms. */
async function runOver(
  spool: string,
  settings: { readonly [name: string]: unknown } = {},
  now = NOW + 60,
): Promise<{ readonly [series: string]: number }> {
  const file = path.join(spool, '.prom');
  const given = {
    ...{ spool, now: String(now), dns: world.dns, 'mx-port': String(world.smtpPort) },
    ...{ hostname: 'citadel.example', return: 'room', 'log.target': path.join(spool, '.log') },
    ...{ 'metrics-file': file, ...settings },
  };
  assert.equal(await perform(run, invocation(caughtTerminal(), given)), EXIT.ok);
  return samplesOf(fs.readFileSync(file, 'utf8'));
}

function samplesOf(text: string): { readonly [series: string]: number } {
  const samples = text.split('\n').flatMap((line) => {
    const [, name = '', value = ''] = /^(spoolroom_[^ ]*) (.*)$/.exec(line) ?? [];
    const isShown = name !== '' && Number(value) !== 0 && !/_(?:bucket|sum|seconds)/.test(name);
    return isShown ? [[name.replace('spoolroom_', ''), Number(value)] as const] : [];
  });
  return Object.fromEntries(samples);
}

describe('a run counts', () => {
  it('outcomes, sessions, reports, and what is left in the queue', async (t) => {
    const spool = spoolOf(t, {
      1: MAIL,
      2: listFor(1, 'alice@accepts.example', 'bob@greylist.example', 'nobody@refuses.example'),
      3: MAIL,
      4: listFor(3, 'dan@gone.example'),
      6: 'Content-type: application/x-citadel-delivery-list\n\nsubmitted|1\n',
    });
    fs.mkdirSync(path.join(spool, '.spoolroom/requests'), { recursive: true });
    assert.deepEqual(await runOver(spool), {
      'queue_jobs{status="deferred"}': 1,
      queue_size_bytes: MAIL.length,
      queue_quarantined_jobs: 1,
      queue_quarantined_total: 1,
      smtp_attempts_total: 4,
      'smtp_status_total{status="delivered"}': 1,
      'smtp_status_total{status="deferred"}': 1,
      'smtp_status_total{status="refused"}': 2,
      'smtp_failures_total{status="deferred",reason="recipient"}': 1,
      'smtp_failures_total{status="refused",reason="address"}': 1,
      'smtp_failures_total{status="refused",reason="recipient"}': 1,
      'smtp_connections_total{result="ok"}': 3,
      'smtp_handshakes_total{result="ready"}': 3,
      'dsn_total{result="kept"}': 2,
      'log_messages_total{level="error"}': 1,
      'log_messages_total{level="warn"}': 4,
    });
    const scan = { jobs: [], orphans: [], quarantined: [] };
    const beside = samplesOf(
      metricsBeside({ disk: nodeDisk, home: spool, quarantined: () => 1 }, scan, NOW + 60, 'openmetrics'),
    );
    assert.equal(beside['smtp_status_total{status="refused"}'], 2);
    assert.equal(beside['queue_jobs{status="deferred"}'], undefined);
  });

  it('what an idle run leaves as it is', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@greylist.example') });
    const first = await runOver(spool);
    const second = await runOver(spool, {}, NOW + 61);
    assert.equal(first.smtp_attempts_total, 1);
    assert.deepEqual(second, first);
  });

  it('TLS by protocol and proof, and logins that a relay rejects', async (t) => {
    const relay = await startSmtpServer({ starttls: certificates.mail, users: { me: 'right' } });
    t.after(() => relay.close());
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@example.com') });
    const trusting = { 'tls-ca': writtenTo(spool, testCa) };
    const given = (password: string) => ({
      ...trusting,
      smarthost: `me:${password}@127.0.0.1:${relay.port}`,
    });
    const wrong = await runOver(spool, given('wrong'));
    assert.equal(wrong['smtp_handshakes_total{result="login"}'], 1);
    assert.equal(wrong['smtp_failures_total{status="deferred",reason="login"}'], 1);
    const right = await runOver(spool, given('right'), NOW + 86_400);
    assert.equal(right['smtp_handshakes_total{result="ready"}'], 1);
    assert.equal(right['smtp_tls_connections_total{protocol="TLSv1.3",verified="pkix"}'], 2);
  });

  it('connections that fail, and certificates that are not trusted', async (t) => {
    const relay = await startSmtpServer({ starttls: certificates.mail });
    t.after(() => relay.close());
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@example.com') });
    const counted = await runOver(spool, {
      smarthost: ['127.0.0.1:1', `127.0.0.1:${relay.port}`],
      'relay-tls': 'require',
    });
    assert.equal(counted['smtp_tls_failures_total{reason="certificate"}'], 1);
    assert.equal(counted['smtp_handshakes_total{result="tls"}'], 1);
    assert.ok((counted['smtp_connections_total{result="failed"}'] ?? 0) >= 1);
  });
});

/** The text of a message whose body is in base64. */
function decoded(content: Buffer = Buffer.alloc(0)): string {
  return Buffer.from(content.toString('latin1').split('\r\n\r\n')[1] ?? '', 'base64').toString('utf8');
}

function writtenTo(folder: string, text: string): string {
  const file = path.join(folder, '.ca.pem');
  fs.writeFileSync(file, text);
  return file;
}

test('the intake counts what it takes, what it refuses, and wrong passwords', () => {
  const metrics = new Metrics();
  const same = (text: string): string => text;
  const message = { sender: 'a@example.org', messageId: null, size: 9, recipients: ['b@example.com'] };
  const queued = { ...message, submitted: NOW, control: 2, payload: 1, transactions: 1 };
  const failure = { user: 'me', address: '192.0.2.1', failures: 1, heard: true };
  countLine(metrics, queuedEvent(queued, same));
  for (const code of [452, 552])
    countLine(metrics, rejectedEvent({ ...message, code, text: 'No.', client: 'c' }, same));
  countLine(metrics, loginFailedEvent(failure));
  countLine(metrics, loginsFailedEvent('192.0.2.1', 37));
  assert.deepEqual(samplesOf(metrics.text(['intake'], 'prometheus')), {
    smtpd_messages_processed_total: 1,
    'smtpd_messages_rejected_total{code="4xx"}': 1,
    'smtpd_messages_rejected_total{code="5xx"}': 1,
    smtpd_sasl_authentication_failures_total: 38,
  });
});

describe('an alert over runs from cron', () => {
  /** Appends what the command was told to a file of the spool. */
  function alerting(spool: string) {
    const told = path.join(spool, '.told');
    const command = path.join(spool, '.tell');
    fs.writeFileSync(command, `#!/bin/sh\necho "$ALERT_EVENT $ALERT_NAME" >> ${told}\n`, { mode: 0o700 });
    return {
      command,
      told: () => (fs.existsSync(told) ? fs.readFileSync(told, 'utf8').split('\n').slice(0, -1) : []),
    };
  }

  it('is told by the command once, and once when it has ended', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@greylist.example') });
    const { command, told } = alerting(spool);
    const settings = { 'alert.command': command, 'alert.queue-age': '1h' };
    for (const later of [60, 3500, 3700, 3800, 90_000]) await runOver(spool, settings, NOW + later);
    assert.deepEqual(told(), []);
    const again = spoolOf(t, { 1: MAIL, 2: listFor(1, 'carol@silent.invalid') });
    const second = alerting(again);
    const given = { ...settings, 'alert.command': second.command, dns: '127.0.0.1:1' };
    for (const later of [60, 3500, 3700, 3800, 7300]) await runOver(again, given, NOW + later);
    assert.deepEqual(second.told(), ['begin threshold queue-age']);
    fs.rmSync(path.join(again, '2'));
    for (const later of [7400, 7500]) await runOver(again, given, NOW + later);
    assert.deepEqual(second.told(), ['begin threshold queue-age', 'end threshold queue-age']);
  });

  it('of a relay that rejects our login is told by the command and by one message', async (t) => {
    const relay = await startSmtpServer({ starttls: certificates.mail, users: { me: 'right' } });
    const post = await startSmtpServer();
    t.after(() => Promise.all([relay.close(), post.close()]));
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@example.com') });
    const { command, told } = alerting(spool);
    const settings = (password: string) => ({
      ...{ 'alert.command': command, 'alert.mail': 'admin@citadel.example' },
      ...{ smarthost: `me:${password}@127.0.0.1:${relay.port}`, 'tls-ca': writtenTo(spool, testCa) },
      return: `smtp://127.0.0.1:${post.port}`,
    });
    // Beside the reports to the sender.
    const mails = () =>
      post.accepted
        .filter(({ recipients }) => recipients.includes('admin@citadel.example'))
        .map(({ content }) => decoded(content));
    for (const day of [1, 2]) await runOver(spool, settings('wrong'), NOW + day * 86_400);
    assert.deepEqual(told(), [`begin relay 127.0.0.1:${relay.port} login`]);
    assert.equal(mails().length, 1);
    await runOver(spool, settings('right'), NOW + 3 * 86_400);
    assert.deepEqual(told().slice(1), [`end relay 127.0.0.1:${relay.port} login`]);
    assert.equal(relay.accepted.length, 1);
    assert.equal(mails().length, 2);
    assert.match(mails()[0] ?? '', /^The relay .* rejects our login/);
    assert.match(mails()[1] ?? '', /^This has ended, /);
  });

  it('of refused recipients counts those of earlier runs', async (t) => {
    const spool = spoolOf(t, {});
    const { command, told } = alerting(spool);
    const settings = { 'alert.command': command, 'alert.refused': '50', 'alert.window': '1h' };
    for (let run = 0; run < 3; run++) {
      const names = Array.from({ length: 8 }, (_, at) => `${run}${at}@gone.example`);
      fs.writeFileSync(path.join(spool, '1'), MAIL);
      fs.writeFileSync(path.join(spool, '2'), listFor(1, ...names));
      assert.deepEqual(told(), []);
      await runOver(spool, settings, NOW + 60 * (run + 1));
    }
    assert.deepEqual(told(), ['begin threshold refused']);
    await runOver(spool, settings, NOW + 5000);
    assert.deepEqual(told(), ['begin threshold refused', 'end threshold refused']);
  });

  it('without a server that takes the message is kept for the postmaster, and the failure is told', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'carol@silent.invalid') });
    const settings = { 'alert.mail': 'admin@citadel.example', 'alert.queue-size': '1', return: 'room' };
    fs.writeFileSync(path.join(spool, '3'), MAIL);
    fs.writeFileSync(path.join(spool, '4'), listFor(3, 'dan@silent.invalid'));
    await runOver(spool, { ...settings, dns: '127.0.0.1:1' });
    const reports = path.join(spool, '.spoolroom/reports');
    assert.equal(fs.readdirSync(reports).length, 1);
    const log = fs.readFileSync(path.join(spool, '.log'), 'utf8');
    assert.match(
      log,
      /could not be mailed: no server takes reports \(setting return\); it is kept in .*reports\/alert-/,
    );
  });
});
