/** The attempts that wait for one destination, and how many workers may serve it. */
import { Deque } from '../platform/deque.ts';
import type { DeliveryAttempt } from './attempt.ts';

export class DestinationQueue {
  readonly attempts = new Deque<DeliveryAttempt>();
  /** workers serving it now */
  workers = 0;
  /** attempts that wait for a host with a connection to spare */
  readonly waiting = new Set<DeliveryAttempt>();
  /** workers it may have: 1 at first, doubled with each message taken, so that a dead destination costs one connection */
  concurrency = 1;
  /** whether it stands in the scheduler's line for another worker */
  isQueued = false;
  /** since when, monotonic milliseconds */
  queuedAt = 0;
}
