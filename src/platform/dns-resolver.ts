/**
 * The real Resolver: Node's DNS client (c-ares) with a deadline for each lookup, one query for identical lookups
 * in flight, and a memory of answers. The dispatcher and `check` ask it. It never rejects, never guesses: what
 * was not proven is a fault, and what a fault means for the mail is decided in plan/.
 *
 * c-ares tells the time to live of addresses but not of MX records, so MX answers are kept for a fixed minute:
 * long enough for one queue run, short enough that nobody waits for it after a move. Failures are kept for half
 * a minute, so that the thousandth message to a dead domain does not wait out its deadline again.
 */
import type { promises } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from './clock.ts';
import type { LookupError, LookupResult, Resolver } from './dns.ts';
import { createHostsFile } from './hosts-file.ts';

export interface ResolverOptions {
  /** name servers: ADDRESS, ADDRESS:PORT or [IPV6]:PORT; default: those of the system */
  readonly servers?: readonly string[];
  /** milliseconds one lookup may take, with all its tries */
  readonly timeout: number;
  /** how often each server is asked within that time */
  readonly tries: number;
  readonly clock: Clock;
  /** default: /etc/hosts */
  readonly hostsFile?: string;
}

/** Milliseconds an answer is kept; addresses by their own time to live, but not longer than `longest`. */
const LIFETIMES = { mx: 60_000, failure: 30_000, longest: 3_600_000 } as const;

/** Answers kept at most. The oldest goes first. */
const CACHE_SIZE = 10_000;

/** After this many milliseconds the system's list of name servers is read again. */
const CHANNEL_LIFETIME = 60_000;

/** What c-ares and Node report; everything else is trouble on this machine. */
const FAULTS: ReadonlyMap<string, LookupError> = new Map([
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

/** An answer and how many milliseconds it may be kept. */
interface Answer<T> {
  readonly lookup: LookupResult<T>;
  readonly lifetime: number;
}

type Channel = promises.Resolver;

/** Throws when a name server in `options.servers` is no address: a setting nobody checked. */
export function createResolver(options: ResolverOptions): Resolver {
  const { clock, timeout, hostsFile = '/etc/hosts' } = options;
  const channel = channels(options);
  const hosts = createHostsFile(hostsFile, clock);

  const mx = remembering(clock, timeout, async (name) => {
    const records = await (await channel()).resolveMx(name);
    const plain = records.map(({ exchange, priority }) => ({
      exchange: plainName(exchange),
      preference: priority,
    }));
    return answerOf(distinct(plain), LIFETIMES.mx);
  });

  const addressesOf = (family: 4 | 6) =>
    remembering(clock, timeout, async (name) => {
      const local = await hosts.addresses(name);
      if (local !== null)
        return answerOf(
          local.filter((address) => isIP(address) === family),
          0,
        );
      const dns = await channel();
      const records = await (family === 4
        ? dns.resolve4(name, { ttl: true })
        : dns.resolve6(name, { ttl: true }));
      const seconds = Math.min(...records.map(({ ttl }) => ttl));
      return answerOf(
        distinct(records.map(({ address }) => address)),
        Math.min(seconds * 1000, LIFETIMES.longest),
      );
    });
  const addresses = { 4: addressesOf(4), 6: addressesOf(6) };

  return { mx, addresses: (name, family) => addresses[family](name) };
}

/** One kind of lookup with its memory: from the first question on, a promise stands for the answer. */
function remembering<T>(
  clock: Clock,
  timeout: number,
  ask: (name: string) => Promise<Answer<T>>,
): (name: string) => Promise<LookupResult<T>> {
  const memory = new Map<string, { readonly lookup: Promise<LookupResult<T>>; expires: number }>();

  async function lookup(name: string): Promise<LookupResult<T>> {
    const answer = await beforeDeadline(clock, timeout, ask(name).catch(failureOf));
    const entry = memory.get(name);
    if (entry !== undefined) entry.expires = clock.monotonic() + answer.lifetime;
    return answer.lookup;
  }

  return (asked) => {
    const name = plainName(asked);
    if (!NAME.test(name)) return Promise.resolve({ kind: 'failed', fault: 'bad-answer' });
    const kept = memory.get(name);
    if (kept !== undefined && clock.monotonic() < kept.expires) return kept.lookup;
    memory.delete(name);
    for (const oldest of memory.keys()) {
      if (memory.size < CACHE_SIZE) break;
      memory.delete(oldest);
    }
    const entry = { lookup: lookup(name), expires: Number.POSITIVE_INFINITY };
    memory.set(name, entry);
    return entry.lookup;
  };
}

function beforeDeadline<T>(clock: Clock, timeout: number, answer: Promise<Answer<T>>): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeout, () => resolve(failure('timeout')));
    answer.finally(() => timer.cancel()).then(resolve, reject);
  });
}

/** A source of c-ares channels: made when first needed, made again so that a changed resolv.conf is noticed. */
function channels({ servers = [], timeout, tries, clock }: ResolverOptions): () => Promise<Channel> {
  const bad = servers.find((server) => !isNameServer(server));
  if (bad !== undefined)
    throw new RangeError(`"${bad}" is no name server: ADDRESS or ADDRESS:PORT is needed`);
  let channel: Channel | null = null;
  let renewal = 0;

  return async () => {
    const { promises } = await import('node:dns');
    if (channel !== null && clock.monotonic() < renewal) return channel;
    renewal = clock.monotonic() + CHANNEL_LIFETIME;
    const asked = servers.length > 0 ? servers : new promises.Resolver().getServers();
    // c-ares asks the servers in turn and doubles its patience with each round
    const first = Math.ceil(timeout / (Math.max(1, asked.length) * (2 ** tries - 1)));
    channel = new promises.Resolver({ timeout: first, tries });
    if (servers.length > 0) channel.setServers(servers);
    return channel;
  };
}

/** `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53` */
function isNameServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const [, six = '', four = '', port = '53'] = /^(?:\[(.+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  return (isIP(six) === 6 || isIP(four) === 4) && Number(port) > 0 && Number(port) < 65_536;
}

/** An empty answer to a question is as good as a proven lack (C37). */
function answerOf<T>(records: readonly T[], lifetime: number): Answer<T> {
  return records.length === 0 ? failure('no-data') : { lookup: { kind: 'found', records }, lifetime };
}

function failure(fault: LookupError): Answer<never> {
  return { lookup: { kind: 'failed', fault }, lifetime: LIFETIMES.failure };
}

/** Errors without a code are bugs and stay errors. */
function failureOf(error: unknown): Answer<never> {
  if (!(error instanceof Error) || !('code' in error)) throw error;
  return failure(FAULTS.get(String(error.code)) ?? 'local-fault');
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** Equal records once, in the order they came; servers are known to repeat them. */
function distinct<T>(records: readonly T[]): readonly T[] {
  return [...new Map(records.map((record) => [JSON.stringify(record), record])).values()];
}
