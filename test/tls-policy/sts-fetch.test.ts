/** Fetching a policy from real HTTPS servers on loopback: what counts as one, and what each failure is called. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Fetched, fetchStsPolicy } from '../../src/tls-policy/sts-fetch.ts';
import { certificates, testCa } from '../support/certificates.ts';

const POLICY = 'version: STSv1\nmode: enforce\nmx: mx1.hosts.example\nmax_age: 86400\n';

type Answer = (response: ServerResponse) => void;

const text =
  (body: string, headers: { readonly [name: string]: string } = {}): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
  };
const status =
  (code: number, headers: { readonly [name: string]: string } = {}): Answer =>
  (response) => {
    response.writeHead(code, { 'content-type': 'text/plain', ...headers }).end(POLICY);
  };

interface Given {
  readonly answer: Answer;
  readonly domain?: string;
  readonly certificate?: keyof typeof certificates;
  readonly ca?: readonly string[];
  readonly addresses?: readonly string[];
  readonly signal?: AbortSignal;
}

async function fetchFrom({
  answer,
  domain = 'hosts.example',
  certificate = 'mail',
  ca = [testCa],
  ...rest
}: Given) {
  const asked: string[] = [];
  const { key, cert } = certificates[certificate];
  const server = createServer({ key, cert }, (request, response) => {
    asked.push(`${request.headers.host}${request.url}`);
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const addresses = rest.addresses ?? ['127.0.0.1'];
  const signal = rest.signal ?? new AbortController().signal;
  const fetched = await fetchStsPolicy(domain, { addresses, port, ca, signal });
  server.closeAllConnections();
  server.close();
  return { fetched, asked };
}

const GOOD: Fetched = {
  kind: 'policy',
  policy: { mode: 'enforce', mx: ['mx1.hosts.example'], maxAge: 86_400 },
};

test('a policy by its well-known path, with the name of the policy host', async () => {
  const { fetched, asked } = await fetchFrom({ answer: text(POLICY) });
  assert.deepEqual(fetched, GOOD);
  assert.deepEqual(asked, ['mta-sts.hosts.example/.well-known/mta-sts.txt']);
});

test('an address that refuses is followed by the next one', async () => {
  const { fetched } = await fetchFrom({ answer: text(POLICY), addresses: ['127.0.0.2', '127.0.0.1'] });
  assert.deepEqual(fetched, GOOD);
});

test('caching in HTTP changes nothing', async () => {
  const { fetched } = await fetchFrom({
    answer: text(POLICY, { 'cache-control': 'no-store', age: '999999' }),
  });
  assert.deepEqual(fetched, GOOD);
});

const FAILURES: readonly (readonly [what: string, given: Given, problem: string, reason: RegExp])[] = [
  [
    'a redirect',
    { answer: status(301, { location: 'https://localhost/' }) },
    'sts-policy-fetch-error',
    /status 301/,
  ],
  ['not found', { answer: status(404) }, 'sts-policy-fetch-error', /status 404/],
  ['an error of the server', { answer: status(500) }, 'sts-policy-fetch-error', /status 500/],
  ['another kind of success', { answer: status(203) }, 'sts-policy-fetch-error', /status 203/],
  ['no mx', { answer: text(POLICY.replace(/mx:.*\n/, '')) }, 'sts-policy-invalid', /lists no mx/],
  ['a page', { answer: text(POLICY, { 'content-type': 'text/html' }) }, 'sts-policy-invalid', /text\/plain/],
  [
    'a compressed file',
    { answer: text(POLICY, { 'content-encoding': 'gzip' }) },
    'sts-policy-invalid',
    /compressed/,
  ],
  ['more than 64 KB', { answer: text(`${POLICY}${'x: y\n'.repeat(14_000)}`) }, 'sts-policy-invalid', /64 KB/],
  ['another name', { answer: text(POLICY), domain: 'other.example' }, 'sts-webpki-invalid', /certificate/],
  [
    'an expired certificate',
    { answer: text(POLICY), certificate: 'expired' },
    'sts-webpki-invalid',
    /certificate/,
  ],
  ['an unknown CA', { answer: text(POLICY), ca: [] }, 'sts-webpki-invalid', /certificate/],
  [
    'a connection that breaks',
    { answer: (response) => response.destroy() },
    'sts-policy-fetch-error',
    /cannot be/,
  ],
  [
    'half a policy',
    {
      answer: (response) => {
        response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '1000' }).write(POLICY);
        setImmediate(() => response.destroy());
      },
    },
    'sts-policy-fetch-error',
    /cannot be/,
  ],
  ['no address', { answer: text(POLICY), addresses: [] }, 'sts-policy-fetch-error', /no address/],
  [
    'no answer in time',
    { answer: () => {}, signal: AbortSignal.timeout(200) },
    'sts-policy-fetch-error',
    /did not come in time/,
  ],
];

for (const [what, given, problem, reason] of FAILURES)
  test(`statement 5: ${what}: ${problem}`, async () => {
    const { fetched } = await fetchFrom(given);
    assert.ok(fetched.kind === 'failed', JSON.stringify(fetched));
    assert.equal(fetched.problem, problem);
    assert.match(fetched.reason, reason);
  });

test('an answer that changes the protocol is an answer, and ends the wait (R243)', async () => {
  const raw = (bytes: string): Answer => {
    return (response) => void response.socket?.write(bytes);
  };
  const { fetched } = await fetchFrom({
    answer: raw('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
  });
  assert.equal(fetched.kind === 'failed' && fetched.problem, 'sts-policy-fetch-error');
});
