/** The words and options that select jobs and messages, the same for every command that takes them. */

import { escapeControl } from '../../output/text.ts';
import { bytesOf } from '../../platform/bytes.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import {
  parseSelection,
  SELECTION_OPTIONS,
  type Selection,
  type SelectionRules,
} from '../../queue/selection/selection.ts';
import { recipientAddress } from '../../routing/address.ts';
import { type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export function selectionFrom(options: Invocation['options'], rules: SelectionRules): Selection | CliError {
  const values = SELECTION_OPTIONS.flatMap((name) => {
    const value = [options[name]].flat().at(-1);
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const words = [options.jobs ?? options.words ?? []].flat().map(String);
  const read = parseSelection({ words, all: options.all === true, ...Object.fromEntries(values) }, rules);
  return 'kind' in read ? cliError(`${escapeControl(read.text)}`, EXIT.usage) : read;
}

/** `word` is an address or a domain, with or without a leading `@`; it is read as addresses in the lists are. */
export function matchesRecipient(word: string): (queued: QueuedJob) => boolean {
  const bytes = bytesOf(word);
  const isAddress = bytes.lastIndexOf('@') > 0;
  const wanted = recipientAddress(isAddress ? bytes : `x@${bytes.replace(/^@/, '')}`);
  if (wanted.kind === 'unusable') return () => false;
  const key = isAddress ? 'command' : 'domain';
  return ({ job }) =>
    job.recipients.some(({ address: entry }) => {
      const address = recipientAddress(entry);
      return address.kind === 'address' && address[key].toLowerCase() === wanted[key].toLowerCase();
    });
}
