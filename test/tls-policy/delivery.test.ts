/**
 * What deliveries do under DANE and MTA-STS, in scripted worlds: the double of what test/tls-policy/real-servers.ts shows with
 * BIND, unbound and an HTTPS server.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTranscript } from '../../src/replay/transcript/compare.ts';
import { recordedWorld } from '../../src/replay/world/recorded-world.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import type { WorldScript, Zone } from '../../src/replay/world/world.ts';
import { deliver } from '../delivery/scheduling.ts';
import { queuedFor, record, rulesOf, settingsWith, transcriptOf } from '../replay/recording.ts';

const TLS: ServerScript = { ehlo: '250-mx\n250 STARTTLS' };
const CLEAR: ServerScript = { ehlo: '250 mx' };
const USABLE = [`3 1 1 ${'ab'.repeat(32)}`];
const UNUSABLE = [`1 1 1 ${'ab'.repeat(32)}`];
const ENFORCE = { mode: 'enforce', mx: ['mx.a.example'] } as const;
const TESTING = { mode: 'testing', mx: ['mx.a.example'] } as const;

interface Setup {
  readonly domain?: Zone;
  readonly host?: Zone;
  readonly tlsa?: Zone;
  readonly server?: ServerScript;
}

/** One domain with one host, signed as a whole. */
function world({ domain = {}, host = {}, tlsa = { tlsa: 'no-data' }, server = TLS }: Setup): WorldScript {
  return {
    names: {
      'a.example': { mx: [[10, 'mx.a.example']], secure: true, ...domain },
      'mx.a.example': { a: ['192.0.2.1'], secure: true, ...host },
      '_25._tcp.mx.a.example': { secure: true, ...tlsa },
    },
    servers: { '192.0.2.1': server },
  };
}

interface Told {
  /** `delivered`, `deferred` or `refused`, and the text */
  readonly outcome: string;
  readonly commands: readonly string[];
  readonly lookups: readonly string[];
}

async function send(script: WorldScript, given: { readonly [name: string]: unknown } = {}): Promise<Told> {
  const rules = rulesOf(settingsWith(given)).delivery;
  const run = await deliver(script, [{ to: ['you@a.example'] }], rules);
  const [first] = run.outcomes;
  assert.equal(run.outcomes.length, 1);
  const outcome = first?.outcome;
  const how = outcome?.kind === 'delivered' ? 'delivered' : outcome?.permanent ? 'refused' : 'deferred';
  return { outcome: `${how}: ${outcome?.text}`, commands: run.commands, lookups: run.world.lookups };
}

const MISMATCH = /^deferred: TLS failed: the server's certificate does not match its TLSA records/;
const wrong = { ...TLS, certificate: 'wrong' } as const;

