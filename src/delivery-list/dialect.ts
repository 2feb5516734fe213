/**
 * Detects the dialect of a delivery list from its bytes. A new control message is the same in both dialects; then the setting
 * decides.
 */

import type { ByteString } from '../platform/bytes.ts';
import type { Dialect } from './job.ts';

export interface DialectEvidence {
  readonly dialect: Dialect;
  /** completes "the list has ..." for people */
  readonly has: string;
}

interface Trait extends DialectEvidence {
  readonly matches: (instructions: ByteString) => boolean;
}

const KEYWORD = /^\n?(?:msgid|submitted|attempted|bounceto|envelope_from|source_room|remote)\|$/i;

/**
 * Strongest first. Line starts are written `(?:^|\n)`, because with the `m` flag a lone CR inside a field would start a line
 * as well.
 */
const TRAITS: readonly Trait[] = [
  { dialect: '2012', has: 'a retry| line', matches: (text) => /(?:^|\n)retry\|/.test(text) },
  { dialect: '2017', has: 'attempted| after its recipients', matches: attemptedAfterRecipients },
  {
    dialect: '2017',
    has: 'a status text of the form "CODE (text)"',
    matches: (text) => /(?:^|\n)remote\|[^|\n]*\|[45]\|\d{3} \(/.test(text),
  },
  {
    dialect: '2012',
    has: 'a delivered recipient that is still listed',
    matches: (text) => /(?:^|\n)remote\|[^|\n]*\|2\|/.test(text),
  },
  { dialect: '2017', has: 'a keyword in capitals', matches: hasCapitals },
];

/** Servers before 2017 ignore such a line. */
function hasCapitals(text: ByteString): boolean {
  const words = text.match(/(?:^|\n)[a-z_]*[A-Z][A-Za-z_]*\|/g);
  return words?.some((word) => KEYWORD.test(word)) === true;
}

function attemptedAfterRecipients(text: ByteString): boolean {
  const attempted = text.lastIndexOf('\nattempted|');
  return attempted >= 0 && (text.startsWith('remote|') || text.lastIndexOf('\nremote|', attempted) >= 0);
}

/** The strongest evidence in the instruction part of a list; null when there is none. */
export function dialectEvidence(instructions: ByteString): DialectEvidence | null {
  for (const trait of TRAITS) if (trait.matches(instructions)) return trait;
  return null;
}
