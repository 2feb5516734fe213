import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  dsnRequest,
  mailDsnParameters,
  rcptDsnParameters,
  readEnvid,
  readNotify,
  readOrcpt,
  readRet,
  textOfXtext,
  wants,
  xtextOf,
} from '../../src/smtp/dsn-request.ts';

it('takes what RFC 3461 allows, and nothing else', () => {
  const rows: readonly (readonly [string | null, string | null])[] = [
    [readNotify('never'), 'NEVER'],
    [readNotify('Success,delay'), 'SUCCESS,DELAY'],
    [readNotify('NEVER,DELAY'), null],
    [readNotify('DELAY,DELAY'), null],
    [readNotify(''), null],
    [readRet('hdrs'), 'HDRS'],
    [readRet('body'), null],
    [readEnvid('QQ+2B1'), 'QQ+2B1'],
    [readEnvid('QQ+2b1'), null],
    [readEnvid('a=b'), null],
    [readEnvid('x'.repeat(101)), null],
    [readOrcpt('rfc822;bob+2Bx@example.com'), 'rfc822;bob+2Bx@example.com'],
    [readOrcpt('bob@example.com'), null],
    [readOrcpt('rfc822;bob@example.com\r\nRSET'), null],
    [readOrcpt(`rfc822;${'x'.repeat(500)}`), null],
    [readOrcpt('utf-8;b\xc3\xb6b@example.com'), 'utf-8;b\xc3\xb6b@example.com'],
    [readOrcpt('rfc822;b\xc3\xb6b@example.com'), null],
  ];
  for (const [read, expected] of rows) assert.equal(read, expected);
});

it('encodes any text as xtext and back', () => {
  const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
  assert.equal(textOfXtext(xtextOf(all)), all);
  assert.match(xtextOf(all), /^[!-<>-~]+$/);
  assert.equal(xtextOf('a+b=c d'), 'a+2Bb+3Dc+20d');
});

it('knows what is wanted, what is not, and what nobody said', () => {
  assert.deepEqual(
    ['SUCCESS,DELAY', 'NEVER', null].map((notify) => wants({ notify }, 'DELAY')),
    [true, false, null],
  );
});

it('is nothing where nothing was asked for', () => {
  assert.equal(dsnRequest({ ret: null, envid: null }, new Map()), null);
  assert.deepEqual(mailDsnParameters({ ret: 'FULL', envid: 'x' }), ['RET=FULL', 'ENVID=x']);
  assert.deepEqual(rcptDsnParameters({ notify: 'NEVER', orcpt: 'rfc822;a@b' }), [
    'NOTIFY=NEVER',
    'ORCPT=rfc822;a@b',
  ]);
});