const CASES: readonly {
  readonly name: string;
  readonly world: WorldScript;
  readonly outcome: RegExp;
  readonly settings?: { readonly [name: string]: unknown };
  /** STARTTLS is used and mail does not go in clear text */
  readonly encrypted?: boolean;
}[] = [
  {
    name: 'TLSA records match',
    world: world({ tlsa: { tlsa: USABLE } }),
    outcome: /^delivered/,
    encrypted: true,
  },
  {
    name: 'statement 1: a TLSA mismatch is not made good by a valid MTA-STS policy',
    world: world({ tlsa: { tlsa: USABLE }, domain: { sts: ENFORCE }, server: wrong }),
    outcome: MISMATCH,
  },
  {
    name: 'TLSA records and no STARTTLS: nothing in clear text',
    world: world({ tlsa: { tlsa: USABLE }, server: CLEAR }),
    outcome: /^deferred: offers no STARTTLS/,
  },
  {
    name: 'statement 4: an MX outside the enforced policy is left out, and with it the domain: temporary',
    world: world({ domain: { sts: { mode: 'enforce', mx: ['other.example'] } } }),
    outcome: /^deferred: the MTA-STS policy of a.example lists none of its mail hosts \(mx.a.example\)$/,
  },
  {
    name: 'statement 4: in testing such an MX gets its mail',
    world: world({ domain: { sts: { mode: 'testing', mx: ['other.example'] } }, server: wrong }),
    outcome: /^delivered/,
  },
  {
    name: 'an enforced policy and a wrong certificate: temporary',
    world: world({ domain: { sts: ENFORCE }, server: wrong }),
    outcome: /^deferred: TLS failed: certificate has expired/,
  },
  {
    name: 'an enforced policy and no STARTTLS: temporary, nothing in clear text',
    world: world({ domain: { sts: ENFORCE }, server: CLEAR }),
    outcome: /^deferred: offers no STARTTLS/,
  },
  {
    name: 'an enforced policy and a broken handshake: nothing in clear text',
    world: world({ domain: { sts: ENFORCE }, server: { ...TLS, tlsBroken: true } }),
    outcome: /^deferred: TLS failed/,
  },
  {
    name: 'a policy in testing and a broken handshake: clear text, as without a policy',
    world: world({ domain: { sts: TESTING }, server: { ...TLS, tlsBroken: true } }),
    outcome: /^delivered/,
  },
  {
    name: 'mode none: as without a policy',
    world: world({ domain: { sts: { mode: 'none', mx: [] } }, server: wrong }),
    outcome: /^delivered/,
  },
  {
    name: 'statement 6: an MX record that is not signed: TLSA is not asked, so its failure harms nobody',
    world: world({ domain: { secure: [] }, tlsa: { tlsa: 'server-failure' } }),
    outcome: /^delivered/,
  },
  {
    name: 'addresses that are not signed: TLSA is not asked',
    world: world({ host: { secure: [] }, tlsa: { tlsa: 'server-failure' } }),
    outcome: /^delivered/,
  },
  {
    name: 'statement 7: signed MX and address, and a failure for TLSA: deferred',
    world: world({ tlsa: { tlsa: 'server-failure' } }),
    outcome: /^deferred: the TLSA records of mx.a.example cannot be looked up/,
  },
  {
    name: 'statement 7: so without an answer in time, although a policy is in testing',
    world: world({ domain: { sts: TESTING }, tlsa: { tlsa: 'timeout' } }),
    outcome: /^deferred: the TLSA records/,
  },
  {
    name: 'statement 7: an NXDOMAIN that is not secure is no DANE',
    world: world({ tlsa: { tlsa: 'no-domain', secure: [] }, server: CLEAR }),
    outcome: /^delivered/,
  },
  {
    name: 'TLSA records that are not secure are nobody’s word',
    world: world({ tlsa: { tlsa: USABLE, secure: [] }, server: wrong }),
    outcome: /^delivered/,
  },
  {
    name: 'statement 8: only unusable records: STARTTLS is mandatory, the certificate unchecked',
    world: world({ tlsa: { tlsa: UNUSABLE }, server: wrong }),
    outcome: /^delivered/,
    encrypted: true,
  },
  {
    name: 'statement 8: only unusable records and no STARTTLS: deferred',
    world: world({ tlsa: { tlsa: UNUSABLE }, server: CLEAR }),
    outcome: /^deferred: offers no STARTTLS/,
  },
  {
    name: 'statement 8: MTA-STS may add the check of the certificate',
    world: world({ tlsa: { tlsa: UNUSABLE }, domain: { sts: ENFORCE }, server: wrong }),
    outcome: /^deferred: TLS failed: certificate has expired/,
  },
  {
    name: 'a setting about the host counts instead of its policies',
    world: world({ tlsa: { tlsa: USABLE }, domain: { sts: ENFORCE }, server: CLEAR }),
    settings: { 'tls-host': ['mx.a.example=opportunistic'] },
    outcome: /^delivered/,
  },
];

