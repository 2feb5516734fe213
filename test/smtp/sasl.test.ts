import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authCommand } from '../../src/smtp/sasl.ts';

const tim = { user: 'tim', password: 'tanstaaftanstaaf' };
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const bytesOf = (line: string): string =>
  Buffer.from(line.split(' ').at(-1) ?? '', 'base64').toString('utf8');

test('PLAIN is NUL user NUL password, to the byte (R021)', () => {
  const line = authCommand('PLAIN', 0, null, tim);
  assert.match(line, /^AUTH PLAIN \S+$/);
  assert.equal(bytesOf(line), '\0tim\0tanstaaftanstaaf');
});

test('LOGIN sends the user name, then the password, separately (R084, R089)', () => {
  assert.equal(authCommand('LOGIN', 0, null, tim), 'AUTH LOGIN');
  assert.equal(authCommand('LOGIN', 1, base64('Username:'), tim), base64('tim'));
  assert.equal(authCommand('LOGIN', 2, base64('Password:'), tim), base64('tanstaaftanstaaf'));
  assert.equal(authCommand('LOGIN', 3, base64('Shoe size:'), tim), '*');
});

test('CRAM-MD5 computes the example of RFC 2195', () => {
  const challenge = base64('<1896.697170952@postoffice.reston.mci.net>');
  assert.equal(authCommand('CRAM-MD5', 0, null, tim), 'AUTH CRAM-MD5');
  assert.equal(bytesOf(authCommand('CRAM-MD5', 1, challenge, tim)), 'tim b913a602c7eda7a495b4e6e7334d3890');
});

test('XOAUTH2 sends the token, and an empty line in reply to an error challenge', () => {
  const line = authCommand('XOAUTH2', 0, null, { user: 'a@b', password: 'token' });
  assert.equal(bytesOf(line), 'user=a@b\x01auth=Bearer token\x01\x01');
  assert.equal(authCommand('XOAUTH2', 1, base64('{"status":"401"}'), tim), '');
});

test('long credentials stay on one line (R091), non-ASCII letters are UTF-8', () => {
  const who = { user: `jörg@${'long.'.repeat(20)}example`, password: 'ü'.repeat(300) };
  assert.equal(authCommand('PLAIN', 0, null, who), 'AUTH PLAIN');
  const line = authCommand('PLAIN', 1, '', who);
  assert.doesNotMatch(line, /[\r\n]/);
  assert.equal(bytesOf(line), `\0${who.user}\0${who.password}`);
});

test('PLAIN says the same again to a server that overlooked the initial response (R150)', () => {
  assert.equal(bytesOf(authCommand('PLAIN', 1, '', tim)), '\0tim\0tanstaaftanstaaf');
  assert.equal(authCommand('PLAIN', 2, '', tim), '*');
});

test('OAUTHBEARER follows RFC 7628', () => {
  const line = authCommand('OAUTHBEARER', 0, null, { user: 'a=b,c@d', password: 'token' });
  assert.equal(bytesOf(line), 'n,a=a=3Db=2Cc@d,\x01auth=Bearer token\x01\x01');
  assert.equal(bytesOf(authCommand('OAUTHBEARER', 1, base64('{"status":"invalid_token"}'), tim)), '\x01');
});

test('an initial response goes on the line only where that stays within 512 octets (RFC 4954, R150)', () => {
  const token = { user: 'a@b', password: 'x'.repeat(1000) };
  assert.equal(authCommand('XOAUTH2', 0, null, token), 'AUTH XOAUTH2');
  assert.equal(
    bytesOf(authCommand('XOAUTH2', 1, '', token)),
    `user=a@b\x01auth=Bearer ${token.password}\x01\x01`,
  );
  assert.equal(authCommand('XOAUTH2', 2, base64('{"status":"401"}'), token), '');
  for (let length = 360; length < 380; length++) {
    const line = authCommand('PLAIN', 0, null, { user: 'u', password: 'p'.repeat(length) });
    assert.ok(`${line}\r\n`.length <= 512);
  }
});
