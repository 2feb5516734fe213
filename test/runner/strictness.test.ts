/** Whatever the settings say together: mail never leaves less protected than any word that holds for it demands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unknown8bit } from '../../src/message/charset.ts';
import type { Host, Protection } from '../../src/routing/hosts.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import type { DestinationEntry } from '../../src/settings/destinations.ts';
import { readSettings } from '../../src/settings/read.ts';

const NAME = 'a.x.example';
const PINS = ['ab'.repeat(32), 'CD:'.repeat(31).concat('CD')] as const;

/** Patterns, and whether they fit the host, the recipient `d.example` or the sender `u@s.example`. */
const HOSTS: readonly (readonly [string, boolean])[] = [
  ...([
    [NAME, true],
    ['A.X.Example', true],
    ['a.x.example.', true],
    ['*.x.example', true],
  ] as const),
  ...([
    ['*.example', true],
    ['*', true],
    ['x.example', false],
    ['b.x.example', false],
  ] as const),
  ...([['*.a.x.example', false]] as const),
];
const DOMAINS: readonly (readonly [string, boolean])[] = [
  ...([
    ['d.example', true],
    ['D.Example', true],
    ['*', true],
    ['*.d.example', false],
    ['e.example', false],
  ] as const),
];
const SENDERS: readonly (readonly [string, boolean])[] = [
  ...([
    ['u@s.example', true],
    ['s.example', true],
    ['*', true],
    ['<>', false],
    ['v@s.example', false],
  ] as const),
];

interface Word {
  readonly entry: { readonly [name: string]: unknown };
  readonly holds: boolean;
}

const pattern = (of: readonly (readonly [string, boolean])[]) =>
  fc.option(fc.constantFrom(...of), { nil: undefined, freq: 3 });

const word: fc.Arbitrary<Word> = fc
  .record({
    host: pattern(HOSTS),
    to: pattern(DOMAINS),
    from: pattern(SENDERS),
    says: fc.constantFrom<{ readonly [name: string]: unknown }>(
      ...[{ tls: 'require' }, { tls: 'opportunistic' }, { tls: 'none' }, { 'auth-in-clear': true }],
      ...[{ 'extension-off': ['STARTTLS'] }, { 'tls-pin': [PINS[0]] }, { 'tls-pin': [PINS[1]] }],
    ),
  })
  .filter(({ host, to, from }) => (host ?? to ?? from) !== undefined)
  .map(({ host, to, from, says }) => ({
    entry: {
      ...(host === undefined ? {} : { host: host[0] }),
      ...(to === undefined ? {} : { to: to[0] }),
      ...(from === undefined ? {} : { from: from[0] }),
      ...says,
    },
    holds: [host, to, from].every((each) => each?.[1] ?? true),
  }));

const protection: fc.Arbitrary<Protection | undefined> = fc.constantFrom<Protection | undefined>(
  ...[undefined, { demands: 'pkix' as const }, { demands: 'encryption' as const }],
  { demands: 'pkix', required: true },
);

/** `host` as it was written, here one pattern. */
const isExactly = (host: unknown): boolean => /^a\.x\.example\.?$/i.test(String(host));

test('no looser word, no policy left out and no broken handshake goes before a stricter one', () => {
  let usable = 0;
  const property = fc.property(
    fc.array(word, { maxLength: 4 }),
    fc.record({
      tls: fc.constantFrom('none', 'opportunistic', 'require'),
      'relay-tls': fc.constantFrom('auto', 'none', 'opportunistic', 'require'),
    }),
    fc.constantFrom<Partial<Host>>(
      ...[{}, { origin: 'smarthost' as const }, { origin: 'fallbackhost' as const, implicitTls: true }],
      { origin: 'smarthost', credentials: { user: 'u', password: 'p' } },
    ),
    protection,
    fc.boolean(),
    (words, general, kind, demanded, withoutTls) => {
      const read = readSettings({ ...general, destinations: words.map(({ entry }) => entry) });
      // Contradictions are errors, and nothing is sent.
      if (!read.ok) return;
      usable++;
      const config = {
        ...{ hostname: 'me.example', ehloName: 'me.example', relays: [], charset: unknown8bit },
        ...{ certificates: ['CA'], signer: null, warnings: [], interfaces: [] },
      };
      const rules = rulesFrom(read.settings, config).delivery;
      const entries = rules.routing.destinations.ofMail('d.example', 'u@s.example');
      const policed = kind.origin === undefined && demanded !== undefined;
      const host: Host = {
        ...{
          name: NAME,
          literal: null,
          port: 25,
          origin: 'mx',
          preference: 10,
          credentials: null,
          implicitTls: false,
        },
        ...{ entries, ...kind, ...(policed ? { protection: demanded } : {}) },
      };
      const policy = rules.policyFor(host, withoutTls);
      const options = rules.tlsFor(host);
      const said = words.filter(({ holds }) => holds).map(({ entry }) => entry as DestinationEntry);
      const pins = said.flatMap((entry) => entry['tls-pin'] ?? []);
      const isStrict = pins.length > 0 || said.some(({ tls }) => tls === 'require');
      // An entry that names the host goes before what is published, not before what the message says (REQUIRETLS).
      const isNamed = said.some(({ tls, host: named }) => tls !== undefined && isExactly(named));
      const isPoliced = policed && (demanded.required === true || !isNamed);
      const isSecured = policy.tls === 'require' || policy.tls === 'implicit';
      if (isStrict) assert.ok(isSecured, `${policy.tls} where a word demands TLS`);
      if (said.some(({ tls }) => tls === 'require')) assert.equal(options.verify, true);
      assert.equal(new Set(options.pins ?? []).size, new Set(pins).size, 'pins');
      if (isPoliced) assert.ok(isSecured, `${policy.tls} where a policy demands TLS`);
      if (isPoliced && demanded.demands === 'pkix' && pins.length === 0) assert.equal(options.verify, true);
    },
  );
  fc.assert(property, { numRuns: 3000 });
  assert.ok(usable > 500, `${usable} without contradiction`);
});
