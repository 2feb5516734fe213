/**
 * The ten statements about DANE and MTA-STS as deliveries over real sockets: zones, a policy server, a mail server, and what
 * has to come of it. The default suite asks the name server of the demo (servers.test.ts), `npm run test:dane` asks unbound
 * before BIND (real-servers.ts), so that the two are compared.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from '#net-stream-utils';
import type { Records } from '../../src/cli/demo/world/dns-server.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createResolver } from '../../src/platform/dns/resolver.ts';
import { perform } from '../../src/replay/simulation.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { type KeptPolicy, memoryStsCache } from '../../src/tls-policy/sts-cache.ts';
import { fetchStsPolicy } from '../../src/tls-policy/sts-fetch.ts';
import { StsPolicies } from '../../src/tls-policy/sts-policies.ts';
import { MAIL, payloadOf, queuedFor, settingsWith } from '../replay/recording.ts';
import { certificates, type ServerCertificate, testCa } from '../support/certificates.ts';
import { type MailServer, startSmtpServer } from '../support/smtp-servers.ts';

export interface ZoneData {
  readonly signed: boolean;
  readonly records: { readonly [name: string]: Records };
  /** in a signed zone: the signature of this name's records is wrong, so that a validator fails */
  readonly bogus?: string;
  /** a part of the zone that is delegated without a signature, and holds nothing */
  readonly delegated?: string;
}

export type Zones = { readonly [zone: string]: ZoneData };

export interface PolicyCase {
  readonly statement: number;
  readonly name: string;
  /** @param port at which the mail server listens */
  readonly zones: (port: number) => Zones;
  /** body of the policy; a number: HTTP status */
  readonly policy?: string | number;
  readonly kept?: KeptPolicy;
  /** the certificate of the mail server; null: no STARTTLS */
  readonly server: ServerCertificate | null;
  /** false: the name server proves nothing */
  readonly validates?: false;
  /** by recipient: `delivered, verified by ...`, or `deferred: ...` */
  readonly ends: { readonly [recipient: string]: RegExp };
}

const DOMAIN = 'hosts.example';
const HOST = 'mx1.hosts.example';
const { mail, selfSigned } = certificates;

