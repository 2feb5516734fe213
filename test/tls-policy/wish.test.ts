/** What messages say of their TLS (RFC 8689), as deliveries in scripted worlds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerScript } from '../../src/replay/world/server.ts';
import type { WorldScript, Zone } from '../../src/replay/world/world.ts';
import { isProved, tlsWish } from '../../src/tls-policy/wish.ts';
import { deliver, type TestMessage } from '../delivery/scheduling.ts';
import { rulesOf, settingsWith } from '../replay/recording.ts';

const TAKES: ServerScript = { ehlo: '250-mx\n250-STARTTLS\n250 REQUIRETLS' };
const TLS: ServerScript = { ehlo: '250-mx\n250 STARTTLS' };
const CLEAR: ServerScript = { ehlo: '250-mx\n250 REQUIRETLS' };
const wrong = { certificate: 'wrong' } as const;
const ENFORCE: Zone = { sts: { mode: 'enforce', mx: ['mx.a.example'] } };
const TESTING: Zone = { sts: { mode: 'testing', mx: ['mx.a.example'] } };
const SIGNED: Zone = { secure: true };
const MX = [[10, 'mx.a.example']] as const;

function world(domain: Zone, server: ServerScript, tlsa: Zone = { tlsa: 'no-data' }): WorldScript {
  return {
    names: {
      'a.example': { mx: MX, ...domain },
      'mx.a.example': { a: ['192.0.2.1'], ...(domain.secure === undefined ? {} : { secure: true }) },
      '_25._tcp.mx.a.example': { secure: true, ...tlsa },
    },
    servers: { '192.0.2.1': server },
  };
}

const TO = ['you@a.example'];
const REQUIRED: TestMessage = { to: TO, requireTls: true };
const WAIVED: TestMessage = { to: TO, text: 'Subject: x\r\nTLS-Required: No\r\n\r\nhello\r\n' };
const REPORT: TestMessage = { ...REQUIRED, sender: '' };
const BOTH: TestMessage = { ...WAIVED, requireTls: true };

interface Case {
  readonly name: string;
  readonly message: TestMessage;
  readonly world: WorldScript;
  readonly settings?: { readonly [name: string]: unknown };
  readonly outcome: RegExp;
  /** parameters of MAIL; null: it is not sent */
  readonly mail?: string | null;
}

const CASES: readonly Case[] = [
  {
    name: 'REQUIRETLS is passed on over a connection that an enforced policy proves',
    message: REQUIRED,
    world: world(ENFORCE, TAKES),
    outcome: /^2 /,
    mail: ' REQUIRETLS',
  },
  {
    name: 'REQUIRETLS under a signed MX record: a certificate that holds is enough',
    message: REQUIRED,
    world: world(SIGNED, TAKES),
    outcome: /^2 /,
    mail: ' REQUIRETLS',
  },
  {
    name: 'REQUIRETLS under DANE: the records decide',
    message: REQUIRED,
    world: world(SIGNED, { ...TAKES, ...wrong }, { tlsa: [`3 1 1 ${'ab'.repeat(32)}`] }),
    outcome: /^4 .*does not match its TLSA records/,
    mail: null,
  },
  {
    name: 'REQUIRETLS and a policy in testing: what is listed is proved, and the certificate counts',
    message: REQUIRED,
    world: world(TESTING, { ...TAKES, ...wrong }),
    outcome: /^4 4\.7\.5 TLS failed/,
    mail: null,
  },
  {
    name: 'REQUIRETLS and unusable TLSA records: encryption is not enough',
    message: REQUIRED,
    world: world(SIGNED, { ...TAKES, ...wrong }, { tlsa: [`1 1 1 ${'ab'.repeat(32)}`] }),
    outcome: /^4 4\.7\.5 TLS failed/,
    mail: null,
  },
  {
    name: 'REQUIRETLS and hosts that nothing proves',
    message: REQUIRED,
    world: world({}, TAKES),
    outcome: /^5 5\.7\.10 .*neither DNSSEC nor MTA-STS proves that mx.a.example is a mail host of a.example/,
    mail: null,
  },
  {
    name: 'REQUIRETLS and a host that does not offer it',
    message: REQUIRED,
    world: world(ENFORCE, TLS),
    outcome: /^5 5\.7\.30 .*does not promise that/,
    mail: null,
  },
  {
    name: 'REQUIRETLS and a host without STARTTLS',
    message: REQUIRED,
    world: world(ENFORCE, CLEAR),
    outcome: /^5 5\.7\.10 offers no STARTTLS/,
    mail: null,
  },
  {
    name: 'REQUIRETLS goes before a setting about the host',
    message: REQUIRED,
    world: world(ENFORCE, { ...TAKES, ...wrong }),
    settings: { 'tls-host': ['mx.a.example=opportunistic'] },
    outcome: /^4 4\.7\.5 TLS failed/,
    mail: null,
  },
  {
    name: 'REQUIRETLS over a relay: its certificate is verified, whatever the settings say of relays',
    message: REQUIRED,
    world: {
      names: { 'relay.example': { a: ['192.0.2.1'] } },
      servers: { '192.0.2.1': { ...TAKES, ...wrong } },
    },
    settings: { smarthost: ['relay.example'], 'relay-tls': 'opportunistic' },
    outcome: /^4 4\.7\.5 TLS failed/,
    mail: null,
  },
  {
    name: 'a report goes without REQUIRETLS where it must, and in clear text',
    message: REPORT,
    world: world({}, CLEAR),
    outcome: /^2 /,
    mail: '',
  },
  {
    name: 'a report says REQUIRETLS where a policy demands what that demands',
    message: REPORT,
    world: world(ENFORCE, TAKES),
    outcome: /^2 /,
    mail: ' REQUIRETLS',
  },
  {
    name: 'a report goes to a host that refuses the parameter it offers',
    message: REPORT,
    world: world(ENFORCE, { ...TAKES, mail: ['555 5.5.4 what?', '250 ok'] }),
    outcome: /^2 /,
  },
  {
    name: 'TLS-Required: No: an enforced policy is not asked for, and clear text will do',
    message: WAIVED,
    world: world(ENFORCE, { ehlo: '250 mx' }),
    outcome: /^2 /,
    mail: '',
  },
  {
    name: 'TLS-Required: No: TLSA records that do not match harm nobody',
    message: WAIVED,
    world: world(SIGNED, { ...TLS, ...wrong }, { tlsa: [`3 1 1 ${'ab'.repeat(32)}`] }),
    outcome: /^2 /,
  },
  {
    name: 'TLS-Required: No does not waive what the settings say',
    message: WAIVED,
    world: world(ENFORCE, { ...TLS, ...wrong }),
    settings: { 'tls-host': ['mx.a.example=require'] },
    outcome: /^4 4\.7\.5 TLS failed/,
    mail: null,
  },
  {
    name: 'TLS-Required: No does not count beside REQUIRETLS',
    message: BOTH,
    world: world(ENFORCE, TLS),
    outcome: /^5 5\.7\.30 /,
    mail: null,
  },
];

