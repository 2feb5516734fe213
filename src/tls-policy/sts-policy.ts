/**
 * MTA-STS (RFC 8461): the TXT record that says there is a policy, the policy's text, and which hosts it lists. Pure. Unknown
 * fields are ignored, of a repeated one the first counts (RFC 8461 3.1, 3.2).
 */
import { hostKey, type StsPolicy } from '../platform/dns.ts';

/** Largest policy that is read, bytes (RFC 8461 3.3). */
export const LARGEST_POLICY = 65_536;

/** Seconds; a larger `max_age` counts as this one (RFC 8461 3.2). */
export const LONGEST_AGE = 31_557_600;

/**
 * The id in the TXT records of `_mta-sts.DOMAIN`, strings joined. Null: there is not exactly one record of this version, or
 * it has no valid id, so the domain has no policy (RFC 8461 3.1).
 */
export function stsRecordId(records: readonly string[]): string | null {
  const [record, ...others] = records.filter((text) => /^v=STSv1[ \t]*;/.test(text));
  if (record === undefined || others.length > 0) return null;
  const fields = record.split(';').map((field) => field.trim());
  const id = fields.find((field) => field.startsWith('id='))?.slice(3);
  return id !== undefined && /^[A-Za-z0-9]{1,32}$/.test(id) ? id : null;
}

export type StsPolicyRead =
  | { readonly kind: 'policy'; readonly policy: Omit<StsPolicy, 'id'> }
  /** completes "the policy ..." */
  | { readonly kind: 'invalid'; readonly reason: string };

/** @param text the body of https://mta-sts.DOMAIN/.well-known/mta-sts.txt */
export function parseStsPolicy(text: string): StsPolicyRead {
  const single = new Map<string, string>();
  const mx: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue;
    const [, name = '', value = ''] = /^([A-Za-z0-9][\w.-]{0,31})[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === '') return invalid('has a line that is no field');
    if (name === 'mx') mx.push(hostKey(value));
    else if (!single.has(name)) single.set(name, value);
  }
  const mode = single.get('mode');
  const age = single.get('max_age') ?? '';
  const bad = mx.find((pattern) => !MX_PATTERN.test(pattern));
  if (single.get('version') !== 'STSv1') return invalid('does not say version: STSv1');
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none')
    return invalid('has no mode that is enforce, testing or none');
  if (!/^\d{1,10}$/.test(age)) return invalid('has no max_age in seconds');
  if (bad !== undefined) return invalid('has an mx that is neither a host name nor *. and a name');
  if (mx.length === 0 && mode !== 'none') return invalid('lists no mx');
  return { kind: 'policy', policy: { mode, mx, maxAge: Math.min(Number(age), LONGEST_AGE) } };
}

const MX_PATTERN = /^(?=.{1,255}$)(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

function invalid(reason: string): StsPolicyRead {
  return { kind: 'invalid', reason };
}

/** Whether the policy lists a host; `*` stands for exactly one label (RFC 8461 4.1). */
export function listsHost({ mx }: Pick<StsPolicy, 'mx'>, host: string): boolean {
  const name = hostKey(host);
  const parent = name.slice(name.indexOf('.'));
  return mx.some((pattern) => pattern === name || (pattern.startsWith('*.') && pattern.slice(1) === parent));
}