const sha256 = (certificate: ServerCertificate): string =>
  createHash('sha256')
    .update(new X509Certificate(certificate.cert).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
const MATCHING = [`3 1 1 ${sha256(mail)}`];
const OTHER = [`3 1 1 ${sha256(selfSigned)}`];
const UNUSABLE = [`1 1 1 ${sha256(mail)}`];

interface Of {
  readonly signed?: boolean;
  readonly tlsa?: readonly string[];
  readonly id?: string;
  readonly bogusTlsa?: true;
  readonly delegated?: true;
}

const zone =
  ({ signed = true, tlsa, id, bogusTlsa, delegated }: Of): PolicyCase['zones'] =>
  (port) => {
    const records: { [name: string]: Records } = {
      [DOMAIN]: { MX: [{ preference: 10, exchange: HOST }] },
      [HOST]: { A: ['127.0.0.1'] },
      [`mta-sts.${DOMAIN}`]: { A: ['127.0.0.1'] },
    };
    if (tlsa !== undefined) records[`_${port}._tcp.${HOST}`] = { TLSA: tlsa };
    if (id !== undefined) records[`_mta-sts.${DOMAIN}`] = { TXT: [`v=STSv1; id=${id};`] };
    return {
      [DOMAIN]: {
        signed,
        records,
        ...(bogusTlsa ? { bogus: `_${port}._tcp.${HOST}` } : {}),
        ...(delegated ? { delegated: `_tcp.${HOST}` } : {}),
      },
    };
  };

const policy = (mode: string, mx = HOST): string =>
  `version: STSv1\nmode: ${mode}\nmx: ${mx}\nmax_age: 604800\n`;
const keptPolicy = (mode: 'enforce' | 'testing'): KeptPolicy => ({
  policy: { id: '1', mode, mx: [HOST], maxAge: 604_800 },
  fetched: Math.floor(Date.now() / 1000) - 1000,
  failed: null,
});

const TO = `you@${DOMAIN}`;
const delivered = (by: string): { readonly [to: string]: RegExp } => ({
  [TO]: new RegExp(`^delivered, verified by ${by}$`),
});
const deferred = (why: RegExp): { readonly [to: string]: RegExp } => ({
  [TO]: new RegExp(`^deferred: .*${why.source}`),
});

const MISMATCH = /does not match its TLSA records/;
const NOT_TRUSTED = /self-signed certificate/;

export const CASES: readonly PolicyCase[] = [
  {
    statement: 0,
    name: 'TLSA records match',
    zones: zone({ tlsa: MATCHING }),
    server: mail,
    ends: delivered('dane'),
  },
  {
    statement: 0,
    name: 'an enforced policy is kept',
    zones: zone({ signed: false, id: '1' }),
    policy: policy('enforce'),
    server: mail,
    ends: delivered('sts'),
  },
  {
    statement: 1,
    name: 'TLSA mismatch, valid MTA-STS policy',
    zones: zone({ tlsa: OTHER, id: '1' }),
    policy: policy('enforce'),
    server: mail,
    ends: deferred(MISMATCH),
  },
  {
    statement: 2,
    name: 'a kept policy, and the record is gone',
    zones: zone({ signed: false }),
    kept: keptPolicy('enforce'),
    server: selfSigned,
    ends: deferred(NOT_TRUSTED),
  },
  {
    statement: 2,
    name: 'a kept policy, a new record, and the web server fails',
    zones: zone({ signed: false, id: '2' }),
    kept: keptPolicy('enforce'),
    policy: 503,
    server: selfSigned,
    ends: deferred(NOT_TRUSTED),
  },
  {
    statement: 3,
    name: 'a new id: the new policy counts at once',
    zones: zone({ signed: false, id: '2' }),
    kept: keptPolicy('testing'),
    policy: policy('enforce'),
    server: selfSigned,
    ends: deferred(NOT_TRUSTED),
  },
  {
    statement: 3,
    name: 'the same id and another file: the old policy stands',
    zones: zone({ signed: false, id: '1' }),
    kept: keptPolicy('enforce'),
    policy: policy('none'),
    server: selfSigned,
    ends: deferred(NOT_TRUSTED),
  },
  {
    statement: 4,
    name: 'MX outside the enforced policy',
    zones: zone({ signed: false, id: '1' }),
    policy: policy('enforce', 'other.example'),
    server: mail,
    ends: deferred(/lists none of its mail hosts/),
  },
  {
    statement: 4,
    name: 'MX outside a policy in testing',
    zones: zone({ signed: false, id: '1' }),
    policy: policy('testing', 'other.example'),
    server: selfSigned,
    ends: delivered('nobody'),
  },
  {
    statement: 5,
    name: 'a policy without mx is none',
    zones: zone({ signed: false, id: '1' }),
    policy: policy('enforce').replace(/mx:.*\n/, ''),
    server: selfSigned,
    ends: delivered('nobody'),
  },
  {
    statement: 5,
    name: 'a redirect is no policy',
    zones: zone({ signed: false, id: '1' }),
    policy: 301,
    server: selfSigned,
    ends: delivered('nobody'),
  },
  {
    statement: 6,
    name: 'unsigned MX: TLSA is not asked',
    zones: zone({ signed: false, tlsa: OTHER, delegated: true }),
    server: mail,
    ends: delivered('pkix'),
  },
  {
    statement: 7,
    name: 'signed MX and address, TLSA fails to validate',
    zones: zone({ tlsa: MATCHING, bogusTlsa: true }),
    server: mail,
    ends: deferred(/the TLSA records of mx1.hosts.example cannot be looked up/),
  },
  {
    statement: 7,
    name: 'an NXDOMAIN that is not secure',
    zones: zone({ delegated: true }),
    server: selfSigned,
    ends: delivered('nobody'),
  },
  {
    statement: 7,
    name: 'a proved denial',
    zones: zone({}),
    server: null,
    ends: delivered('-'),
  },
  {
    statement: 8,
    name: 'only unusable records, certificate unchecked',
    zones: zone({ tlsa: UNUSABLE }),
    server: selfSigned,
    ends: delivered('nobody'),
  },
  {
    statement: 8,
    name: 'only unusable records, no STARTTLS',
    zones: zone({ tlsa: UNUSABLE }),
    server: null,
    ends: deferred(/offers no STARTTLS/),
  },
  {
    statement: 8,
    name: 'only unusable records, and a policy that adds the check',
    zones: zone({ tlsa: UNUSABLE, id: '1' }),
    policy: policy('enforce'),
    server: selfSigned,
    ends: deferred(NOT_TRUSTED),
  },
  {
    statement: 9,
    name: 'a name server that does not validate',
    zones: zone({ tlsa: OTHER }),
    server: mail,
    validates: false,
    ends: delivered('pkix'),
  },
  {
    statement: 10,
    name: 'two domains share a host, one enforces',
    zones: (port) => ({
      ...zone({ signed: false, id: '1' })(port),
      'other.example': {
        signed: false,
        records: { 'other.example': { MX: [{ preference: 10, exchange: HOST }] } },
      },
    }),
    policy: policy('enforce'),
    server: selfSigned,
    ends: { ...deferred(NOT_TRUSTED), 'you@other.example': /^delivered, verified by nobody$/ },
  },
];

async function startPolicyServer(served: string | number | undefined): Promise<Server> {
  const server = createServer({ key: mail.key, cert: mail.cert }, (_request, response) => {
    const status = typeof served === 'number' ? served : served === undefined ? 404 : 200;
    const headers = { 'content-type': 'text/plain', ...(status === 301 ? { location: '/elsewhere' } : {}) };
    response.writeHead(status, headers).end(typeof served === 'string' ? served : 'nothing');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Name servers for one case: `servers` as the setting `dns` has them. */
export interface NameServers {
  readonly server: string;
  close(): Promise<void>;
}

/** What became of each recipient. */
export async function deliverCase(
  given: PolicyCase,
  serve: (zones: Zones, validates: boolean) => Promise<NameServers>,
): Promise<{ readonly [recipient: string]: string }> {
  const mailServer: MailServer = await startSmtpServer({
    name: HOST,
    ...(given.server === null ? {} : { starttls: given.server }),
  });
  const policyServer = await startPolicyServer(given.policy);
  const dns = await serve(given.zones(mailServer.port), given.validates !== false);
  try {
    return await deliverWith(
      given,
      dns.server,
      mailServer.port,
      (policyServer.address() as AddressInfo).port,
    );
  } finally {
    await dns.close();
    policyServer.closeAllConnections();
    policyServer.close();
    await mailServer.close();
  }
}

async function deliverWith(given: PolicyCase, dns: string, mxPort: number, policyPort: number) {
  const clock = systemClock;
  const resolver = createResolver({ servers: [dns], timeout: 8000, tries: 2, clock, dane: 'trust' });
  const cache = memoryStsCache();
  if (given.kept !== undefined) cache.write(DOMAIN, given.kept);
  const policies = new StsPolicies({
    ...{ resolver, cache, clock, warn: () => {} },
    fetch: (domain, addresses, signal) =>
      fetchStsPolicy(domain, { addresses, port: policyPort, ca: [testCa], signal }),
  });
  const settings = settingsWith({ 'mx-port': String(mxPort) });
  const rules = rulesFrom(settings, {
    ...{ hostname: 'me.example', ehloName: 'me.example', relays: [], charset: unknown8bit },
    ...{ certificates: [testCa], signer: null, warnings: [], interfaces: [] },
  });
  const lists = [queuedFor(...Object.keys(given.ends))] as const;
  const { timeline } = await perform(
    { lists, payload: payloadOf(MAIL), rules, now: Date.now(), force: true },
    { resolver: { ...resolver, sts: policies.lookup }, connect, clock, random: Math.random },
    new Promise<string>(() => {}),
    (done) => done,
  );
  policies.close();
  return Object.fromEntries(
    timeline.outcomes.map(({ address, outcome, tls }) => [
      address,
      outcome.kind === 'delivered'
        ? `delivered, verified by ${tls?.verified ?? '-'}`
        : `${outcome.permanent ? 'refused' : 'deferred'}: ${outcome.text}`,
    ]),
  );
}
