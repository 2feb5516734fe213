/**
 * What receivers look at before they read a message: the DKIM record of each key, SPF and DMARC of the domains we sign for, the
 * names of our addresses, and whether mail to those domains can be answered. Each finding says what to publish.
 */
import { dkimRecord, isRecordOf, zoneLine } from '../../dkim/dns-record.ts';
import type { NamedKey } from '../../dkim/keyring.ts';
import { evaluateSpf, type RecordLookup } from '../../dkim/spf.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { escapeControl } from '../../output/text.ts';
import { inNetwork } from '../../platform/ip-address.ts';
import { LOCAL_ONLY } from '../../routing/own-address.ts';

export interface SenderContext {
  readonly keys: readonly NamedKey[];
  /** addresses that connections leave from, as far as this machine knows them */
  readonly addresses: readonly string[];
  /** our name in EHLO */
  readonly hostname: string;
  readonly lookup: RecordLookup;
  /** whether somebody answers at port 25 of a host */
  readonly answers: (host: string) => Promise<boolean>;
}

const NOT_NOW = 'The name servers did not answer: ask again later.';

export async function checkSenderDomains(context: SenderContext): Promise<readonly Finding[]> {
  const domains = [...new Set(context.keys.map(({ domain }) => domain))].filter((domain) => domain !== '%');
  const findings = await Promise.all([
    ...context.keys.map((key) => checkKey(key, context)),
    ...domains.flatMap((domain) => [
      checkSpf(domain, context),
      checkDmarc(domain, context),
      checkMx(domain, context),
    ]),
    ...publicOnes(context.addresses).map((address) => checkName(address, context)),
  ]);
  return publicOnes(context.addresses).length > 0
    ? findings
    : [
        ...findings,
        warning(
          'address',
          'this machine has no public address of its own',
          'Behind NAT, SPF and the reverse name cannot be checked from here: check the address that receivers see.',
        ),
      ];
}

async function checkKey(
  { domain, selector, key, source }: NamedKey,
  { lookup }: SenderContext,
): Promise<Finding> {
  if (domain === '%') return ok('dkim', `${source}: the key signs for whatever domain the table names`);
  const name = `${selector}._domainkey.${domain}`;
  const records = await lookup.txt(name);
  if (records === null) return warning('dkim', `${name} could not be looked up`, NOT_NOW);
  const publish = `Publish: ${zoneLine(domain, selector, dkimRecord(key))}`;
  const [record] = records;
  if (record === undefined)
    return problem('dkim', `${name} does not exist, so no signature with this key is valid`, publish);
  return records.some((each) => isRecordOf(each, key))
    ? ok('dkim', `${name} holds the public half of the key`)
    : problem('dkim', `${name} holds another key: ${shown(record)}`, publish);
}

async function checkSpf(domain: string, { addresses, lookup }: SenderContext): Promise<Finding> {
  const own = publicOnes(addresses);
  const records = await lookup.txt(domain);
  if (records === null) return warning('spf', `${domain} could not be looked up`, NOT_NOW);
  const record = records.find((text) => /^v=spf1(?: |$)/i.test(text));
  const terms = own.map((address) => `${address.includes(':') ? 'ip6' : 'ip4'}:${address}`);
  const suggested = `${domain}. IN TXT "v=spf1 ${[...terms, 'mx'].join(' ')} ~all"`;
  if (record === undefined)
    return warning('spf', `${domain} has no SPF record`, `Large receivers want one. Publish: ${suggested}`);
  for (const address of own) {
    const result = await evaluateSpf(address, domain, lookup);
    if (result === 'fail' || result === 'softfail')
      return problem(
        'spf',
        `${domain}: ${shown(record)} does not let ${address} send (${result})`,
        `Receivers refuse or distrust what comes from there. Add ${address.includes(':') ? 'ip6' : 'ip4'}:${address} to the record.`,
      );
  }
  return ok('spf', `${domain}: ${shown(record)}`);
}

async function checkDmarc(domain: string, { lookup }: SenderContext): Promise<Finding> {
  const name = `_dmarc.${domain}`;
  const records = await lookup.txt(name);
  if (records === null) return warning('dmarc', `${name} could not be looked up`, NOT_NOW);
  const record = records.find((text) => /^v=DMARC1\s*;/i.test(text));
  if (record !== undefined)
    return ok('dmarc', `${domain}: ${shown(record)}; our signatures are of the domain in From, as it asks`);
  return warning(
    'dmarc',
    `${domain} has no DMARC record`,
    `Large receivers want one of senders of many messages. Publish: ${name}. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@${domain}"`,
  );
}

async function checkName(address: string, { hostname, lookup }: SenderContext): Promise<Finding> {
  const names = await lookup.ptr(address);
  if (names === null) return warning('reverse name', `${address} could not be looked up`, NOT_NOW);
  const advice = `Ask the provider of this address to name it ${hostname}, and let that name have the address ${address}.`;
  const [first] = names;
  if (first === undefined) return problem('reverse name', `${address} has no name`, advice);
  const forward = await lookup.addresses(first);
  if (forward === null) return warning('reverse name', `${first} could not be looked up`, NOT_NOW);
  if (!forward.some((each) => inNetwork(each, address)))
    return problem(
      'reverse name',
      `${address} has the reverse name ${shown(first)}, which does not resolve to it`,
      advice,
    );
  if (first.toLowerCase() !== hostname.toLowerCase())
    return warning(
      'reverse name',
      `${address} has the reverse name ${shown(first)}, and EHLO says ${hostname}`,
      advice,
    );
  return ok('reverse name', `${address} has the reverse name ${hostname}, which resolves to it`);
}

/** Receivers check that a sender's domain can be answered. */
async function checkMx(domain: string, { lookup, answers }: SenderContext): Promise<Finding> {
  const hosts = await lookup.mx(domain);
  if (hosts === null) return warning('mx', `${domain} could not be looked up`, NOT_NOW);
  const found = hosts.length > 0 ? hosts : [domain];
  for (const host of found) if (await answers(host)) return ok('mx', `${domain}: ${shown(host)} answers`);
  return warning(
    'mx',
    `${domain}: no answer from port 25 of ${found.map(shown).join(', ')}`,
    'Replies and reports to senders there cannot arrive, and some receivers refuse mail from such a domain.',
  );
}

const PRIVATE: readonly string[] = [
  ...LOCAL_ONLY,
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'],
];

function publicOnes(addresses: readonly string[]): readonly string[] {
  return addresses.filter((address) => !PRIVATE.some((network) => inNetwork(address, network)));
}

function shown(text: string): string {
  return `"${escapeControl(text.length > 200 ? `${text.slice(0, 197)}...` : text)}"`;
}
