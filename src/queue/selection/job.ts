/** A job of the queue as something to select. Pure. */
import type { Recipient } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { QueuedJob } from '../queue.ts';
import type { Candidate, CandidateRecipient } from './selection.ts';

/** `held` is said of the job, the others of a recipient. */
export const JOB_STATUSES = ['new', 'deferred', 'delivered', 'refused', 'held'] as const;

type JobStatus = (typeof JOB_STATUSES)[number];

const BY_DIGIT: { readonly [digit: number]: JobStatus } = {
  0: 'new',
  2: 'delivered',
  3: 'deferred',
  4: 'deferred',
  5: 'refused',
};

/** @param readable bytes as text for people */
export function candidateOf(
  { control, job, request }: QueuedJob,
  readable: (bytes: ByteString) => string,
): Candidate {
  const held: readonly JobStatus[] = request === 'hold' ? ['held'] : [];
  const recipient = ({ address, status, text }: Recipient): CandidateRecipient => {
    const known = BY_DIGIT[status];
    const answer = readable(text);
    return {
      address: readable(address),
      statuses: known === undefined ? held : [known, ...held],
      answer,
      relay: answer,
    };
  };
  return {
    job: control,
    sender: job.envelopeFrom === null ? null : readable(job.envelopeFrom),
    messageId: null,
    submitted: job.submitted,
    recipients: {
      *[Symbol.iterator]() {
        for (const each of job.recipients) yield recipient(each);
      },
    },
  };
}
