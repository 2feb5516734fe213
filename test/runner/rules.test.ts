import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unknown8bit } from '../../src/message/charset.ts';
import type { Host } from '../../src/routing/hosts.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import { EXTENSIONS } from '../../src/smtp/capabilities.ts';

function host(name: string, more: Partial<Host> = {}): Host {
  return {
    name,
    literal: null,
    port: 25,
    origin: 'mx',
    preference: 10,
    credentials: null,
    implicitTls: false,
    ...more,
  };
}

function rulesWith(given: object) {
  const read = readSettings({ ...given });
  assert.ok(read.ok, JSON.stringify(read));
  return rulesFrom(read.settings, {
    hostname: 'me.example',
    ehloName: 'me.example',
    relays: [],
    charset: unknown8bit,
    certificates: ['CA'],
    signer: null,
    warnings: [],
    interfaces: [],
  }).delivery;
}

const credentials = { user: 'u', password: 'p' };

describe('TLS by host', () => {
  const rules = rulesWith({
    'tls-host': ['Strict.Example=require', 'never.example=none'],
    'tls-pin': [`Pinned.example=${'ab'.repeat(32)}`],
  });
  for (const [name, given, policy, verify] of [
    ['an MX host: where offered, any certificate', host('mx.example'), 'opportunistic', false],
    ['a host that is named strict', host('strict.example'), 'require', true],
    ['the same in other letters', host('STRICT.example'), 'require', true],
    ['a host with a pin: clear text is no way around it', host('pinned.example'), 'require', true],
    [
      'a host that is named otherwise',
      host('never.example', { origin: 'smarthost', credentials }),
      'none',
      true,
    ],
    ['a relay without credentials', host('relay.example', { origin: 'smarthost' }), 'opportunistic', false],
    [
      'a relay that is given a password',
      host('relay.example', { origin: 'smarthost', credentials }),
      'require',
      true,
    ],
    ['smtps', host('relay.example', { origin: 'smarthost', implicitTls: true }), 'implicit', true],
  ] as const) {
    it(`${name}: ${policy}`, () => {
      assert.equal(rules.policyFor(given, false).tls, policy);
      assert.equal(rules.tlsFor(given).verify, verify);
    });
  }

  it('after a broken handshake there is no second one', () => {
    assert.equal(rules.policyFor(host('mx.example'), true).tls, 'none');
    assert.equal(
      rules.policyFor(host('pinned.example'), true).tls,
      'require',
      'nor clear text where TLS is demanded',
    );
  });

  it('pins and CAs reach the handshake', () => {
    assert.deepEqual(rules.tlsFor(host('pinned.example')), {
      serverName: 'pinned.example',
      verify: true,
      ca: ['CA'],
      pins: ['ab'.repeat(32)],
    });
  });
});

describe('credentials in clear', () => {
  it('only to hosts that are named', () => {
    const rules = rulesWith({ 'auth-in-clear': ['Old.example'] });
    assert.equal(rules.policyFor(host('old.example', { credentials }), false).authInClear, true);
    assert.equal(rules.policyFor(host('new.example', { credentials }), false).authInClear, false);
  });
});

it('extensions are left out by host, and everywhere with * (R148)', () => {
  const rules = rulesWith({ 'extension-off': ['*=DSN', 'Old.example=CHUNKING'] });
  assert.deepEqual(rules.policyFor(host('old.example'), false).without, ['DSN', 'CHUNKING']);
  assert.deepEqual(rules.policyFor(host('new.example'), false).without, ['DSN']);
  assert.equal(rulesWith({}).policyFor(host('old.example'), false).without, undefined);
  for (const extension of EXTENSIONS)
    assert.deepEqual(rulesWith({ 'extension-off': [`h=${extension}`] }).policyFor(host('h'), false).without, [
      extension,
    ]);
  assert.ok(!readSettings({ 'extension-off': ['h=CHUNKIN'] }).ok);
});

it('a mechanism is named by host (R150)', () => {
  const rules = rulesWith({ 'auth-mechanism': ['Relay.example=XOAUTH2'] });
  assert.equal(rules.policyFor(host('relay.example'), false).mechanism, 'XOAUTH2');
  assert.equal(rules.policyFor(host('mx.example'), false).mechanism, undefined);
  assert.ok(!readSettings({ 'auth-mechanism': ['relay.example=GSSAPI'] }).ok);
});
