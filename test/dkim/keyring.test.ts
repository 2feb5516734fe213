/** Keys that can be used, and those that are refused before any message is sent. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { loadKeyring } from '../../src/dkim/keyring.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-keys-'));
after(() => rmSync(folder, { recursive: true }));

const none = { keys: [], keyTable: null, signingTable: null };

function file(name: string, content: string, mode = 0o600): string {
  const where = path.join(folder, name);
  writeFileSync(where, content);
  chmodSync(where, mode);
  return where;
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const rsa = (bits: number): string => pem(generateKeyPairSync('rsa', { modulusLength: bits }).privateKey);
const good = file('good', rsa(2048));
const edwards = file('edwards', pem(generateKeyPairSync('ed25519').privateKey));

test('two keys of one domain sign side by side, and nobody else does', () => {
  const read = loadKeyring({ ...none, keys: [`example.org:r:${good}`, `example.org:e:${edwards}`] });
  assert.ok(read.kind === 'keyring');
  const found = read.keyring
    .findKeys('alice@example.org')
    .map(({ selector, algorithm }) => [selector, algorithm]);
  assert.deepEqual(found, [
    ['r', 'rsa-sha256'],
    ['e', 'ed25519-sha256'],
  ]);
  assert.deepEqual(read.keyring.findKeys('alice@sub.example.org'), []);
  assert.deepEqual(read.keyring.warnings, []);
});

test('opendkim’s tables, with % for the domain of the sender', () => {
  const keyTable = file('KeyTable', `mail %:sel:${good}\n`);
  const signingTable = file('SigningTable', '*@example.org mail\n*@*.example.net mail\n');
  const read = loadKeyring({ ...none, keyTable, signingTable: `refile:${signingTable}` });
  assert.ok(read.kind === 'keyring');
  const domains = (address: string) => read.keyring.findKeys(address).map(({ domain }) => domain);
  assert.deepEqual(domains('a@example.org'), ['example.org']);
  assert.deepEqual(domains('a@x.example.net'), ['x.example.net']);
  assert.deepEqual(domains('a@example.com'), []);
});

test('a key of 1024 bits works and is warned of', () => {
  const read = loadKeyring({ ...none, keys: [`a.example:s:${file('short', rsa(1024))}`] });
  assert.ok(read.kind === 'keyring');
  assert.match(read.keyring.warnings[0] ?? '', /has 1024 bits\. .*spoolroom dkim genkey/);
});

const unusable: { readonly [what: string]: [Parameters<typeof loadKeyring>[0], RegExp] } = {
  'a key that others can read': [
    { ...none, keys: [`a.example:s:${file('open', rsa(2048), 0o644)}`] },
    /others can read or change the key file .*chmod 600/,
  ],
  'a key that is too short': [{ ...none, keys: [`a.example:s:${file('tiny', rsa(768))}`] }, /has 768 bits/],
  'no key in the file': [
    { ...none, keys: [`a.example:s:${file('text', 'hello')}`] },
    /holds no private key in PEM form/,
  ],
  'a key of another kind': [
    {
      ...none,
      keys: [`a.example:s:${file('ec', pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey))}`],
    },
    /is of type ec; DKIM knows RSA and Ed25519/,
  ],
  'no file': [{ ...none, keys: [`a.example:s:${folder}/none`] }, /cannot be read: it does not exist/],
  'an entry that is not one': [{ ...none, keys: ['a.example'] }, /"a\.example" is not DOMAIN:SELECTOR:PATH/],
  'one table without the other': [{ ...none, keyTable: good }, /give both/],
  'a key that the table does not have': [
    { ...none, keyTable: file('kt', `a a.example:s:${good}\n`), signingTable: file('st', '* b\n') },
    /names the key b, which .*kt does not have/,
  ],
};

for (const [what, [settings, sentence]] of Object.entries(unusable))
  test(`${what}: nothing is sent, and a sentence says why`, () => {
    const read = loadKeyring(settings);
    assert.ok(read.kind === 'unusable');
    assert.match(read.text, sentence);
    assert.match(read.text, /Nothing is sent, because it would leave without its signature\.$/);
  });
