/**
 * Counts of sessions by what the policies of a domain made of them, and the report of a day (RFC 8460 4). Pure: plain data, as it
 * is kept on the disk.
 */

/** RFC 8460 4.3. */
export type ResultType =
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-not-trusted'
  | 'certificate-expired'
  | 'validation-failure'
  | 'tlsa-invalid'
  | 'dnssec-invalid'
  | 'sts-policy-fetch-error'
  | 'sts-policy-invalid'
  | 'sts-webpki-invalid';

export interface ReportedPolicy {
  readonly type: 'tlsa' | 'sts' | 'no-policy-found';
  /** the domain that the policy is about: of a TLSA record, the host */
  readonly domain: string;
  /** the records, or the lines of the MTA-STS policy */
  readonly strings: readonly string[];
  /** what the MTA-STS policy lists */
  readonly mx: readonly string[];
}

/** One session, or one lookup that failed. */
export interface TlsFact {
  /** the recipient's domain, which gets the report */
  readonly domain: string;
  readonly policy: ReportedPolicy;
  /** null: the session did as the policy demands */
  readonly failure: ResultType | null;
  /** more than the type says, in one word */
  readonly reason?: string;
  /** the mail host and its address, where there was one */
  readonly host?: string;
  readonly address?: string;
}

export interface FailureTally {
  readonly type: ResultType;
  readonly reason?: string;
  readonly host?: string;
  readonly address?: string;
  count: number;
}

export interface PolicyTally {
  readonly policy: ReportedPolicy;
  successes: number;
  readonly failures: FailureTally[];
}

/** By the recipient's domain. */
export type DayTally = Map<string, PolicyTally[]>;

/** Kinds of failure that are told apart for one policy; the others count with the last. */
const MOST_KINDS = 100;

export function addFact(day: DayTally, { domain, policy, failure, ...where }: TlsFact): void {
  const tally = policyTally(day, domain, policy);
  if (failure === null) tally.successes++;
  else addFailure(tally, { type: failure, ...pick(where), count: 1 });
}

/** Adds the counts of another process, or of an earlier hour. */
export function addTally(day: DayTally, other: DayTally): void {
  for (const [domain, policies] of other)
    for (const { policy, successes, failures } of policies) {
      const tally = policyTally(day, domain, policy);
      tally.successes += successes;
      for (const failure of failures) addFailure(tally, failure);
    }
}

function policyTally(day: DayTally, domain: string, policy: ReportedPolicy): PolicyTally {
  const policies = day.get(domain) ?? [];
  day.set(domain, policies);
  const key = JSON.stringify(policy);
  const known = policies.find((each) => JSON.stringify(each.policy) === key);
  if (known !== undefined) return known;
  const tally = { policy, successes: 0, failures: [] };
  policies.push(tally);
  return tally;
}

function addFailure({ failures }: PolicyTally, failure: FailureTally): void {
  const { type, reason, host, address } = failure;
  const known = failures.find(
    (each) => each.type === type && each.reason === reason && each.host === host && each.address === address,
  );
  if (known !== undefined) known.count += failure.count;
  else if (failures.length < MOST_KINDS) failures.push({ ...failure });
  else {
    const last = failures.at(-1);
    if (last !== undefined) last.count += failure.count;
  }
}

type Where = Pick<TlsFact, 'reason' | 'host' | 'address'>;

function pick({ reason, host, address }: Where): Where {
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(host === undefined ? {} : { host }),
    ...(address === undefined ? {} : { address }),
  };
}

export function failuresOf({ failures }: PolicyTally): number {
  return failures.reduce((sum, { count }) => sum + count, 0);
}

export interface Reporter {
  /** our name */
  readonly hostname: string;
  /** an address for questions */
  readonly contact: string;
}

/** The report about one domain as RFC 8460 4.4 has it. `day`: `2026-11-28`, UTC. */
export function tlsReport(
  day: string,
  domain: string,
  policies: readonly PolicyTally[],
  { hostname, contact }: Reporter,
) {
  return {
    'organization-name': hostname,
    'date-range': { 'start-datetime': `${day}T00:00:00Z`, 'end-datetime': `${day}T23:59:59Z` },
    'contact-info': contact,
    'report-id': `${day}.${domain}@${hostname}`,
    policies: policies.map((tally) => ({
      policy: {
        'policy-type': tally.policy.type,
        'policy-string': tally.policy.strings,
        'policy-domain': tally.policy.domain,
        ...(tally.policy.mx.length === 0 ? {} : { 'mx-host': tally.policy.mx }),
      },
      summary: {
        'total-successful-session-count': tally.successes,
        'total-failure-session-count': failuresOf(tally),
      },
      ...(tally.failures.length === 0
        ? {}
        : {
            'failure-details': tally.failures.map(({ type, reason, host, address, count }) => ({
              'result-type': type,
              ...(host === undefined ? {} : { 'receiving-mx-hostname': host }),
              ...(address === undefined ? {} : { 'receiving-ip': address }),
              'failed-session-count': count,
              ...(reason === undefined ? {} : { 'failure-reason-code': reason }),
            })),
          }),
    })),
  };
}

/** Where a domain wants its reports: the `rua` of its one TLSRPT record (RFC 8460 3); none without exactly one. */
export function reportAddresses(records: readonly string[]): readonly string[] {
  const [record, ...others] = records.filter((text) => /^v=TLSRPTv1[ \t]*;/.test(text));
  if (record === undefined || others.length > 0) return [];
  const rua = record
    .split(';')
    .map((field) => field.trim())
    .find((field) => field.startsWith('rua='));
  const uris =
    rua
      ?.slice(4)
      .split(',')
      .map((uri) => uri.trim()) ?? [];
  return uris.filter((uri) => (/^https:\/\//i.test(uri) ? URL.canParse(uri) : mailtoAddress(uri) !== null));
}

/** The address of a `mailto:` URI; null: it is none. What a stranger encoded must not break out of a header line. */
export function mailtoAddress(uri: string): string | null {
  try {
    const address = decodeURIComponent(/^mailto:(.*)$/i.exec(uri)?.[1] ?? '');
    return /^[^\s<>@,?\0-\x1f\x7f]+@[^\s<>@,?\0-\x1f\x7f]+$/.test(address) ? address : null;
  } catch {
    // A percent sign that encodes nothing.
    return null;
  }
}
