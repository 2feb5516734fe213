/** `spoolroom dkim`: a key that can be used at once, and a finding for whatever receivers would not accept. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { checkSenderDomains, type SenderContext } from '../../src/cli/check/sender-domain.ts';
import { command } from '../../src/cli/commands/dkim.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { dkimRecord, isRecordOf } from '../../src/dkim/dns-record.ts';
import type { RecordLookup } from '../../src/dkim/spf.ts';
import { startFaultyDnsServer } from '../support/dns-server.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-dkim-'));
after(() => rmSync(folder, { recursive: true }));

async function call(
  options: { readonly [name: string]: unknown },
  given: { readonly [name: string]: unknown } = {},
) {
  const caught = caughtTerminal();
  const exit = await perform(command, invocation(caught, given, options));
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

for (const type of ['rsa', 'ed25519'])
  test(`genkey creates a private ${type} key and prints the record of its public half`, async () => {
    const options = { action: 'genkey', domain: 'Bücher.example', selector: type, type, dir: folder };
    const { exit, printed } = await call(options, { json: true });
    assert.equal(exit, 0);
    const { file, name, record, setting } = JSON.parse(printed);
    assert.equal(name, `${type}._domainkey.xn--bcher-kva.example`);
    assert.equal(setting, `xn--bcher-kva.example:${type}:${file}`);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.ok(isRecordOf(record, createPrivateKey(readFileSync(file))));
    const again = await call(options);
    assert.equal(again.exit, 73);
    assert.match(again.errors, /cannot be made: it is there already|cannot be made: .*exists/);
  });

for (const [what, options, exit] of [
  ['no domain', { action: 'genkey' }, 64],
  ['what is not a domain', { action: 'genkey', domain: 'a b' }, 64],
  ['an address', { action: 'genkey', domain: '[192.0.2.1]' }, 64],
  ['a selector with a slash', { action: 'genkey', domain: 'a.example', selector: '../x' }, 64],
  ['another type', { action: 'genkey', domain: 'a.example', type: 'dsa' }, 64],
  ['another word', { action: 'sign' }, 64],
  ['check without a key', { action: 'check' }, 78],
] as const)
  test(`${what} is refused`, async () => assert.equal((await call({ ...options, dir: folder })).exit, exit));

const key = generateKeyPairSync('ed25519').privateKey;
const record = dkimRecord(key);

/** Records without a fault, except for `given`. */
function contextWith(given: { readonly [name: string]: readonly string[] | null } = {}): SenderContext {
  const answers: { readonly [name: string]: readonly string[] | null } = {
    'TXT s._domainkey.a.example': [record],
    'TXT a.example': ['v=spf1 ip4:198.51.100.7 -all'],
    'TXT _dmarc.a.example': ['v=DMARC1; p=reject'],
    'MX a.example': ['mx.a.example'],
    'PTR 198.51.100.7': ['mail.a.example'],
    'A mail.a.example': ['198.51.100.7'],
    ...given,
  };
  const ask = async (question: string): Promise<readonly string[] | null> =>
    answers[question] === undefined ? [] : answers[question];
  const lookup: RecordLookup = {
    txt: (name) => ask(`TXT ${name}`),
    addresses: (name) => ask(`A ${name}`),
    mx: (name) => ask(`MX ${name}`),
    ptr: (address) => ask(`PTR ${address}`),
  };
  return {
    keys: [{ domain: 'a.example', selector: 's', path: '/key', source: 'setting dkim.key', key }],
    addresses: ['127.0.0.1', '10.0.0.5', 'fe80::1', '198.51.100.7'],
    hostname: 'mail.a.example',
    lookup,
    answers: async (host) => host === 'mx.a.example',
  };
}

test('a domain that has all records', async () => {
  const findings = await checkSenderDomains(contextWith());
  assert.deepEqual(
    findings.map(({ check, grade }) => [check, grade]),
    [
      ['dkim', 'ok'],
      ['spf', 'ok'],
      ['dmarc', 'ok'],
      ['mx', 'ok'],
      ['reverse name', 'ok'],
    ],
  );
});

const FLAWS: readonly (readonly [string, Parameters<typeof contextWith>[0], string, string, RegExp])[] = [
  [
    'no key record',
    { 'TXT s._domainkey.a.example': [] },
    'dkim',
    'trouble',
    /Publish: s\._domainkey\.a\.example\. IN TXT/,
  ],
  [
    'another key',
    { 'TXT s._domainkey.a.example': ['v=DKIM1; p=AAAA'] },
    'dkim',
    'trouble',
    /holds another key/,
  ],
  ['no SPF', { 'TXT a.example': [] }, 'spf', 'warning', /"v=spf1 ip4:198\.51\.100\.7 mx ~all"/],
  ['an SPF without us', { 'TXT a.example': ['v=spf1 -all'] }, 'spf', 'trouble', /Add ip4:198\.51\.100\.7/],
  ['no DMARC', { 'TXT _dmarc.a.example': [] }, 'dmarc', 'warning', /v=DMARC1; p=none/],
  ['no reverse name', { 'PTR 198.51.100.7': [] }, 'reverse name', 'trouble', /has no name/],
  [
    'a name that is not ours',
    { 'PTR 198.51.100.7': ['x.example'], 'A x.example': ['198.51.100.7'] },
    'reverse name',
    'warning',
    /EHLO says mail\.a\.example/,
  ],
  [
    'a name without the address',
    { 'A mail.a.example': ['198.51.100.8'] },
    'reverse name',
    'trouble',
    /does not resolve to it/,
  ],
  [
    'a server that nobody reaches',
    { 'MX a.example': ['down.a.example'] },
    'mx',
    'warning',
    /no answer from port 25/,
  ],
  ['name servers that are away', { 'TXT a.example': null }, 'spf', 'warning', /ask again later/],
];

for (const [what, given, name, grade, sentence] of FLAWS)
  test(`${what} is reported, with the record to publish`, async () => {
    const findings = await checkSenderDomains(contextWith(given));
    const found = findings.find(({ check }) => check === name);
    assert.equal(found?.grade, grade);
    assert.match(`${found?.seen}. ${found?.advice}`, sentence);
  });

test('check asks the name servers of the setting, and connects to the host of the domain', async (t) => {
  const made = await call(
    { action: 'genkey', domain: 'a.example', selector: 'whole', type: 'ed25519', dir: folder },
    { json: true },
  );
  const { setting, record: published } = JSON.parse(made.printed);
  const listener = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await new Promise((listening) => listener.once('listening', listening));
  t.after(() => listener.close());
  const { port } = listener.address() as { port: number };
  const server = await startFaultyDnsServer({
    'whole._domainkey.a.example': { TXT: [published] },
    '_dmarc.a.example': { TXT: ['v=DMARC1; p=none'] },
    'a.example': { TXT: ['v=spf1 mx -all'], MX: [{ preference: 10, exchange: 'mx.a.example' }] },
    'mx.a.example': { A: ['127.0.0.1'] },
  });
  t.after(() => server.close());
  const { exit, printed } = await call(
    { action: 'check' },
    {
      'dkim.key': [setting],
      dns: [server.address],
      'mx-port': port,
      hostname: 'mail.a.example',
      'local-address': ['127.0.0.1'],
      json: true,
    },
  );
  const findings = JSON.parse(printed).findings.map(
    ({ check, grade }: { check: string; grade: string }) => `${check} ${grade}`,
  );
  assert.deepEqual(findings, ['dkim ok', 'spf ok', 'dmarc ok', 'mx ok', 'address warning']);
  assert.equal(exit, 0);
});
