/**
 * The resolver for real name servers: Node's DNS client (c-ares) with a deadline for each lookup, one query for identical
 * lookups in flight, and a cache. It never rejects: a lookup that failed is a value. What DNSSEC has proved is asked by
 * stub-resolver.ts instead, which shows it and costs several times as much, where the name servers are trusted to validate.
 *
 * c-ares gives the time to live of addresses but not of MX records, so MX answers are cached for a minute: long enough for a
 * queue run, and short enough after a change. Failures are cached for half a minute, so that a thousand messages to a dead
 * domain do not all wait for the deadline.
 */
import type { promises } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { Clock } from '../clock.ts';
import { hostKey, type LookupError, type LookupResult, type Resolver } from '../dns.ts';
import { type DelayedCalls, delayedCalls } from '../timers.ts';
import { createHostsFile } from './hosts-file.ts';
import type { RecordData, RecordType } from './packet.ts';
import { candidates, readSearchList } from './search-list.ts';
import type { StubLookup } from './stub-resolver.ts';
import { type DaneSetting, nameServer, trustsAnswers } from './trust.ts';

export interface ResolverOptions {
  /** name servers: ADDRESS, ADDRESS:PORT or [IPV6]:PORT; default: those of the system */
  readonly servers?: readonly string[];
  /** deadline of one lookup with all its tries, milliseconds */
  readonly timeout: number;
  /** queries to each server within that time */
  readonly tries: number;
  readonly clock: Clock;
  /** default: /etc/hosts */
  readonly hostsFile?: string;
  /** default: /etc/resolv.conf, of which only the search list and `trust-ad` are read here */
  readonly resolvConf?: string;
  /** whether the name servers' word about DNSSEC counts; default: off */
  readonly dane?: DaneSetting;
}

export interface SystemResolver extends Resolver {
  /** TXT records, the strings of each joined */
  txt(name: string): Promise<LookupResult<string>>;
  /** whether the name servers' word about DNSSEC counts */
  isTrusted(): Promise<boolean>;
}

/** How long an answer is cached, milliseconds: for its time to live where that is known, at most `longest`. */
const LIFETIMES = { untimed: 60_000, failure: 30_000, longest: 3_600_000 } as const;

/** Most answers cached; the oldest are removed first. */
const CACHE_SIZE = 10_000;

/** After this many milliseconds the system's list of name servers is read again. */
const CHANNEL_LIFETIME = 60_000;

/** Errors of c-ares and Node; any other is a local fault. */
const LOOKUP_ERRORS: ReadonlyMap<string, LookupError> = new Map([
  ['ENOTFOUND', 'no-domain'],
  ['ENODATA', 'no-data'],
  ['ESERVFAIL', 'server-failure'],
  ['ENOTIMP', 'server-failure'],
  ['EREFUSED', 'refused'],
  ['ETIMEOUT', 'timeout'],
  ['EBADRESP', 'bad-answer'],
  ['EFORMERR', 'bad-answer'],
  ['EBADNAME', 'bad-answer'],
]);

/** Letters, digits, hyphens and underscores. c-ares would cut a name at a NUL and ask for another one. */
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** The result of a query and how long it may be cached, milliseconds. */
interface QueryResult<T> {
  readonly lookup: LookupResult<T>;
  readonly lifetime: number;
}

