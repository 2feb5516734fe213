/** Sees from the trace of deliveries what the policies of domains made of each session, and counts it by day (UTC). */
import type { DeliveryAttempt } from '../delivery/attempt.ts';
import type { Observer, Traced } from '../delivery/trace.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { StsPolicy } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { Failure } from '../smtp/outcome.ts';
import { tlsaText } from '../tls-policy/tlsa.ts';
import { addFact, type DayTally, type ReportedPolicy, type ResultType, type TlsFact } from './tally.ts';

/** Milliseconds from the first count to the file. */
const FLUSH_AFTER = 60_000;

export class TlsCounter {
  readonly #clock: Clock;
  readonly #write: (day: string, counts: DayTally) => void;
  readonly #policies = new Map<string, StsPolicy>();
  #days = new Map<string, DayTally>();
  #timer: Timer | null = null;

  /** `write` adds to what is known of the day. */
  constructor(clock: Clock, write: (day: string, counts: DayTally) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  readonly observer: Observer = {
    initiation: (attempts, event) => this.#observeInitiation(attempts, event),
    lookup: (attempts, event) => this.#observeLookup(attempts, event),
    failure: (attempts, { event }) => {
      if (event.type === 'no-hosts') this.#observeNoHosts(attempts, event.failure);
    },
  };

  /** The policy of a domain could not be fetched. */
  fetchFailed(domain: string, failure: ResultType): void {
    const policy = { type: 'sts', domain, strings: [], mx: [] } as const;
    this.#add({ domain, policy, failure });
  }

  /** What is counted so far is in the files. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const days = this.#days;
    this.#days = new Map();
    for (const [day, counts] of days) this.#write(day, counts);
  }

  #observeInitiation(attempts: readonly DeliveryAttempt[], { event, step }: Traced<'session'>): void {
    const row = step.rows.find((each) => RESULTS.has(each));
    const resultOf = row === undefined ? undefined : RESULTS.get(row);
    const [attempt] = attempts;
    if (resultOf === undefined || attempt === undefined) return;
    const host = hostOf(attempt);
    if (host === undefined || attempt.destination.kind !== 'mx') return;
    // Nobody asked for the policies of the domain.
    if (attempt.tlsWish === 'waived') return;
    const policy = this.#policyOf(host, attempt.destination.domain);
    const result = resultOf({ event, step, host, type: policy.type });
    if (result === null) return;
    const { address } = step.session.peer;
    const where = { host: host.name, ...(address === null ? {} : { address }) };
    this.#add({ domain: attempt.destination.domain, policy, ...result, ...where });
  }

  #observeLookup([attempt]: readonly DeliveryAttempt[], { question, name, answer }: Traced<'lookup'>): void {
    if (question === 'sts') {
      const policy = answer.kind === 'found' ? answer.records[0] : undefined;
      if (typeof policy === 'object' && 'mode' in policy) this.#policies.set(name, policy);
      else this.#policies.delete(name);
    }
    if (question !== 'tlsa' || answer.kind === 'found' || attempt?.destination.kind !== 'mx') return;
    if (answer.fault === 'no-data' || answer.fault === 'no-domain') return;
    const host = name.replace(/^_\d+\._tcp\./, '');
    const policy = { type: 'tlsa', domain: host, strings: [], mx: [] } as const;
    this.#add({ domain: attempt.destination.domain, policy, failure: 'dnssec-invalid', host });
  }

  /** A policy that lists none of the hosts leaves none to begin a session with. */
  #observeNoHosts([attempt]: readonly DeliveryAttempt[], { permanent, stage }: Failure): void {
    if (attempt?.destination.kind !== 'mx') return;
    const { domain } = attempt.destination;
    const sts = this.#policies.get(domain);
    if (sts?.mode !== 'enforce' || permanent || stage !== 'routing') return;
    this.#add({ domain, policy: stsPolicy(domain, sts), ...MX_MISMATCH });
  }

