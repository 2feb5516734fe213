import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Credentials } from '../../src/routing/hosts.ts';
import { MECHANISMS, type Mechanism } from '../../src/smtp/mechanisms.ts';
import { authCommand } from '../../src/smtp/sasl.ts';

/** What is said after these challenges. */
function said(
  mechanism: Mechanism,
  login: Credentials & { readonly nonce?: string; readonly withoutInitialResponse?: boolean },
  ...challenges: readonly string[]
): string {
  return authCommand(mechanism, challenges, { nonce: 'n', ...login });
}

const tim = { user: 'tim', password: 'tanstaaftanstaaf' };
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const bytesOf = (line: string): string =>
  Buffer.from(line.split(' ').at(-1) ?? '', 'base64').toString('utf8');

test('PLAIN is NUL user NUL password, to the byte (R021)', () => {
  const line = said('PLAIN', tim);
  assert.match(line, /^AUTH PLAIN \S+$/);
  assert.equal(bytesOf(line), '\0tim\0tanstaaftanstaaf');
});

test('AUTH alone, and the initial response when it is asked for (R305)', () => {
  const login = { ...tim, withoutInitialResponse: true };
  assert.equal(said('PLAIN', login), 'AUTH PLAIN');
  assert.equal(bytesOf(said('PLAIN', login, '')), '\0tim\0tanstaaftanstaaf');
  assert.equal(said('XOAUTH2', login), 'AUTH XOAUTH2');
});

test('which mechanisms have an initial response', () => {
  for (const { name, initialResponse } of MECHANISMS)
    assert.equal(said(name, tim).includes(`${name} `), initialResponse, name);
});

test('LOGIN sends the user name, then the password, separately (R084, R089)', () => {
  assert.equal(said('LOGIN', tim), 'AUTH LOGIN');
  assert.equal(said('LOGIN', tim, base64('Username:')), base64('tim'));
  assert.equal(said('LOGIN', tim, base64('Username:'), base64('Password:')), base64('tanstaaftanstaaf'));
  assert.equal(said('LOGIN', tim, base64('Username:'), base64('Password:'), base64('Shoe size:')), '*');
});

test('CRAM-MD5 computes the example of RFC 2195', () => {
  const challenge = base64('<1896.697170952@postoffice.reston.mci.net>');
  assert.equal(said('CRAM-MD5', tim), 'AUTH CRAM-MD5');
  assert.equal(bytesOf(said('CRAM-MD5', tim, challenge)), 'tim b913a602c7eda7a495b4e6e7334d3890');
});

test('XOAUTH2 sends the token, and an empty line in reply to an error challenge', () => {
  const line = said('XOAUTH2', { user: 'a@b', password: 'token' });
  assert.equal(bytesOf(line), 'user=a@b\x01auth=Bearer token\x01\x01');
  assert.equal(said('XOAUTH2', tim, base64('{"status":"401"}')), '');
});

test('long credentials stay on one line (R091), non-ASCII letters are UTF-8', () => {
  const who = { user: `jörg@${'long.'.repeat(20)}example`, password: 'ü'.repeat(300) };
  assert.equal(said('PLAIN', who), 'AUTH PLAIN');
  const line = said('PLAIN', who, '');
  assert.doesNotMatch(line, /[\r\n]/);
  assert.equal(bytesOf(line), `\0${who.user}\0${who.password}`);
});

test('PLAIN says the same again to a server that overlooked the initial response (R150)', () => {
  assert.equal(bytesOf(said('PLAIN', tim, '')), '\0tim\0tanstaaftanstaaf');
  assert.equal(said('PLAIN', tim, '', ''), '*');
});

test('OAUTHBEARER follows RFC 7628', () => {
  const line = said('OAUTHBEARER', { user: 'a=b,c@d', password: 'token' });
  assert.equal(bytesOf(line), 'n,a=a=3Db=2Cc@d,\x01auth=Bearer token\x01\x01');
  assert.equal(bytesOf(said('OAUTHBEARER', tim, base64('{"status":"invalid_token"}'))), '\x01');
});

test('an initial response goes on the line only where that stays within 512 octets (RFC 4954, R150)', () => {
  const token = { user: 'a@b', password: 'x'.repeat(1000) };
  assert.equal(said('XOAUTH2', token), 'AUTH XOAUTH2');
  assert.equal(bytesOf(said('XOAUTH2', token, '')), `user=a@b\x01auth=Bearer ${token.password}\x01\x01`);
  assert.equal(said('XOAUTH2', token, '', base64('{"status":"401"}')), '');
  for (let length = 360; length < 380; length++) {
    const line = said('PLAIN', { user: 'u', password: 'p'.repeat(length) });
    assert.ok(`${line}\r\n`.length <= 512);
  }
});

const SCRAM_EXAMPLES = [
  {
    mechanism: 'SCRAM-SHA-1',
    rfc: 'RFC 5802 5',
    nonce: 'fyko+d2lbbFgONRv9qkxdawL',
    first: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    final: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    server: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  {
    mechanism: 'SCRAM-SHA-256',
    rfc: 'RFC 7677 3',
    nonce: 'rOprNGfwEbeRWgbNEkqO',
    first: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    final:
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    server: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
] as const;

for (const { mechanism, rfc, nonce, first, final, server } of SCRAM_EXAMPLES)
  test(`${mechanism} computes the example of ${rfc}, and answers no server that cannot prove itself`, () => {
    const user = { user: 'user', password: 'pencil', nonce };
    assert.equal(bytesOf(said(mechanism, user)), `n,,n=user,r=${nonce}`);
    assert.equal(bytesOf(said(mechanism, user, base64(first))), final);
    assert.equal(said(mechanism, user, base64(first), base64(server)), '');
    assert.equal(said(mechanism, user, base64(first), base64(`v=AAAA${server.slice(6)}`)), '*');
    assert.equal(said(mechanism, user, base64(first), base64('e=other-error')), '*');
  });

test('SCRAM takes no challenge with another nonce, without salt, or with work for hours', () => {
  const user = { user: 'user', password: 'pencil', nonce: 'abc' };
  for (const first of [
    'r=xyz,s=QSXCR+Q6sek8bf92,i=4096',
    'r=abcd,s=QQ==,i=999999999',
    'r=abcd,s=QQ==,i=0',
    'm=x',
    '',
  ])
    assert.equal(said('SCRAM-SHA-256', user, base64(first)), '*', first);
});
