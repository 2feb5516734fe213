/**
 * What DANE and MTA-STS together demand of the connection to a mail host, as a table; printed into techdoc/tls-policy.md. Pure.
 * DANE comes first: MTA-STS never makes good what fails it (RFC 8461 2).
 */
import type { TlsaRecord } from '#net-stream-utils';
import type { LookupResult, StsPolicy } from '../platform/dns.ts';
import type { Host, HostPolicy, Protection } from '../routing/hosts.ts';
import { listsHost } from './sts-policy.ts';
import { usableRecords } from './tlsa.ts';

/** What is known of a host's TLSA records. */
export const TLSA_FINDINGS = {
  'not asked': 'the MX record or the addresses are not proved by DNSSEC, or DANE is off',
  none: 'there are none: proved, or not secure',
  usable: 'at least one is DANE-EE or DANE-TA with known parameters',
  unusable: 'there are some, and none of them can be used',
  unknown: 'the lookup failed: a server failure, no answer in time, a signature that is wrong',
} as const;

export type TlsaFinding = keyof typeof TLSA_FINDINGS;

/** `none`: no policy, or one that says mode: none. */
export type StsFinding = 'none' | 'testing' | 'enforce';

export interface DecisionRow {
  readonly tlsa: readonly TlsaFinding[];
  readonly sts: readonly StsFinding[];
  readonly demand: 'dane' | 'pkix' | 'encryption' | 'nothing' | 'defer';
  readonly because: string;
}

/** The first row that applies is taken. */
export const DECISIONS: readonly DecisionRow[] = [
  {
    tlsa: ['unknown'],
    sts: ['none', 'testing', 'enforce'],
    demand: 'defer',
    because: 'whoever suppresses the answer must gain nothing (RFC 7672 2.1.2)',
  },
  {
    tlsa: ['usable'],
    sts: ['none', 'testing', 'enforce'],
    demand: 'dane',
    because: 'the records say which certificate is right; a CA has no say (RFC 7672 2.2)',
  },
  {
    tlsa: ['not asked', 'none', 'unusable'],
    sts: ['enforce'],
    demand: 'pkix',
    because: 'the policy demands a certificate for the name of the host (RFC 8461 4.2)',
  },
  {
    tlsa: ['unusable'],
    sts: ['none', 'testing'],
    demand: 'encryption',
    because: 'the records say that the host has TLS, if not with which certificate (RFC 7672 2.2)',
  },
  {
    tlsa: ['not asked', 'none'],
    sts: ['none', 'testing'],
    demand: 'nothing',
    because: 'no policy applies: STARTTLS where it is offered, or what the settings say',
  },
];

export function decide(tlsa: TlsaFinding, sts: StsFinding): DecisionRow['demand'] {
  const row = DECISIONS.find((each) => each.tlsa.includes(tlsa) && each.sts.includes(sts));
  if (row === undefined) throw new Error(`no row for ${tlsa}, ${sts}`);
  return row.demand;
}

/** The protection of a host; null: it cannot be contacted now. @param names for which a certificate under DANE-TA may be */
export function protectionOf(
  policy: HostPolicy,
  answer: LookupResult<TlsaRecord> | null,
  names: readonly string[],
): Protection | 'nothing' | null {
  const usable = answer?.kind === 'found' ? usableRecords(answer.records) : [];
  const demands = decide(tlsaFinding(answer, usable), policy.sts ?? 'none');
  if (demands === 'defer') return null;
  if (demands === 'dane') return { demands, records: usable, names };
  return demands === 'nothing' ? demands : { demands };
}

/** An answer that is not proved may be anybody's: it counts as none, as in a zone that is not signed (RFC 7672 2.1). */
function tlsaFinding(answer: LookupResult<TlsaRecord> | null, usable: readonly TlsaRecord[]): TlsaFinding {
  if (answer === null) return 'not asked';
  if (answer.kind === 'failed')
    return answer.fault === 'no-data' || answer.fault === 'no-domain' ? 'none' : 'unknown';
  if (answer.secure !== true) return 'none';
  return usable.length > 0 ? 'usable' : 'unusable';
}

/**
 * The hosts of a domain with what its policies say of them. Where MTA-STS is enforced, hosts that it does not list are left
 * out (RFC 8461 5); relays of ours are none of its business.
 * @param secure whether DNSSEC proves that these are the hosts of the domain
 * @param isBySetting whether the settings have a word about the TLS of this host, which counts instead
 */
export function withPolicy(
  hosts: readonly Host[],
  domain: string,
  secure: boolean,
  policy: StsPolicy | null,
  isBySetting: (host: Host) => boolean = () => false,
): readonly Host[] {
  const sts = policy === null || policy.mode === 'none' ? null : policy;
  if (!secure && sts === null) return hosts;
  return hosts.flatMap((host) => {
    if ((host.origin !== 'mx' && host.origin !== 'domain') || isBySetting(host)) return [host];
    const listed = sts === null || listsHost(sts, host.name);
    if (!listed && sts.mode === 'enforce') return [];
    const of: HostPolicy = {
      domain,
      ...(secure ? { secure: true } : {}),
      ...(sts === null ? {} : { sts: sts.mode as 'enforce' | 'testing' }),
      ...(listed ? {} : { unlisted: true }),
    };
    return [{ ...host, policy: of }];
  });
}

/** Connections with equal keys are protected alike; '' is none at all. */
export function protectionKey(protection: Protection | undefined): string {
  if (protection === undefined) return '';
  const required = protection.required === true ? 'required ' : '';
  if (protection.demands !== 'dane') return required + protection.demands;
  // Names count under DANE-TA alone.
  const names = protection.records.some(({ usage }) => usage === 2) ? protection.names : [];
  return required + JSON.stringify([protection.records, names]);
}
