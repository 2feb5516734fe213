/**
 * Whom a report is sent to: the forms of `bounceto|` -> addresses, best first. Citadel writes a local name,
 * `Full Name@node`, an address, nothing, or C's `(null)` (techdoc/reports.md). A node name belongs to the server and stays
 * as it is. An entry without an address is skipped. The Aide room comes last, so that every report has a reader (R001).
 */
import type { Job } from '../delivery-list/job.ts';
import { trimWhitespace } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';

export interface Site {
  /** this site's domain: completes names without one */
  readonly fqdn: string;
  /** the last resort for reports */
  readonly aide: ByteString;
}

/** What C's `printf` writes for a missing name. */
const NULL = '(null)';

/**
 * Envelope addresses without brackets, in the order in which they are tried. Reports about list mail go to the list's
 * envelope sender, not to the author of the posting (R028).
 */
export function dsnRecipients(job: Job, site: Site): readonly ByteString[] {
  const named = job.sourceRoom === null ? [job.bounceto] : [job.envelopeFrom, job.bounceto];
  const found = [...named, site.aide].flatMap((each) => dsnRecipient(each, site.fqdn) ?? []);
  return [...new Set(found)];
}

/** Null when the entry names no one. */
export function dsnRecipient(entry: ByteString | null, fqdn: string): ByteString | null {
  const text = trimWhitespace(entry ?? '');
  const direct = recipientAddress(text);
  if (direct.kind === 'address') return direct.command;
  const at = text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const node = at < 0 || text.slice(at + 1) === NULL ? fqdn : text.slice(at + 1);
  if (name === '' || name.startsWith(NULL)) return null;
  const address = recipientAddress(`${name.replace(/[ \t]+/g, '_')}@${node}`);
  return address.kind === 'address' ? address.command : null;
}
