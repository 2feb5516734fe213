/** What is known of a job beside its control message, and goes with it when it goes from one queue into another. */
import type { DsnRequest } from '../../smtp/dsn-request.ts';
import type { Notified } from '../dsn-store.ts';
import type { JobRequest, Requester } from '../queue.ts';

export interface Carried {
  readonly request: (Requester & { readonly what: JobRequest }) | null;
  readonly dsn: DsnRequest | null;
  readonly told: readonly Notified[];
  /** Unix seconds */
  readonly firstAttempt: number | null;
}