/** What an entry of `destinations` says beside what the domain publishes: the stricter counts, unless it names the host. */
const ENTRIES: readonly {
  readonly entries: readonly { readonly [word: string]: unknown }[];
  readonly publishes: 'dane' | 'enforce' | 'unusable' | 'nothing';
  /** has a certificate that nobody proves, or no STARTTLS */
  readonly server: 'wrong' | 'clear';
  readonly isDelivered: boolean;
}[] = [
  ...(['dane', 'enforce', 'unusable'] as const).flatMap((publishes) =>
    [{ host: '*.a.example' }, { host: '*' }, { to: 'a.example' }, { from: '*' }].flatMap((of) =>
      (['none', 'opportunistic'] as const).map((tls) => ({
        ...{ entries: [{ ...of, tls }], publishes, server: 'clear' as const, isDelivered: false },
      })),
    ),
  ),
  ...(['dane', 'enforce', 'unusable'] as const).flatMap((publishes) =>
    (['none', 'opportunistic'] as const).map((tls) => ({
      ...{ entries: [{ host: 'mx.a.example', tls }], publishes, server: 'clear' as const, isDelivered: true },
    })),
  ),
  // An entry that names the host and says nothing of TLS leaves the policies as they are.
  {
    entries: [
      { host: '*.a.example', tls: 'none' },
      { host: 'mx.a.example', family: 'ipv4' },
    ],
    ...{ publishes: 'enforce', server: 'clear', isDelivered: false },
  },
  // Of two entries the stricter counts, whichever names the host.
  {
    entries: [
      { host: 'mx.a.example', tls: 'opportunistic' },
      { to: 'a.example', tls: 'require' },
    ],
    ...{ publishes: 'enforce', server: 'wrong', isDelivered: false },
  },
  // A pattern makes stricter what is published, and what is not.
  {
    entries: [{ host: '*.a.example', tls: 'require' }],
    publishes: 'unusable',
    server: 'wrong',
    isDelivered: false,
  },
  {
    entries: [{ to: 'a.example', tls: 'require' }],
    publishes: 'nothing',
    server: 'wrong',
    isDelivered: false,
  },
  {
    entries: [{ to: 'a.example', tls: 'opportunistic' }],
    publishes: 'nothing',
    server: 'wrong',
    isDelivered: true,
  },
];

const PUBLISHED: { readonly [what in (typeof ENTRIES)[number]['publishes']]: Setup } = {
  dane: { tlsa: { tlsa: USABLE } },
  enforce: { domain: { sts: ENFORCE } },
  unusable: { tlsa: { tlsa: UNUSABLE } },
  nothing: { domain: { secure: [] } },
};

for (const { entries, publishes, server, isDelivered } of ENTRIES)
  test(`${JSON.stringify(entries)} beside ${publishes}, ${server}`, async () => {
    const script = world({ ...PUBLISHED[publishes], server: server === 'wrong' ? wrong : CLEAR });
    const { outcome, commands } = await send(script, { destinations: entries });
    assert.equal(outcome.split(':')[0], isDelivered ? 'delivered' : 'deferred', outcome);
    if (!isDelivered) assert.ok(!commands.some((line) => line.startsWith('MAIL')));
  });

for (const { name, world: script, outcome, settings, encrypted } of CASES)
  test(name, async () => {
    const told = await send(script, settings);
    assert.match(told.outcome, outcome);
    if (encrypted === true) assert.ok(told.commands.includes('STARTTLS'));
    if (outcome.source.startsWith('^deferred'))
      assert.ok(!told.commands.some((line) => line.startsWith('MAIL')));
  });

test('TLSA records are asked for at the end of the aliases, then at the name itself (RFC 7672 2.2.2)', async () => {
  const script = world({ host: { canonical: 'real.a.example' }, tlsa: { tlsa: USABLE } });
  const names = { ...script.names, '_25._tcp.real.a.example': { tlsa: 'no-data', secure: true } as const };
  const { outcome, lookups } = await send({ ...script, names });
  assert.match(outcome, /^delivered/);
  assert.deepEqual(
    lookups.filter((lookup) => lookup.startsWith('tlsa')),
    ['tlsa _25._tcp.real.a.example', 'tlsa _25._tcp.mx.a.example'],
  );
});

