/**
 * Whom a report is sent to: the forms of `bounceto|` -> addresses, best first. Citadel writes a local name,
 * `Full Name@node`, an address, nothing, or C's `(null)` (techdoc/reports.md). An entry without an address is skipped. The
 * Aide room comes last, so that every report has a reader (R001).
 */
import type { Job } from '../delivery-list/job.ts';
import { trimWhitespace } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';

export interface Site {
  /** this site's domain: completes local names and replaces Citadel node names */
  readonly fqdn: string;
  /** the last resort for reports */
  readonly aide: ByteString;
}

export interface DsnRecipient {
  /** envelope address, without brackets */
  readonly address: ByteString;
  /** at this site */
  readonly local: boolean;
}

/** What C's `printf` writes for a missing name. */
const NULL = '(null)';

/**
 * In the order in which they are tried. Reports about list mail go to the list's envelope sender, not to the author of the
 * posting (R028).
 */
export function dsnRecipients(job: Job, site: Site): readonly DsnRecipient[] {
  const named = job.sourceRoom === null ? [job.bounceto] : [job.envelopeFrom, job.bounceto];
  const found = [...named, site.aide].flatMap((each) => dsnRecipient(each, site.fqdn) ?? []);
  return found.filter(({ address }, at) => found.findIndex((other) => other.address === address) === at);
}

/** Null when the entry names no one. */
export function dsnRecipient(entry: ByteString | null, fqdn: string): DsnRecipient | null {
  const text = trimWhitespace(entry ?? '');
  const direct = recipientAddress(text);
  if (direct.kind === 'address') return addressAt(direct.local, direct.domain, fqdn);
  const at = text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const node = at < 0 || text.slice(at + 1) === NULL ? '' : text.slice(at + 1);
  return name === '' || name.startsWith(NULL) ? null : addressAt(name.replace(/[ \t]+/g, '_'), node, fqdn);
}

/** A domain without a dot is a Citadel node name: this server. */
function addressAt(local: ByteString, domain: ByteString, fqdn: string): DsnRecipient | null {
  const address = recipientAddress(`${local}@${/[.[]/.test(domain) ? domain : fqdn}`);
  if (address.kind === 'unusable') return null;
  return { address: address.command, local: address.domain.toLowerCase() === fqdn.toLowerCase() };
}
