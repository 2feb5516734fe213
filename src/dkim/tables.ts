/**
 * Which keys sign for which sender: opendkim's KeyTable and SigningTable as they are (opendkim.conf(5)), and entries of our
 * own. Text in, lookups out; nothing is read from here.
 */

/** A key before it is read. `%` in the domain stands for the sender's. */
export interface KeyEntry {
  readonly domain: string;
  readonly selector: string;
  /** path of a PEM file */
  readonly path: string;
  /** where it was named, for people */
  readonly source: string;
}

export interface TableProblem {
  readonly source: string;
  readonly reason: string;
}

export interface SigningRule {
  matches(address: string): boolean;
  /** `%` stands for the domain of the sender */
  readonly key: string;
  /** rules with equal patterns sign side by side */
  readonly pattern: string;
}

interface Row {
  readonly words: readonly string[];
  readonly source: string;
}

/** `NAME DOMAIN:SELECTOR:PATH` lines. */
export function parseKeyTable(
  text: string,
  file: string,
): { readonly keys: ReadonlyMap<string, KeyEntry>; readonly problems: readonly TableProblem[] } {
  const keys = new Map<string, KeyEntry>();
  const problems: TableProblem[] = [];
  for (const { words, source } of rowsOf(text, file)) {
    const [name = '', value = ''] = words;
    const entry = parseKeyEntry(value, source);
    if (entry === null) problems.push({ source, reason: 'needs NAME DOMAIN:SELECTOR:PATH' });
    else keys.set(name, entry);
  }
  return { keys, problems };
}

/** `DOMAIN:SELECTOR:PATH`; null when it is not. */
export function parseKeyEntry(text: string, source: string): KeyEntry | null {
  const [, domain, selector, path] = /^([^:\s]+):([^:\s]+):(\S+)$/.exec(text) ?? [];
  if (domain === undefined || selector === undefined || path === undefined) return null;
  return { domain: domain.toLowerCase(), selector, path, source };
}

/** `PATTERN KEYNAME` lines. A file named with `refile:` has patterns with `*`, in order; others are looked up by rank. */
export function parseSigningTable(
  text: string,
  file: string,
  wildcards: boolean,
): { readonly rules: readonly SigningRule[]; readonly problems: readonly TableProblem[] } {
  const rules: (SigningRule & { readonly rank: number })[] = [];
  const problems: TableProblem[] = [];
  for (const { words, source } of rowsOf(text, file)) {
    const [pattern = '', key] = words;
    if (key === undefined) {
      problems.push({ source, reason: 'needs PATTERN KEYNAME' });
      continue;
    }
    const lower = pattern.toLowerCase();
    const rule = wildcards ? { rank: 0, matches: wildcard(lower) } : ranked(lower);
    rules.push({ ...rule, key, pattern: lower });
  }
  return { rules: rules.sort((a, b) => a.rank - b.rank), problems };
}

/** Names of the keys for an address: those of the first pattern that fits. */
export function keyNamesFor(rules: readonly SigningRule[], address: string): readonly string[] {
  const lower = address.toLowerCase();
  const first = rules.find((rule) => rule.matches(lower));
  if (first === undefined) return [];
  return rules.filter(({ pattern }) => pattern === first.pattern).map(({ key }) => key);
}

function wildcard(pattern: string): (address: string) => boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const shape = new RegExp(`^${parts.join('.*')}$`, 's');
  return (address) => shape.test(address) || (!pattern.includes('@') && shape.test(domainOf(address)));
}

/** The order of opendkim: user@host, host, user@.domain, .domain, user@*, *. */
function ranked(pattern: string): { readonly rank: number; matches(address: string): boolean } {
  const at = pattern.lastIndexOf('@');
  const user = at < 0 ? null : pattern.slice(0, at);
  const host = at < 0 ? pattern : pattern.slice(at + 1);
  const kind = host === '*' ? 2 : host.startsWith('.') ? 1 : 0;
  return {
    rank: 2 * kind + (user === null ? 1 : 0),
    matches: (address) => {
      if (user !== null && address.slice(0, address.lastIndexOf('@')) !== user) return false;
      const domain = domainOf(address);
      return kind === 2 || (kind === 1 ? domain.endsWith(host) : domain === host);
    },
  };
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

function* rowsOf(text: string, file: string): Generator<Row> {
  for (const [at, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words[0] !== '') yield { words, source: `${file}, line ${at + 1}` };
  }
}