/** Throws a RangeError when an entry of `options.servers` is not an address. */
export function createResolver(options: ResolverOptions): SystemResolver {
  const { clock, timeout, hostsFile = '/etc/hosts', resolvConf = '/etc/resolv.conf' } = options;
  const channel = channels(options, resolvConf);
  const hosts = createHostsFile(hostsFile, clock);
  const deadlines = delayedCalls(clock, timeout);

  /** With what DNSSEC proves, where the servers are trusted; else by `otherwise`. */
  const proved = async <K extends RecordType>(
    type: K,
    name: string,
    otherwise: () => Promise<QueryResult<RecordData[K]>>,
  ): Promise<QueryResult<RecordData[K]>> => {
    const { stub } = await channel();
    return stub === null ? otherwise() : stubResult(await stub(name, type));
  };

  const mx = cached(clock, deadlines, (name) =>
    proved('MX', name, async () => {
      const { cares } = await channel();
      const records = await cares.resolveMx(name);
      const plain = records.map(({ exchange, priority }) => ({
        exchange: hostKey(exchange),
        preference: priority,
      }));
      return queryResult(distinct(plain), LIFETIMES.untimed);
    }),
  );

  const txt = cached(clock, deadlines, async (name) => {
    const { cares } = await channel();
    const records = await cares.resolveTxt(name);
    return queryResult(
      records.map((strings) => strings.join('')),
      LIFETIMES.untimed,
    );
  });

  const tlsa = cached(clock, deadlines, (name) =>
    proved('TLSA', name, () => Promise.resolve(failure('local-fault'))),
  );

  type AddressQuery = (name: string, family: 4 | 6) => Promise<QueryResult<string>>;

  const whole: AddressQuery = async (name, family) => {
    const { cares } = await channel();
    const records = await (family === 4
      ? cares.resolve4(name, { ttl: true })
      : cares.resolve6(name, { ttl: true }));
    const seconds = Math.min(...records.map(({ ttl }) => ttl));
    return queryResult(distinct(records.map(({ address }) => address)), lifetime(seconds));
  };

  /** The first name that exists, for both families the same, or that cannot be looked up. */
  const searched: AddressQuery = async (name, family) => {
    for (const each of candidates(name, await readSearchList(resolvConf, hostname()))) {
      const answer = await whole(each, family).catch(failureOf);
      if (answer.lookup.kind === 'found' || answer.lookup.fault !== 'no-domain') return answer;
    }
    return failure('no-domain');
  };

  const addressesBy = (ask: AddressQuery) => {
    const of = (family: 4 | 6) =>
      cached(clock, deadlines, async (name) => {
        const local = await hosts.addresses(name);
        if (local === null) return ask(name, family);
        return queryResult(
          local.filter((address) => isIP(address) === family),
          0,
        );
      });
    return { 4: of(4), 6: of(6) };
  };
  const addresses = {
    whole: addressesBy(whole),
    searched: addressesBy(searched),
    proved: addressesBy((name, family) =>
      proved(family === 4 ? 'A' : 'AAAA', name, () => whole(name, family)),
    ),
  };

  return {
    mx,
    txt,
    ...(options.dane === undefined || options.dane === 'off' ? {} : { tlsa }),
    addresses: (name, family, how = 'whole') =>
      addresses[how === 'searched' && name.endsWith('.') ? 'whole' : how][family](name),
    isTrusted: async () => (await channel()).stub !== null,
  };
}

/** One kind of lookup with its cache. The cache holds promises, so that identical lookups in flight share one query. */
function cached<T>(
  clock: Clock,
  deadlines: DelayedCalls,
  ask: (name: string) => Promise<QueryResult<T>>,
): (name: string) => Promise<LookupResult<T>> {
  const cache = new Map<string, { readonly lookup: Promise<LookupResult<T>>; expires: number }>();

  async function lookup(name: string): Promise<LookupResult<T>> {
    const answer = await beforeDeadline(deadlines, ask(name).catch(failureOf));
    const entry = cache.get(name);
    if (entry !== undefined) entry.expires = clock.monotonic() + answer.lifetime;
    return answer.lookup;
  }

  return (given) => {
    const name = hostKey(given);
    if (!NAME.test(name)) return Promise.resolve({ kind: 'failed', fault: 'bad-answer' });
    const kept = cache.get(name);
    if (kept !== undefined && clock.monotonic() < kept.expires) return kept.lookup;
    cache.delete(name);
    for (const oldest of cache.keys()) {
      if (cache.size < CACHE_SIZE) break;
      cache.delete(oldest);
    }
    const entry = { lookup: lookup(name), expires: Number.POSITIVE_INFINITY };
    cache.set(name, entry);
    return entry.lookup;
  };
}

