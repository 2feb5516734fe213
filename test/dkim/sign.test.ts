/**
 * Signed messages before other people's verifiers: mailauth always, opendkim and dkimpy where they are installed. Every
 * message takes the way of a real one, from its stored form through rendering.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it, test } from 'node:test';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { dkimRecord, zoneLine } from '../../src/dkim/dns-record.ts';
import { digestMessage, type SigningKey, signedMessage } from '../../src/dkim/sign.ts';
import { createSigner } from '../../src/dkim/signer.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { type OutgoingMessage, prepareOutgoing } from '../../src/message/outgoing.ts';

const NOW = Math.floor(Date.now() / 1000);
const DOMAIN = 'example.org';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const KEYS: readonly SigningKey[] = [
  { domain: DOMAIN, selector: 'r', algorithm: 'rsa-sha256', key: rsa },
  { domain: DOMAIN, selector: 'e', algorithm: 'ed25519-sha256', key: ed25519 },
];
const RECORDS: ReadonlyMap<string, string> = new Map([
  [`r._domainkey.${DOMAIN}`, dkimRecord(rsa)],
  [`e._domainkey.${DOMAIN}`, dkimRecord(ed25519)],
]);

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-dkim-'));
after(() => rmSync(folder, { recursive: true }));

async function outgoing(text: string): Promise<OutgoingMessage> {
  const bytes = Buffer.from(text, 'latin1');
  const stored = {
    size: bytes.length,
    bytes,
    async *stream() {
      yield bytes;
    },
  };
  const options = { order: '2016', fqdn: DOMAIN, nodeName: '', legacy: unknown8bit, zoneMinutes: 0 } as const;
  const prepared = await prepareOutgoing(stored, options);
  assert.ok(prepared.kind === 'outgoing');
  return prepared;
}

async function signed(text: string, keys = KEYS): Promise<Buffer> {
  const message = await outgoing(text);
  const signer = createSigner(() => keys, 'unsigned');
  const whole = await signedMessage(message, (each) => signer.sign(each, NOW));
  return bytesOf(whole);
}

async function bytesOf(whole: OutgoingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of whole.chunks()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  assert.equal(bytes.length, whole.size);
  assert.equal(whole.text, bytes.toString('latin1'));
  return bytes;
}

async function mailauthVerdicts(bytes: Buffer): Promise<readonly string[]> {
  const resolver = async (name: string): Promise<string[][]> => {
    const record = RECORDS.get(name);
    if (record === undefined) throw Object.assign(new Error('no record'), { code: 'ENOTFOUND' });
    return [[record]];
  };
  const { results } = await dkimVerify(bytes, { resolver });
  return results.map(({ status }: { status: { result: string } }) => status.result);
}

const HEAD = `From: Alice <alice@${DOMAIN}>\r\nTo: bob@example.net\r\nSubject: x\r\n`;
const MESSAGES: { readonly [what: string]: string } = {
  plain: `${HEAD}\r\nhello\r\n`,
  'raw UTF-8 and no-break spaces in the header': `From: Al\xc3\xa9 <alice@${DOMAIN}>\r\nSubject: \xc2\xa0caf\xc3\xa9 \xc2\x85\xc2\xa0\r\n\r\nx\r\n`,
  'no body': `${HEAD}\r\n`,
  'a delivery report': readFileSync(
    new URL('../../fixtures/reports/international.eml', import.meta.url),
    'latin1',
  ),
  'no empty line': HEAD,
  'only blank lines': `${HEAD}\r\n\r\n\r\n\r\n`,
  'no final line end': `${HEAD}\r\nhello`,
  'a bare CR': `${HEAD}\r\nhel\rlo\r\n`,
  'bare LF': `${HEAD}\r\none\ntwo\n`.replaceAll('\r\n', '\n'),
  'trailing blanks': `${HEAD}\r\nhello \t \r\n \r\n\r\n`,
  'a line of 990 bytes': `${HEAD}\r\n${'x'.repeat(990)}\r\n`,
  'a line of 3000 bytes': `${HEAD}\r\n${'x'.repeat(3000)}\r\n`,
  'a header line of 3000 bytes': `${HEAD}Cc: ${'bob@example.net, '.repeat(180)}eve@example.net\r\n\r\nx\r\n`,
  'dots in front': `${HEAD}\r\n.\r\n..\r\n.x\r\n`,
  'folded fields': `From: Alice\r\n <alice@${DOMAIN}>\r\nTo: bob@example.net,\r\n\tcarol@example.net\r\nSubject: a\r\n  b\r\n\tc\r\n\r\nx\r\n`,
  'repeated fields': `${HEAD}To: carol@example.net\r\nReceived: one\r\nReceived: two\r\nList-Unsubscribe: <mailto:a@b>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n`,
};

describe('signatures of RSA and Ed25519 side by side', () => {
  for (const [what, text] of Object.entries(MESSAGES)) {
    it(`${what}: mailauth`, async () => {
      assert.deepEqual(await mailauthVerdicts(await signed(text)), ['pass', 'pass']);
    });
  }
});

test('the form for a server without 8BITMIME has signatures of its own', async () => {
  const signer = createSigner(() => KEYS, 'unsigned');
  const sign = (text: string) =>
    outgoing(text).then((message) => signedMessage(message, (each) => signer.sign(each, NOW)));
  const message = await sign(`${HEAD}\r\nf\xc3\xbcr dich\r\n`);
  const narrow = await message.sevenBit();
  assert.ok(narrow !== null && narrow !== message && !narrow.eightBit);
  for (const form of [message, narrow])
    assert.deepEqual(await mailauthVerdicts(await bytesOf(form)), ['pass', 'pass']);
  assert.equal(await message.sevenBit(), narrow);
  const plain = await sign(MESSAGES.plain ?? '');
  assert.equal(await plain.sevenBit(), plain);
  assert.equal(await (await sign(`${HEAD}To: j\xc3\xb6rg@x\r\n\r\nx\r\n`)).sevenBit(), null);
});

test('a message that had to be encoded is signed again, its own signature no longer holds', async () => {
  const text = `DKIM-Signature: v=1; a=rsa-sha256; d=${DOMAIN}; s=x; b=AA\r\n${HEAD}\r\n${'x'.repeat(2000)}\r\n`;
  assert.deepEqual((await mailauthVerdicts(await signed(text))).slice(0, 2), ['pass', 'pass']);
});

test('an added field of a name that is covered breaks the signature', async () => {
  const bytes = await signed(MESSAGES.plain ?? '');
  const text = bytes.toString('latin1').replace('From: Alice', 'Reply-To: eve@example.net\r\nFrom: Alice');
  assert.deepEqual(await mailauthVerdicts(Buffer.from(text, 'latin1')), ['fail', 'fail']);
});

test('a message with a signature of the same domain is left as it is; of another domain, it is signed', async () => {
  const signature = (domain: string): string =>
    `DKIM-Signature: v=1; a=rsa-sha256; d=${domain}; s=x; b=AA\r\n`;
  const message = async (domain: string) => outgoing(signature(domain) + MESSAGES.plain);
  const signer = createSigner(() => KEYS, 'unsigned');
  assert.equal(await signer.sign(await message('Example.ORG'), NOW), '');
  assert.notEqual(await signer.sign(await message('example.net'), NOW), '');
  assert.notEqual(await createSigner(() => KEYS, 'always').sign(await message('example.org'), NOW), '');
});

test('a message from nobody, or from a domain without a key, is not signed', async () => {
  const asked: string[] = [];
  const signer = createSigner((address) => {
    asked.push(address);
    return [];
  }, 'unsigned');
  assert.equal(await signer.sign(await outgoing('Subject: x\r\n\r\nx\r\n'), NOW), '');
  assert.equal(
    await signer.sign(await outgoing('From: M\xc3\xbc <A@B\xc3\xbccher.example>\r\n\r\nx\r\n'), NOW),
    '',
  );
  assert.deepEqual(asked, ['a@xn--bcher-kva.example']);
});

test('the digest of a message is the same however it comes', async () => {
  const bytes = Buffer.from(`${HEAD}\r\nhello  world \r\n\r\n`, 'latin1');
  const cut = (size: number) =>
    (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
  const whole = await digestMessage(cut(bytes.length));
  for (const size of [1, 2, 3, 7]) assert.deepEqual(await digestMessage(cut(size)), whole);
});

test('the record of a 2048-bit key is cut into strings of 255', () => {
  const line = zoneLine(DOMAIN, 'r', dkimRecord(rsa));
  const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text = '']) => text);
  assert.deepEqual(strings.join(''), dkimRecord(rsa));
  assert.ok(strings.length === 2 && strings.every((text) => text.length <= 255));
  assert.match(line, /^r\._domainkey\.example\.org\. IN TXT \( /);
});

function isInstalled(program: string, ...words: readonly string[]): boolean {
  return spawnSync(program, words).error === undefined && spawnSync(program, words).status === 0;
}

const noOpendkim = isInstalled('opendkim', '-V') ? false : 'opendkim is not installed';
const noDkimpy = isInstalled('python3', '-c', 'import dkim, nacl') ? false : 'dkimpy is not installed';

/** opendkim prints nothing for a message whose last line has no end; ours always has one. */
describe('the verifier of opendkim', { skip: noOpendkim }, () => {
  for (const [what, text] of Object.entries(MESSAGES)) {
    it(what, async () => {
      const records = path.join(folder, 'records');
      writeFileSync(records, [...RECORDS].map(([name, record]) => `${name}\t${record}\n`).join(''));
      const config = path.join(folder, 'opendkim.conf');
      writeFileSync(config, `Mode v\nTestPublicKeys ${records}\nSyslog no\n`);
      const file = path.join(folder, 'message');
      writeFileSync(file, await signed(text));
      const { stdout } = spawnSync('opendkim', ['-x', config, '-t', file, '-vv'], { encoding: 'latin1' });
      const passes = [...stdout.matchAll(/dkim=(\w+)/g)].map(([, result]) => result);
      assert.ok(passes.length > 0 && passes.every((result) => result === 'pass'), stdout);
    });
  }
});

describe('the verifier of dkimpy', { skip: noDkimpy }, () => {
  it('passes all of them', async () => {
    const program = `
import sys, json, dkim
records = {k.encode() + b'.': v.encode() for k, v in json.loads(sys.argv[1]).items()}
for name in sys.argv[2:]:
    m = open(name, 'rb').read()
    look = lambda n, timeout=5: records[n]
    print(name, [dkim.DKIM(m).verify(idx=i, dnsfunc=look) for i in (0, 1)])
`;
    const files = await Promise.all(
      Object.values(MESSAGES).map(async (text, at) => {
        const file = path.join(folder, `message.${at}`);
        writeFileSync(file, await signed(text));
        return file;
      }),
    );
    const words = ['-c', program, JSON.stringify(Object.fromEntries(RECORDS)), ...files];
    const { stdout, stderr } = spawnSync('python3', words, { encoding: 'latin1' });
    assert.equal(stdout, files.map((file) => `${file} [True, True]\n`).join(''), stderr);
  });
});
