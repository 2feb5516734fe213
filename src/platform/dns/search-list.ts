/** Names as the system's resolver completes them, which Node's DNS client does not do (resolv.conf(5): search, domain, ndots). */
import { readFile } from 'node:fs/promises';

export interface SearchList {
  readonly domains: readonly string[];
  /** a name with fewer dots is completed before it is asked for as it is */
  readonly ndots: number;
}

/** @param hostname of this machine, whose domain is searched where the file names none */
export async function readSearchList(path: string, hostname: string): Promise<SearchList> {
  // A missing or unreadable file counts as empty, as it does for the system.
  return parseSearchList(await readFile(path, 'latin1').catch(() => ''), hostname);
}

/** Of several lines the last one counts; `search .` is an empty list. */
export function parseSearchList(text: string, hostname: string): SearchList {
  let domains = [hostname.split('.').slice(1).join('.')];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [word = '', ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'search') domains = values;
    if (word === 'domain') domains = values.slice(0, 1);
    const given = word === 'options' ? values.find((value) => /^ndots:\d+$/.test(value)) : undefined;
    if (given !== undefined) ndots = Number(given.slice('ndots:'.length));
  }
  const plain = domains.map((domain) => domain.toLowerCase().replace(/^\.|\.$/g, ''));
  return { domains: plain.filter((domain) => domain !== ''), ndots };
}

/** The names to ask for, in order; `name` is lower case and has no final dot. */
export function candidates(name: string, { domains, ndots }: SearchList): readonly string[] {
  const completed = domains.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}
