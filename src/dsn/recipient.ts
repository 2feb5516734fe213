/**
 * Whom a report goes to: the forms of `bounceto|` -> addresses, best first. Called by the reporter. Citadel writes a
 * local name, `Full Name@node`, an address, nothing, or C's `(null)` (formats.md 1.9); what names nobody is passed
 * over, and the Aide room comes last, so that no report is without a reader (R001).
 */
import type { Job } from '../delivery-list/job.ts';
import { trimWhitespace } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';

export interface Site {
  /** this site's domain: what local names get, and Citadel node names stand for */
  readonly fqdn: string;
  /** where reports go that nobody else can get */
  readonly aide: ByteString;
}

export interface DsnRecipient {
  /** what goes between the brackets of RCPT TO */
  readonly address: ByteString;
  /** somebody at this site */
  readonly local: boolean;
}

/** What `printf` makes of a missing name. */
const NULL = '(null)';

/**
 * In the order in which they are tried. The reports of list mail go to the list's own envelope sender, not to whoever
 * posted (R028).
 */
export function dsnRecipients(job: Job, site: Site): readonly DsnRecipient[] {
  const named = job.sourceRoom === null ? [job.bounceto] : [job.envelopeFrom, job.bounceto];
  const found = [...named, site.aide].flatMap((each) => dsnRecipient(each, site.fqdn) ?? []);
  return found.filter(({ address }, at) => found.findIndex((other) => other.address === address) === at);
}

/** Null when it names nobody. */
export function dsnRecipient(given: ByteString | null, fqdn: string): DsnRecipient | null {
  const text = trimWhitespace(given ?? '');
  const direct = recipientAddress(text);
  if (direct.kind === 'address') return addressAt(direct.local, direct.domain, fqdn);
  const at = text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const node = at < 0 || text.slice(at + 1) === NULL ? '' : text.slice(at + 1);
  return name === '' || name.startsWith(NULL) ? null : addressAt(name.replace(/[ \t]+/g, '_'), node, fqdn);
}

/** A node name has no dot: it is Citadel's own name for this server. */
function addressAt(local: ByteString, domain: ByteString, fqdn: string): DsnRecipient | null {
  const address = recipientAddress(`${local}@${/[.[]/.test(domain) ? domain : fqdn}`);
  if (address.kind === 'unusable') return null;
  return { address: address.command, local: address.domain.toLowerCase() === fqdn.toLowerCase() };
}