  #policyOf({ policy, protection, name }: Host, domain: string): ReportedPolicy {
    if (protection?.demands === 'dane') {
      const strings = protection.records.map(tlsaText);
      return { type: 'tlsa', domain: protection.names[0] ?? name, strings, mx: [] };
    }
    if (protection?.demands === 'encryption') return { type: 'tlsa', domain: name, strings: [], mx: [] };
    const sts = this.#policies.get(domain);
    if (policy?.sts !== undefined)
      return sts === undefined ? { type: 'sts', domain, strings: [], mx: [] } : stsPolicy(domain, sts);
    return { type: 'no-policy-found', domain, strings: [], mx: [] };
  }

  #add(fact: TlsFact): void {
    const day = new Date(this.#clock.now()).toISOString().slice(0, 10);
    const counts = this.#days.get(day) ?? new Map();
    this.#days.set(day, counts);
    addFact(counts, fact);
    this.#timer ??= this.#clock.after(FLUSH_AFTER, () => this.flush());
  }
}

function hostOf({ delivery }: DeliveryAttempt): Host | undefined {
  const host = delivery.hosts[delivery.host];
  return host?.origin === 'mx' || host?.origin === 'domain' ? host : undefined;
}

function stsPolicy(domain: string, { mode, mx, maxAge }: StsPolicy): ReportedPolicy {
  const strings = [
    'version: STSv1',
    `mode: ${mode}`,
    ...mx.map((each) => `mx: ${each}`),
    `max_age: ${maxAge}`,
  ];
  return { type: 'sts', domain, strings, mx };
}

type Result = Pick<TlsFact, 'failure' | 'reason'>;
type Step = Pick<Traced<'session'>, 'event' | 'step'> & {
  readonly host: Host;
  readonly type: ReportedPolicy['type'];
};

const SUCCESS: Result = { failure: null };
const MX_MISMATCH: Result = { failure: 'validation-failure', reason: 'mx-mismatch' };
const NOT_SUPPORTED: Result = { failure: 'starttls-not-supported' };

const tlsFailed = ({ event }: Step): Result =>
  failureOf(event.type === 'tls-failed' ? event.code : undefined);

/** Rows of the session table after which it is known how TLS went; null: nothing to count. */
const RESULTS: ReadonlyMap<string, (step: Step) => Result | null> = new Map(
  Object.entries({
    'tls-established': ({ event, host, type }) => {
      if (host.protection?.demands === 'encryption') return { failure: 'tlsa-invalid' };
      if (type !== 'sts') return SUCCESS;
      if (host.policy?.unlisted === true) return MX_MISMATCH;
      const facts = event.type === 'secured' ? event.tls : undefined;
      return facts?.proof == null ? failureOf(facts?.problem) : SUCCESS;
    },
    'tls-failed': tlsFailed,
    'tls-failed-late': tlsFailed,
    'tls-failed-required': tlsFailed,
    'starttls-declined': () => NOT_SUPPORTED,
    'starttls-refused': () => NOT_SUPPORTED,
    'tls-missing': () => NOT_SUPPORTED,
    // Clear text from the beginning is a failure only of those who say that they have TLS.
    'session-ready': ({ step: { session }, type }) =>
      session.secure || session.tlsDeclined || session.policy.tls === 'none' || type === 'no-policy-found'
        ? null
        : NOT_SUPPORTED,
  } satisfies { readonly [row: string]: (step: Step) => Result | null }),
);

const CODES: { readonly [code: string]: ResultType } = {
  CERT_HAS_EXPIRED: 'certificate-expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate-host-mismatch',
  HOSTNAME_MISMATCH: 'certificate-host-mismatch',
  TLSA_MISMATCH: 'validation-failure',
};

function failureOf(code: string | undefined): Result {
  if (code === undefined) return { failure: 'validation-failure' };
  return { failure: CODES[code] ?? 'certificate-not-trusted', reason: code };
}