function beforeDeadline<T>(
  deadlines: DelayedCalls,
  answer: Promise<QueryResult<T>>,
): Promise<QueryResult<T>> {
  return new Promise((resolve, reject) => {
    const expire = (): void => resolve(failure('timeout'));
    deadlines.add(expire);
    answer.then((result) => {
      deadlines.delete(expire);
      resolve(result);
    }, reject);
  });
}

type Stub = <K extends RecordType>(name: string, type: K) => Promise<StubLookup<RecordData[K]>>;

/** The way to the name servers; `stub` is null where their word about DNSSEC does not count. */
interface Channel {
  readonly cares: promises.Resolver;
  readonly stub: Stub | null;
}

/** Returns the channel, made when first needed and renewed so that a changed resolv.conf is noticed. */
function channels(
  { servers = [], timeout, tries, clock, dane = 'off' }: ResolverOptions,
  resolvConf: string,
): () => Promise<Channel> {
  const bad = servers.find((server) => nameServer(server) === null);
  if (bad !== undefined)
    throw new RangeError(`"${bad}" is not a name server: ADDRESS or ADDRESS:PORT is needed`);
  let channel: Promise<Channel> | null = null;
  let renewal = 0;

  const open = async (): Promise<Channel> => {
    const { promises } = await import('node:dns');
    const asked = (servers.length > 0 ? servers : new promises.Resolver().getServers()).flatMap(
      (server) => nameServer(server) ?? [],
    );
    // The servers are asked in turn, and the timeout doubles with each round.
    const first = Math.ceil(timeout / (Math.max(1, asked.length) * (2 ** tries - 1)));
    const cares = new promises.Resolver({ timeout: first, tries });
    if (servers.length > 0) cares.setServers(servers);
    const text =
      servers.length > 0 || dane !== 'auto' ? null : await readFile(resolvConf, 'latin1').catch(() => '');
    const isTrusted = trustsAnswers(
      dane,
      asked.map(({ address }) => address),
      text,
    );
    if (!isTrusted) return { cares, stub: null };
    const { lookup } = await import('./stub-resolver.ts');
    const rounds = Array.from({ length: tries }, (_, round) => delayedCalls(clock, first * 2 ** round));
    return { cares, stub: (name, type) => lookup(name, type, { servers: asked, rounds }) };
  };

  return () => {
    if (channel !== null && clock.monotonic() < renewal) return channel;
    renewal = clock.monotonic() + CHANNEL_LIFETIME;
    channel = open();
    return channel;
  };
}

/** An empty answer counts as `no-data` (C37). */
function queryResult<T>(records: readonly T[], lifetime: number): QueryResult<T> {
  return records.length === 0 ? failure('no-data') : { lookup: { kind: 'found', records }, lifetime };
}

/** What the stub resolver was answered; its records count for their time to live. */
function stubResult<T>(answer: StubLookup<T>): QueryResult<T> {
  const { lookup, ttl } = answer;
  if (lookup.kind === 'failed') return { lookup, lifetime: LIFETIMES.failure };
  return { lookup: { ...lookup, records: distinct(lookup.records) }, lifetime: lifetime(ttl) };
}

function lifetime(seconds: number): number {
  return Math.min(seconds * 1000, LIFETIMES.longest);
}

function failure(fault: LookupError): QueryResult<never> {
  return { lookup: { kind: 'failed', fault }, lifetime: LIFETIMES.failure };
}

/** Errors without a code are bugs and stay errors. */
function failureOf(error: unknown): QueryResult<never> {
  if (!(error instanceof Error) || !('code' in error)) throw error;
  return failure(LOOKUP_ERRORS.get(String(error.code)) ?? 'local-fault');
}

/** Without duplicates, in the order received. */
function distinct<T>(records: readonly T[]): readonly T[] {
  if (records.length < 2) return records;
  return [...new Map(records.map((record) => [JSON.stringify(record), record])).values()];
}
