/** Whether a domain's SPF record lets an address send for it (RFC 7208), as far as can be told without a message. */
import { inNetwork } from '../platform/ip-address.ts';

/** Answers to questions about names; null: the lookup failed. An empty list is a proven lack. */
export interface RecordLookup {
  txt(name: string): Promise<readonly string[] | null>;
  /** IPv4 and IPv6 addresses */
  addresses(name: string): Promise<readonly string[] | null>;
  /** host names */
  mx(name: string): Promise<readonly string[] | null>;
  /** names of an address */
  ptr(address: string): Promise<readonly string[] | null>;
}

/** `unknown`: a macro, `exists`, `ptr`, a failed lookup, or more than ten of them stand in the way. */
export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'unknown';

/** RFC 7208 4.6.4 */
const MOST_LOOKUPS = 10;

const RESULTS: { readonly [qualifier: string]: SpfResult } = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
};

export async function evaluateSpf(address: string, domain: string, lookup: RecordLookup): Promise<SpfResult> {
  let lookups = 0;

  /** Null: it cannot be told. */
  async function matches(mechanism: string, where: string): Promise<boolean | null> {
    const [, kind = '', given, prefix = ''] =
      /^([a-z0-9]+)(?::([^/]*(?::[^/]*)*))?((?:\/\d+)?(?:\/\/\d+)?)$/i.exec(mechanism) ?? [];
    const length = /^\/(\d+)/.exec(prefix)?.[0] ?? '';
    if (given?.includes('%')) return null;
    switch (kind.toLowerCase()) {
      case 'all':
        return true;
      case 'ip4':
      case 'ip6':
        return inNetwork(address, `${given}${length}`);
      case 'a':
        return within(await lookup.addresses(given ?? where), length);
      case 'mx': {
        const hosts = await lookup.mx(given ?? where);
        const found = await Promise.all(
          (hosts ?? []).slice(0, MOST_LOOKUPS).map((host) => lookup.addresses(host)),
        );
        return hosts === null
          ? null
          : within(
              found.flatMap((each) => each ?? []),
              length,
            );
      }
      case 'include': {
        const result = await evaluate(given ?? '');
        return result === 'unknown' || result === 'none' ? null : result === 'pass';
      }
      default:
        return null;
    }
  }

  function within(addresses: readonly string[] | null, length: string): boolean | null {
    return addresses === null ? null : addresses.some((each) => inNetwork(address, each + length));
  }

  async function evaluate(where: string): Promise<SpfResult> {
    const records = await lookup.txt(where);
    if (records === null || lookups++ > MOST_LOOKUPS) return 'unknown';
    const [record, second] = records.filter((text) => /^v=spf1(?: |$)/i.test(text));
    if (record === undefined) return 'none';
    if (second !== undefined) return 'unknown';
    const terms = record.split(/ +/).slice(1);
    for (const term of terms) {
      const [, qualifier = '+', mechanism = ''] = /^([-+~?])?([a-z0-9]+(?:[:/].*)?)$/i.exec(term) ?? [];
      if (mechanism === '') continue;
      const matched = await matches(mechanism, where);
      if (matched === null) return 'unknown';
      if (matched) return RESULTS[qualifier] ?? 'neutral';
    }
    const redirect = terms.find((term) => /^redirect=/i.test(term));
    return redirect === undefined ? 'neutral' : evaluate(redirect.slice('redirect='.length));
  }

  return evaluate(domain);
}
