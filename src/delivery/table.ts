/**
 * The transitions of a delivery, one row each; the first row that applies is taken. Names only: machine.ts says what they
 * mean. Printed into techdoc/delivery-states.md.
 */
import type { DeliveryEvent, DeliveryState } from './delivery.ts';

export type DeliveryGuard =
  | 'anotherAddress'
  | 'anotherHost'
  | 'fallbackLeft'
  | 'hostElsewhere'
  | 'hostsFailed'
  | 'recipientsPending'
  | 'expired'
  | 'stopping';

export type DeliveryAction =
  | 'lookupHosts'
  | 'restoreCursor'
  | 'setHosts'
  | 'lookupAddresses'
  | 'setAddresses'
  | 'nextAddress'
  | 'nextHost'
  | 'skipToFallback'
  | 'skipElsewhere'
  | 'disableTls'
  | 'acquireConnection'
  | 'startTransaction'
  | 'addFailure'
  | 'addDoubt'
  | 'removeDecided'
  | 'markExpired'
  | 'markStopping'
  | 'interrupt'
  | 'failPending'
  | 'holdBack';

export interface DeliveryRow {
  readonly id: string;
  readonly in: readonly DeliveryState[];
  readonly on: readonly DeliveryEvent['type'][];
  readonly when?: DeliveryGuard;
  readonly to: DeliveryState;
  readonly do: readonly DeliveryAction[];
}

export const DELIVERY_TABLE: readonly DeliveryRow[] = [
  {
    id: 'unsendable',
    in: ['waiting', 'transaction'],
    on: ['unsendable'],
    to: 'done',
    do: ['addFailure', 'failPending'],
  },
  {
    id: 'reuse',
    in: ['waiting'],
    on: ['reuse'],
    to: 'transaction',
    do: ['restoreCursor', 'startTransaction'],
  },
  { id: 'start', in: ['waiting'], on: ['start'], to: 'hosts', do: ['lookupHosts'] },
  { id: 'hosts', in: ['hosts'], on: ['hosts'], to: 'addresses', do: ['setHosts', 'lookupAddresses'] },
  { id: 'no-hosts', in: ['hosts'], on: ['no-hosts'], to: 'done', do: ['addFailure', 'failPending'] },

  {
    id: 'addresses',
    in: ['addresses'],
    on: ['addresses'],
    to: 'connecting',
    do: ['setAddresses', 'acquireConnection'],
  },
  {
    id: 'no-address',
    in: ['addresses'],
    on: ['no-addresses'],
    when: 'anotherHost',
    to: 'addresses',
    do: ['addFailure', 'nextHost', 'lookupAddresses'],
  },
  {
    id: 'no-address-left',
    in: ['addresses'],
    on: ['no-addresses'],
    to: 'done',
    do: ['addFailure', 'failPending'],
  },

  // RFC 5321 5.1: hosts from our own on are left out. Fallback hosts are relays of ours.
  {
    id: 'own-host',
    in: ['addresses'],
    on: ['own-host'],
    when: 'fallbackLeft',
    to: 'addresses',
    do: ['addFailure', 'skipToFallback', 'lookupAddresses'],
  },
  { id: 'own-host-last', in: ['addresses'], on: ['own-host'], to: 'done', do: ['addFailure', 'failPending'] },
  {
    id: 'connection-ready',
    in: ['connecting'],
    on: ['connection-ready'],
    to: 'transaction',
    do: ['startTransaction'],
  },
  {
    id: 'outcome-recorded',
    in: ['transaction'],
    on: ['outcome-recorded'],
    to: 'transaction',
    do: ['removeDecided'],
  },
  {
    id: 'stopped-between-transactions',
    in: ['transaction'],
    on: ['transaction-done', 'requeue', 'host-failed', 'tls-unusable', 'extension-refused'],
    when: 'stopping',
    to: 'done',
    do: [],
  },
  {
    id: 'out-of-time',
    in: ['connecting', 'transaction'],
    on: ['transaction-done', 'requeue', 'host-failed', 'tls-unusable', 'extension-refused'],
    when: 'expired',
    to: 'done',
    do: ['addFailure', 'failPending'],
  },
  {
    id: 'next-transaction',
    in: ['transaction'],
    on: ['transaction-done'],
    when: 'recipientsPending',
    to: 'connecting',
    do: ['acquireConnection'],
  },
  { id: 'done', in: ['transaction'], on: ['transaction-done'], to: 'done', do: [] },
  { id: 'requeue', in: ['transaction'], on: ['requeue'], to: 'connecting', do: ['acquireConnection'] },
  {
    id: 'retry-without-tls',
    in: ['connecting', 'transaction'],
    on: ['tls-unusable'],
    to: 'connecting',
    do: ['disableTls', 'acquireConnection'],
  },
  {
    id: 'retry-without-extension',
    in: ['connecting', 'transaction'],
    on: ['extension-refused'],
    to: 'connecting',
    do: ['addDoubt', 'acquireConnection'],
  },

  {
    id: 'next-address',
    in: ['connecting', 'transaction'],
    on: ['host-failed'],
    when: 'anotherAddress',
    to: 'connecting',
    do: ['addFailure', 'nextAddress', 'acquireConnection'],
  },
  {
    id: 'next-host',
    in: ['connecting', 'transaction'],
    on: ['host-failed'],
    when: 'anotherHost',
    to: 'addresses',
    do: ['addFailure', 'nextHost', 'lookupAddresses'],
  },
  {
    id: 'no-host-left',
    in: ['connecting', 'transaction'],
    on: ['host-failed'],
    to: 'done',
    do: ['addFailure', 'failPending'],
  },

  // techdoc/throttling.md
  {
    id: 'throttled-elsewhere',
    in: ['connecting'],
    on: ['throttled'],
    when: 'hostElsewhere',
    to: 'addresses',
    do: ['skipElsewhere', 'lookupAddresses'],
  },
  {
    id: 'throttled-at-last',
    in: ['connecting'],
    on: ['throttled'],
    when: 'hostsFailed',
    to: 'done',
    do: ['failPending'],
  },
  { id: 'throttled', in: ['waiting', 'connecting'], on: ['throttled'], to: 'done', do: ['holdBack'] },

  {
    id: 'expired-in-transaction',
    in: ['transaction'],
    on: ['deadline'],
    to: 'transaction',
    do: ['markExpired', 'interrupt'],
  },
  {
    id: 'expired',
    in: ['hosts', 'addresses', 'connecting'],
    on: ['deadline'],
    to: 'done',
    do: ['markExpired', 'failPending'],
  },
  { id: 'stop-in-transaction', in: ['transaction'], on: ['stop'], to: 'transaction', do: ['markStopping'] },
  { id: 'stop', in: ['waiting', 'hosts', 'addresses', 'connecting'], on: ['stop'], to: 'done', do: [] },
];
