import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type TraceEvent, traceFor } from '../../src/delivery/trace.ts';
import type { LookupError } from '../../src/platform/dns.ts';
import { parseRelayEntry } from '../../src/routing/relays.ts';
import { Alerts } from '../../src/runner/alerts.ts';
import { RelayAlerts } from '../../src/runner/relay-alerts.ts';
import type { Failure, Outcome, Stage } from '../../src/smtp/outcome.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { temporaryDirectory } from '../support/spool.ts';

const HOUR = 3600;
const peer = { host: 'relay.example', address: '192.0.2.1', port: 587 };

function failed(stage: Stage, code: number | null, text: string, of = peer): TraceEvent {
  const scope = { scope: 'host', permanent: false, enhanced: '4.0.0', maybeDelivered: false } as const;
  const failure: Failure = { ...scope, stage, code, text, peer: of };
  return { what: 'delivery', event: { type: 'host-failed', failure } } as TraceEvent;
}

const accepted: Outcome = { kind: 'delivered', code: 250, enhanced: '2.0.0', text: 'ok', peer };
const answered: TraceEvent = {
  what: 'outcome',
  recipients: [0],
  outcome: accepted,
  recorded: accepted,
  tls: null,
};

function begun(t: TestContext) {
  const layout = layoutOf(temporaryDirectory(t));
  fs.mkdirSync(layout.state);
  const told: string[] = [];
  const clock = { now: 0 };
  const parsed = parseRelayEntry('smtp://user:secret@relay.example:587', 'smarthost');
  assert.ok(parsed.kind !== 'bad');
  const alerts = new Alerts(
    nodeDisk,
    layout,
    () => clock.now,
    (text) => told.push(text),
  );
  const trace = traceFor([new RelayAlerts([parsed.relay], alerts).observer]);
  return { told, clock, relays: { observe: (event: TraceEvent) => trace([], event) } };
}

test('a relay that rejects our login is told once, until it takes mail', (t) => {
  const { told, relays } = begun(t);
  for (let run = 0; run < 3; run++) relays.observe(failed('auth', 535, '5.7.8 wrong password'));
  assert.deepEqual(told, [
    'The relay relay.example [192.0.2.1]:587 rejects our login (535 5.7.8 wrong password). Mail that needs it waits. Correct its user name and password in the settings.',
  ]);
  relays.observe(answered);
  relays.observe(failed('auth', 535, '5.7.8 wrong password'));
  assert.equal(told.length, 2);
});

test('a relay that takes no mail for others from us is told once, and is not there for it (R275)', (t) => {
  const { told, relays } = begun(t);
  const text = '5.7.1 <a@far.example>: Relay access denied';
  const refused = {
    ...accepted,
    kind: 'failed',
    scope: 'recipient',
    stage: 'rcpt',
    permanent: false,
  } as const;
  const outcome: Outcome = { ...refused, code: 554, text, enhanced: '4.7.1', maybeDelivered: false };
  for (let run = 0; run < 3; run++) relays.observe({ ...answered, outcome, recorded: outcome } as TraceEvent);
  assert.deepEqual(told, [
    'The relay relay.example [192.0.2.1]:587 does not pass on mail from us (554 5.7.1 <a@far.example>: Relay access denied). Mail that needs it waits. Give its entry in the settings a user name and a password, or let it accept this machine.',
  ]);
  relays.observe(failed('mail', 530, '5.7.0 authentication required'));
  assert.equal(told.length, 1);
});

test('a certificate that is not accepted is told at once', (t) => {
  const { told, relays } = begun(t);
  relays.observe(failed('handshake', null, 'TLS failed: the certificate has expired'));
  assert.match(
    told.join(),
    /protection that the settings demand \(TLS failed: the certificate has expired\)/,
  );
});

test('name servers that do not answer for an hour are told once, until one answers', (t) => {
  const { told, clock, relays } = begun(t);
  const asked = (fault: LookupError): TraceEvent => ({
    what: 'lookup',
    question: 'mx',
    name: 'one.example',
    answer: { kind: 'failed', fault },
  });
  relays.observe(asked('timeout'));
  clock.now = HOUR - 1;
  relays.observe(asked('no-domain'));
  relays.observe(asked('timeout'));
  clock.now = 2 * HOUR - 2;
  relays.observe(asked('local-fault'));
  assert.deepEqual(told, []);
  for (clock.now = 2 * HOUR; clock.now < 3 * HOUR; clock.now += 600) relays.observe(asked('local-fault'));
  assert.match(
    told.join('\n'),
    /^For more than an hour no name server has answered \(they cannot be reached .*$/,
  );
  relays.observe(asked('server-failure'));
  relays.observe(asked('timeout'));
  clock.now += HOUR;
  relays.observe(asked('timeout'));
  assert.equal(told.length, 2);
});

test('a relay that is away is told after an hour, unless it took mail in between', (t) => {
  const { told, clock, relays } = begun(t);
  const away = failed('connect', null, 'refused the connection');
  relays.observe(away);
  clock.now = HOUR - 1;
  relays.observe(away);
  relays.observe(answered);
  relays.observe(failed('auth', 454, 'try later'));
  clock.now = 2 * HOUR - 2;
  relays.observe(away);
  assert.deepEqual(told, []);
  clock.now = 2 * HOUR;
  relays.observe(away);
  relays.observe(away);
  assert.equal(told.length, 1);
  assert.match(
    told.join(),
    /^The relay .* has taken no mail for more than an hour \(refused the connection\)/,
  );
});

test('a relay whose name is gone is away; another host does not matter', (t) => {
  const { told, clock, relays } = begun(t);
  const gone = (name: string): TraceEvent => ({
    ...{ what: 'lookup', question: 'a', name },
    answer: { kind: 'failed', fault: 'no-domain' },
  });
  for (const name of ['relay.example', 'mx.example']) relays.observe(gone(name));
  relays.observe(failed('auth', 535, 'no', { ...peer, host: 'mx.example' }));
  clock.now = HOUR;
  for (const name of ['relay.example', 'mx.example']) relays.observe(gone(name));
  assert.equal(told.length, 1);
  assert.match(told.join(), /^The relay relay\.example has taken no mail .*cannot be looked up: no-domain/);
});
