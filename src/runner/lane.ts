/** In which line a message waits for its turn. */
import { isPending } from '../delivery-list/job.ts';
import type { ControlMessages } from '../queue/due.ts';
import { recipientAddress } from '../routing/address.ts';
import { destinationOf, type RoutingRules } from '../routing/route.ts';
import { envelopeSender } from './load-message.ts';

/** The destination of its first pending recipient; '' when it needs none. */
export function laneOf(lists: ControlMessages, routing: RoutingRules): string {
  for (const { job } of lists) {
    const recipient = job.recipients.find(isPending);
    if (recipient === undefined) continue;
    const address = recipientAddress(recipient.address);
    if (address.kind === 'unusable') return '';
    return destinationOf(address.domain, envelopeSender(job.envelopeFrom) ?? '', routing).key;
  }
  return '';
}
