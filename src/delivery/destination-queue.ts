/** The attempts that wait for one destination, and how many workers may serve it. */
import { Deque } from '../platform/deque.ts';
import type { DeliveryAttempt } from './attempt.ts';

export class DestinationQueue {
  readonly attempts = new Deque<DeliveryAttempt>();
  /** workers serving it now */
  workers = 0;
  /** workers it may have: 1 at first, doubled with each message taken, so that a dead destination costs one connection */
  concurrency = 1;
  /** whether it stands in the scheduler's line for another worker */
  isQueued = false;
}
