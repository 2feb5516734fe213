/**
 * The connection that a worker has in hand, and where it stands among the hosts of the destination: later attempts go on from
 * there.
 */
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { TlsWish } from '../../tls-policy/wish.ts';
import type { DeliveryAttempt } from '../attempt.ts';
import type { ConnectionPool } from '../connections/connection-pool.ts';
import type { ConnectionTarget } from '../connections/target.ts';
import type { HostCursor } from '../delivery.ts';
import type { Throttle } from '../throttling/throttle.ts';

export class InHand {
  readonly #pool: ConnectionPool;
  readonly #throttle: Throttle;
  /** null: the connection is lost, or was given back */
  client: SmtpClient | null = null;
  /** where it leads, or led */
  target: ConnectionTarget | null = null;
  #cursor: HostCursor | null = null;
  /** the cursor is for messages with this wish alone: its hosts depend on it */
  #wish: TlsWish | null = null;

  constructor(pool: ConnectionPool, throttle: Throttle) {
    this.#pool = pool;
    this.#throttle = throttle;
  }

  /** It is idle, and may carry another transaction. */
  get isUsable(): boolean {
    return this.client?.ready === true && this.mayCarry(1);
  }

  /** Whether it may carry so many more transactions. */
  mayCarry(more: number): boolean {
    const { client, target } = this;
    if (client === null || target === null) return false;
    return client.transactions + more <= this.#pool.mostTransactions(target, client);
  }

  /** Where this attempt stands among the hosts, the next ones go on. */
  usedBy({ delivery, tlsWish }: DeliveryAttempt): void {
    const { hosts, host, addresses, address, withoutTls } = delivery;
    this.#cursor = { hosts, host, addresses, address, withoutTls };
    this.#wish = tlsWish;
  }

  /** Where an attempt goes on that begins with it; null: it has to begin with its hosts. */
  cursorFor({ admittedTo, tlsWish }: DeliveryAttempt): HostCursor | null {
    const cursor = this.#cursor;
    if (cursor === null || tlsWish !== this.#wish || this.target?.isPaced === true) return null;
    const { hosts, host } = cursor;
    return this.#throttle.isFree(hosts[host]?.name ?? '', admittedTo) ? cursor : null;
  }

  /** Gives it back. `keep`: it may be of use to somebody. */
  release(keep: boolean): void {
    const { client, target } = this;
    if (client === null || target === null) return;
    this.client = null;
    this.#cursor = null;
    this.#pool.release(target, client, keep);
  }
}