for (const { name, message, world: script, settings = {}, outcome, mail } of CASES)
  test(name, async () => {
    const { outcomes, commands } = await deliver(script, [message], rulesOf(settingsWith(settings)).delivery);
    const [end] = outcomes.map(({ outcome: is }) =>
      is.kind === 'delivered' ? `2 ${is.text}` : `${is.permanent ? 5 : 4} ${is.enhanced} ${is.text}`,
    );
    assert.match(end ?? '', outcome);
    const said = commands.filter((line) => line.startsWith('MAIL'));
    if (mail === null) assert.deepEqual(said, []);
    else if (mail !== undefined)
      assert.deepEqual(said, [`MAIL FROM:<${message.sender ?? 'me@me.example'}>${mail}`]);
  });

test('messages with and without a wish to one domain share no session, in whatever order they come', async () => {
  const plain: TestMessage = { to: TO };
  const messages = [WAIVED, plain, WAIVED, plain, plain, WAIVED];
  const script = world(ENFORCE, { ...TLS, ...wrong });
  const rules = rulesOf(settingsWith({ 'limit.destination': '1' })).delivery;
  const { outcomes } = await deliver(script, messages, rules);
  const ends = outcomes.map(({ outcome }) => outcome.kind).sort();
  assert.deepEqual(ends, ['delivered', 'delivered', 'delivered', 'failed', 'failed', 'failed']);
});

test('a host that has no STARTTLS for a message that demands TLS still gets the others', async () => {
  const messages = [REQUIRED, { to: TO }, REQUIRED, { to: TO }];
  const rules = rulesOf(settingsWith({ 'limit.destination': '1' })).delivery;
  const { outcomes } = await deliver(world(TESTING, CLEAR), messages, rules);
  assert.deepEqual(outcomes.map(({ outcome }) => outcome.kind).sort(), [
    'delivered',
    'delivered',
    'failed',
    'failed',
  ]);
});

test('the word in the header is No alone; REQUIRETLS goes before it', () => {
  assert.equal(tlsWish(false, 'no'), 'waived');
  for (const other of ['Yes', '', 'No way', null]) assert.equal(tlsWish(false, other), null);
  assert.equal(tlsWish(true, 'No'), 'required');
});

test('a host is proved by DNSSEC or by a policy that lists it', () => {
  const host = { name: 'mx', literal: null, port: 25, preference: 1, credentials: null, implicitTls: false };
  const of = { domain: 'a.example' };
  assert.equal(isProved({ ...host, origin: 'mx' }), false);
  assert.equal(isProved({ ...host, origin: 'mx', policy: { ...of, secure: true } }), true);
  assert.equal(isProved({ ...host, origin: 'mx', policy: { ...of, sts: 'testing' } }), true);
  assert.equal(isProved({ ...host, origin: 'mx', policy: { ...of, sts: 'testing', unlisted: true } }), false);
  assert.equal(isProved({ ...host, origin: 'smarthost' }), true);
});
