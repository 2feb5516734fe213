/**
 * Which era's server wrote a delivery list, as far as its bytes tell. Called by parse.ts when the setting leaves
 * the question open. A first control message is the same in all eras and tells nothing; then the setting decides.
 */

import type { ByteString } from '../platform/bytes.ts';
import type { Dialect } from './job.ts';

export interface DialectEvidence {
  readonly dialect: Dialect;
  /** completes "the list has ..." for people */
  readonly has: string;
}

interface Trait extends DialectEvidence {
  readonly shows: (instructions: ByteString) => boolean;
}

/**
 * Strongest first: what a writer of one era always leaves and the other never. Line starts are spelled
 * `(?:^|\n)`, because with the `m` flag a lone CR inside a field would start a line, too.
 */
const TRAITS: readonly Trait[] = [
  { dialect: '2012', has: 'a retry| line', shows: (text) => /(?:^|\n)retry\|/.test(text) },
  { dialect: '2017', has: 'attempted| behind its recipients', shows: attemptedBehindRecipients },
  {
    dialect: '2017',
    has: 'a status text of the form "CODE (text)"',
    shows: (text) => /(?:^|\n)remote\|[^|\n]*\|[45]\|\d{3} \(/.test(text),
  },
  {
    dialect: '2012',
    has: 'a delivered recipient that is still listed',
    shows: (text) => /(?:^|\n)remote\|[^|\n]*\|2\|/.test(text),
  },
  { dialect: '2017', has: 'a keyword in capitals', shows: capitalKeyword },
];

function attemptedBehindRecipients(text: ByteString): boolean {
  const attempted = text.lastIndexOf('\nattempted|');
  return attempted >= 0 && (text.startsWith('remote|') || text.lastIndexOf('\nremote|', attempted) >= 0);
}

/** Servers before 2017 ignore such a line; whoever wrote it had a later one in mind. */
function capitalKeyword(text: ByteString): boolean {
  const lines = text.matchAll(
    /(?:^|\n)(msgid|submitted|attempted|bounceto|envelope_from|source_room|remote)\|/gi,
  );
  for (const [line] of lines) {
    if (line !== line.toLowerCase()) return true;
  }
  return false;
}

/** The strongest evidence in the instruction part of a list, or null where its bytes do not tell. */
export function dialectEvidence(instructions: ByteString): DialectEvidence | null {
  return TRAITS.find((trait) => trait.shows(instructions)) ?? null;
}