test('a host that fails its TLSA records is followed by the next one', async () => {
  const { names, servers } = world({ tlsa: { tlsa: USABLE }, server: wrong });
  const mx = [[10, 'mx.a.example'] as const, [20, 'mx2.a.example'] as const];
  const second = { a: ['192.0.2.2'], secure: true } as const;
  const { outcome } = await send({
    names: { ...names, 'a.example': { mx, secure: true }, 'mx2.a.example': second },
    servers: { ...servers, '192.0.2.2': TLS },
  });
  assert.match(outcome, /^delivered/);
});

test('statement 10: domains that share a host share no session where one of them enforces, nor the way into clear text', async () => {
  const shared: Zone = { mx: [[10, 'mx.a.example']] };
  const script: WorldScript = {
    names: {
      'a.example': { ...shared, sts: ENFORCE },
      'b.example': shared,
      'c.example': shared,
      'mx.a.example': { a: ['192.0.2.1'] },
    },
    servers: { '192.0.2.1': { ...TLS, tlsBroken: true } },
  };
  const messages = ['b', 'c', 'a', 'b', 'a'].map((name) => ({ to: [`you@${name}.example`] }));
  const run = await deliver(script, messages, rulesOf(settingsWith()).delivery);
  const ends = run.outcomes.map(({ address, outcome }) => `${address} ${outcome.kind}`).sort();
  assert.deepEqual(ends, [
    'you@a.example failed',
    'you@a.example failed',
    'you@b.example delivered',
    'you@b.example delivered',
    'you@c.example delivered',
  ]);
  const whole = await deliver(
    { ...script, servers: { '192.0.2.1': TLS } },
    messages,
    rulesOf(settingsWith()).delivery,
  );
  assert.ok(whole.outcomes.every(({ outcome }) => outcome.kind === 'delivered'));
  assert.ok(whole.world.connections >= 2, 'the domain that enforces has its own session');
});

test('statement 10: relays are judged by relay rules, not by the policy of the recipient', async () => {
  const script = world({ domain: { sts: ENFORCE } });
  const relay = { a: ['192.0.2.9'] };
  const { outcome, lookups } = await send(
    { names: { ...script.names, 'relay.example': relay }, servers: { '192.0.2.9': CLEAR } },
    { smarthost: ['relay.example'] },
  );
  assert.match(outcome, /^delivered/);
  assert.deepEqual(
    lookups.filter((lookup) => /^(?:sts|tlsa|mx)/.test(lookup)),
    [],
  );
});

const RECORDED: readonly (readonly [what: string, world: WorldScript, verified: string | null])[] = [
  ['proved by DANE', world({ tlsa: { tlsa: USABLE }, host: { canonical: 'mx.a.example' } }), 'dane'],
  ['under an enforced policy', world({ domain: { sts: ENFORCE } }), 'sts'],
  ['with a valid certificate that nobody asked for', world({ domain: { sts: TESTING } }), 'pkix'],
  ['with a certificate that proves nothing', world({ server: wrong }), 'nobody'],
  ['in clear text', world({ server: CLEAR }), null],
  ['that failed its policy', world({ domain: { sts: { mode: 'enforce', mx: ['b.example'] } } }), null],
];

for (const [what, script, verified] of RECORDED)
  test(`a delivery ${what} says so in its transcript, and a replay decides the same`, async () => {
    const first = await record(queuedFor('you@a.example'), script, {}, 'all');
    const transcript = transcriptOf(first.transcripts[0]);
    assert.equal(compareTranscript(transcript), null);
    const again = await record(queuedFor('you@a.example'), recordedWorld(transcript), {}, 'all');
    const ends = [transcript, transcriptOf(again.transcripts[0])].map(({ lines }) =>
      lines.flatMap((line) => (line.what === 'outcome' ? [{ ...line, t: 0 }] : [])),
    );
    assert.deepEqual(ends[1], ends[0]);
    assert.equal(ends[0]?.[0]?.tls?.verified ?? null, verified);
  });
