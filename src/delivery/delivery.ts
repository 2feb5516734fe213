/**
 * A delivery: its position in the list of hosts, the events that come in and the effects that go out. Plain data, written to
 * transcripts as it is.
 */
import type { Host, Protection } from '../routing/hosts.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';

export const DELIVERY_STATES = {
  waiting: 'waiting for a worker',
  hosts: 'looking up the mail hosts of the destination',
  addresses: 'looking up the addresses of a host',
  connecting: 'connecting, or waiting for a connection to be free',
  transaction: 'in a transaction on a connection',
  done: 'every recipient has its outcome, or stays as it was',
} as const;

export type DeliveryState = keyof typeof DELIVERY_STATES;

/** The position of a delivery in its list of hosts and addresses. */
export interface HostCursor {
  readonly hosts: readonly Host[];
  readonly host: number;
  readonly addresses: readonly string[];
  readonly address: number;
  /** STARTTLS failed at this address, and clear text is allowed */
  readonly withoutTls: boolean;
}

export interface Delivery extends HostCursor {
  readonly state: DeliveryState;
  /** ids of the recipients without an outcome in this run */
  readonly pending: readonly number[];
  /** failures of hosts, in order */
  readonly failures: readonly Failure[];
  readonly expired: boolean;
  readonly stopping: boolean;
}

export type DeliveryEvent =
  | { readonly type: 'start' }
  /** a connection to one of its hosts is open already: continue from the cursor of the delivery that used it */
  | ({ readonly type: 'reuse' } & HostCursor)
  /** the message itself is missing, empty or unreadable */
  | { readonly type: 'unsendable'; readonly failure: Failure }
  | { readonly type: 'hosts'; readonly hosts: readonly Host[] }
  | { readonly type: 'no-hosts'; readonly failure: Failure }
  /** `protection`: what the connection to the host must prove; absent: nothing */
  | {
      readonly type: 'addresses';
      readonly addresses: readonly string[];
      readonly protection?: Protection;
    }
  | { readonly type: 'no-addresses'; readonly failure: Failure }
  /** the host is this machine */
  | { readonly type: 'own-host'; readonly failure: Failure }
  | { readonly type: 'connection-ready' }
  /** `remembered`: it failed for another delivery not long ago, and was not contacted again */
  | { readonly type: 'host-failed'; readonly failure: Failure; readonly remembered?: true }
  | { readonly type: 'tls-unusable'; readonly failure: Failure }
  /** the host cannot do an extension that it offers; the connection that follows does without it */
  | { readonly type: 'extension-refused'; readonly failure: Failure }
  | { readonly type: 'requeue' }
  | { readonly type: 'outcome-recorded'; readonly recipients: readonly number[] }
  | { readonly type: 'transaction-done' }
  /** its group of hosts has asked us to send less; `elsewhere`: position of the next host of another group, or -1 */
  | { readonly type: 'throttled'; readonly elsewhere: number; readonly failure: Failure }
  | { readonly type: 'deadline' }
  | { readonly type: 'stop' };

export type DeliveryEffect =
  | { readonly type: 'lookup-hosts' }
  | { readonly type: 'lookup-addresses'; readonly host: Host }
  /** a connection to this address, idle or new */
  | {
      readonly type: 'acquire-connection';
      readonly host: Host;
      readonly address: string;
      readonly withoutTls: boolean;
    }
  | { readonly type: 'start-transaction'; readonly recipients: readonly number[] }
  /** end the session it uses now */
  | { readonly type: 'interrupt' }
  | { readonly type: 'outcome'; readonly recipients: readonly number[]; readonly outcome: Outcome }
  /** they wait without an attempt */
  | { readonly type: 'hold-back'; readonly recipients: readonly number[]; readonly failure: Failure };

export interface DeliveryStep {
  readonly delivery: Delivery;
  readonly effects: readonly DeliveryEffect[];
  readonly row: string | null;
}

export function beginDelivery(recipients: readonly number[]): Delivery {
  return {
    state: 'waiting',
    pending: recipients,
    hosts: [],
    host: 0,
    addresses: [],
    address: 0,
    withoutTls: false,
    failures: [],
    expired: false,
    stopping: false,
  };
}
