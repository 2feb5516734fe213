/** The option `--to`: selects jobs by recipient. Pure. */
import { bytesOf } from '../../platform/bytes.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { recipientAddress } from '../../routing/address.ts';

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
