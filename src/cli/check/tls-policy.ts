/** The part of `check` about DANE and MTA-STS: whether the name servers validate, and which policies could not be fetched. */
import { type Finding, ok, warning } from '../../output/check-report.ts';
import { formatTime } from '../../platform/clock.ts';
import type { SystemResolver } from '../../platform/dns/resolver.ts';
import type { LookupResult } from '../../platform/dns.ts';
import type { Settings } from '../../settings/table.ts';
import type { StsCache } from '../../tls-policy/sts-cache.ts';

/** A name whose zone is signed, and one whose signature is wrong on purpose. */
const SIGNED = 'org';
const BOGUS = 'dnssec-failed.org';

type Asked = Pick<SystemResolver, 'mx' | 'txt' | 'isTrusted'>;

export async function checkDane(
  { dane }: Pick<Settings, 'dane'>,
  resolver: Asked,
): Promise<readonly Finding[]> {
  if (dane === 'off') return [ok('dane', 'TLSA records are not used: the setting dane is off')];
  if (!(await resolver.isTrusted()))
    return [ok('dane', 'TLSA records are not used: the name servers are not on this machine (setting dane)')];
  const [signed, bogus] = await Promise.all([resolver.mx(SIGNED), resolver.mx(BOGUS)]);
  if (!isAnswered(signed)) return [];
  const seen = 'TLSA records are not used: the name servers do not prove that answers are signed';
  if (signed.secure !== true) return [dane === 'auto' ? ok('dane', seen) : warning('dane', seen, VALIDATE)];
  if (isAnswered(bogus))
    return [warning('dane', `the name servers let ${BOGUS} pass, whose signature is wrong`, VALIDATE)];
  return [ok('dane', 'the name servers validate: TLSA records are obeyed')];
}

const VALIDATE =
  'Let a resolver that validates, for example unbound, run on this machine, and name it in /etc/resolv.conf or the setting dns.';

function isAnswered(lookup: LookupResult<unknown>): boolean {
  return lookup.kind === 'found' || lookup.fault === 'no-data' || lookup.fault === 'no-domain';
}

/** Policies that hold although they could not be fetched again. */
export function checkPolicies(cache: StsCache): readonly Finding[] {
  return cache.domains().flatMap((domain) => {
    const kept = cache.read(domain);
    if (kept?.failed == null) return [];
    const { policy, failed, fetched } = kept;
    const seen = `the policy of ${domain} ${failed.reason}, last on ${formatTime(failed.at)}`;
    return policy === null
      ? [warning('mta-sts', seen, 'Mail goes there as to a domain without a policy.')]
      : [
          warning(
            'mta-sts',
            seen,
            `The one fetched before holds until ${formatTime(fetched + policy.maxAge)}. Tell postmaster@${domain}.`,
          ),
        ];
  });
}
