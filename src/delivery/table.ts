/**
 * The delivery's transitions, one row each; the first that fits is taken. Names only; machine.ts holds what they
 * mean, techdoc/delivery-states.md prints these rows.
 */
import type { DeliveryEvent, DeliveryState } from './delivery.ts';

export type DeliveryGuard = 'anotherAddress' | 'anotherHost' | 'someUnjudged' | 'expired' | 'stopping';

export type DeliveryAction =
  | 'lookupHosts'
  | 'takeStanding'
  | 'takeHosts'
  | 'lookupAddresses'
  | 'takeAddresses'
  | 'nextAddress'
  | 'nextHost'
  | 'giveUpTls'
  | 'obtain'
  | 'transact'
  | 'noteTrouble'
  | 'settle'
  | 'noteExpired'
  | 'noteStopping'
  | 'interrupt'
  | 'judgeAll';

export interface DeliveryRow {
  readonly id: string;
  readonly in: readonly DeliveryState[];
  readonly on: readonly DeliveryEvent['type'][];
  readonly when?: DeliveryGuard;
  readonly to: DeliveryState;
  readonly do: readonly DeliveryAction[];
}

export const DELIVERY_TABLE: readonly DeliveryRow[] = [
  { id: 'unsendable', in: ['waiting'], on: ['unsendable'], to: 'over', do: ['noteTrouble', 'judgeAll'] },
  { id: 'adopt', in: ['waiting'], on: ['adopt'], to: 'talk', do: ['takeStanding', 'transact'] },
  { id: 'start', in: ['waiting'], on: ['start'], to: 'hosts', do: ['lookupHosts'] },
  { id: 'hosts', in: ['hosts'], on: ['hosts'], to: 'addresses', do: ['takeHosts', 'lookupAddresses'] },
  { id: 'no-hosts', in: ['hosts'], on: ['no-hosts'], to: 'over', do: ['noteTrouble', 'judgeAll'] },

  { id: 'addresses', in: ['addresses'], on: ['addresses'], to: 'obtain', do: ['takeAddresses', 'obtain'] },
  {
    id: 'no-address',
    in: ['addresses'],
    on: ['no-addresses'],
    when: 'anotherHost',
    to: 'addresses',
    do: ['noteTrouble', 'nextHost', 'lookupAddresses'],
  },
  {
    id: 'no-address-left',
    in: ['addresses'],
    on: ['no-addresses'],
    to: 'over',
    do: ['noteTrouble', 'judgeAll'],
  },

  { id: 'session', in: ['obtain'], on: ['session'], to: 'talk', do: ['transact'] },
  { id: 'judged', in: ['talk'], on: ['judged'], to: 'talk', do: ['settle'] },
  {
    id: 'stopped-between',
    in: ['talk'],
    on: ['transaction-done', 'hand-back', 'host-failed', 'tls-unusable'],
    when: 'stopping',
    to: 'over',
    do: [],
  },
  {
    id: 'out-of-time',
    in: ['obtain', 'talk'],
    on: ['transaction-done', 'hand-back', 'host-failed', 'tls-unusable'],
    when: 'expired',
    to: 'over',
    do: ['noteTrouble', 'judgeAll'],
  },
  {
    id: 'postponed',
    in: ['talk'],
    on: ['transaction-done'],
    when: 'someUnjudged',
    to: 'obtain',
    do: ['obtain'],
  },
  { id: 'done', in: ['talk'], on: ['transaction-done'], to: 'over', do: [] },
  { id: 'handed-back', in: ['talk'], on: ['hand-back'], to: 'obtain', do: ['obtain'] },
  {
    id: 'tls-unusable',
    in: ['obtain', 'talk'],
    on: ['tls-unusable'],
    to: 'obtain',
    do: ['giveUpTls', 'obtain'],
  },

  {
    id: 'next-address',
    in: ['obtain', 'talk'],
    on: ['host-failed'],
    when: 'anotherAddress',
    to: 'obtain',
    do: ['noteTrouble', 'nextAddress', 'obtain'],
  },
  {
    id: 'next-host',
    in: ['obtain', 'talk'],
    on: ['host-failed'],
    when: 'anotherHost',
    to: 'addresses',
    do: ['noteTrouble', 'nextHost', 'lookupAddresses'],
  },
  {
    id: 'no-host-left',
    in: ['obtain', 'talk'],
    on: ['host-failed'],
    to: 'over',
    do: ['noteTrouble', 'judgeAll'],
  },

  { id: 'expired-in-talk', in: ['talk'], on: ['deadline'], to: 'talk', do: ['noteExpired', 'interrupt'] },
  {
    id: 'expired',
    in: ['hosts', 'addresses', 'obtain'],
    on: ['deadline'],
    to: 'over',
    do: ['noteExpired', 'judgeAll'],
  },
  { id: 'stop-in-talk', in: ['talk'], on: ['stop'], to: 'talk', do: ['noteStopping'] },
  { id: 'stop', in: ['waiting', 'hosts', 'addresses', 'obtain'], on: ['stop'], to: 'over', do: [] },
];
