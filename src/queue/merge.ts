/**
 * Merges control messages that name the same payload. Servers since 2017 post the new one before they delete the old one, so
 * a crash in between leaves both; a recipient in both must be tried once, and not at all if it is settled in either. Pure.
 */
import type { Job, Recipient } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';

export interface ListPosition {
  /** index into the lists as given */
  readonly list: number;
  /** index into that list's recipients */
  readonly index: number;
}

export interface MergedRecipient {
  readonly address: ByteString;
  /** the most final status in any of the lists, and its text */
  readonly status: number;
  readonly text: ByteString;
  /** every line that names the recipient; an outcome belongs to all of them */
  readonly places: readonly ListPosition[];
}

/** Most final last. Unknown statuses give way to known ones. */
const FINALITY: readonly number[] = [0, 3, 4, 5, 2];

function moreFinal(a: Recipient, b: Recipient): boolean {
  return FINALITY.indexOf(a.status) > FINALITY.indexOf(b.status);
}

/**
 * The recipients of all lists, in the order of their first appearance. An address that appears twice in one list is two
 * recipients, as it is for every server; the second one corresponds to the second one in the other lists.
 */
export function mergeLists(lists: readonly Job[]): readonly MergedRecipient[] {
  const merged = new Map<string, { best: Recipient; places: ListPosition[] }>();
  for (const [list, job] of lists.entries()) {
    const occurrences = new Map<ByteString, number>();
    for (const [index, recipient] of job.recipients.entries()) {
      const nth = occurrences.get(recipient.address) ?? 0;
      occurrences.set(recipient.address, nth + 1);
      const key = `${nth}|${recipient.address}`;
      const entry = merged.get(key);
      if (entry === undefined) {
        merged.set(key, { best: recipient, places: [{ list, index }] });
      } else {
        entry.places.push({ list, index });
        if (moreFinal(recipient, entry.best)) entry.best = recipient;
      }
    }
  }
  return [...merged.values()].map(({ best, places }) => ({ ...best, places }));
}

/** The recipients of a message, by id: their position here. */
export interface MessageRecipients {
  readonly recipients: readonly Recipient[];
  /** every line that names the recipient */
  positions(id: number): readonly ListPosition[];
}

function inOnlyList(index: number): readonly ListPosition[] {
  const position = { list: 0, index };
  return [position];
}

/** One list, which is the rule and may be long, is taken as it is. */
export function recipientsOf(lists: readonly Job[]): MessageRecipients {
  const only = lists[0];
  if (only !== undefined && lists.length === 1) return { recipients: only.recipients, positions: inOnlyList };
  const merged = mergeLists(lists);
  return { recipients: merged, positions: (id) => merged[id]?.places ?? [] };
}
