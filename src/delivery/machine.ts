/**
 * The logic of one delivery: which host is tried for the recipients of a job at one destination, and which one is next when
 * that fails. `advance(delivery, event)` takes the row of table.ts that applies. Pure: the caller performs the effects, and
 * the session machine holds the dialogue.
 */
import type { Host } from '../routing/hosts.ts';
import { bindRows } from '../smtp/machine/rows.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { Delivery, DeliveryEffect, DeliveryEvent, DeliveryStep } from './delivery.ts';
import type { DeliveryAction, DeliveryGuard, DeliveryRow } from './table.ts';
import { DELIVERY_TABLE } from './table.ts';

/** The only entry point. An event without a row (an answer that arrives after the end) changes nothing. */
export function advance(delivery: Delivery, event: DeliveryEvent): DeliveryStep {
  const after: Mutable<Delivery> = { ...delivery };
  const draft: Draft = { delivery: after, event, effects: [] };
  const row = fitting(after.state, event.type, draft);
  if (row === undefined) return { delivery, effects: [], row: null };
  after.state = row.to;
  for (const action of row.actions) action(draft);
  return { delivery: after, effects: draft.effects, row: row.id };
}

/** What rows work on: a copy of the delivery that actions may change, and the effects so far. */
interface Draft {
  readonly delivery: Mutable<Delivery>;
  readonly event: DeliveryEvent;
  readonly effects: DeliveryEffect[];
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const GUARDS: { readonly [name in DeliveryGuard]: (draft: Draft) => boolean } = {
  anotherAddress: ({ delivery }) => delivery.address + 1 < delivery.addresses.length,
  anotherHost: ({ delivery }) => delivery.host + 1 < delivery.hosts.length,
  recipientsPending: ({ delivery }) => delivery.pending.length > 0,
  fallbackLeft: ({ delivery }) => fallbackAfter(delivery) >= 0,
  hostElsewhere: ({ event }) => event.type === 'throttled' && event.elsewhere >= 0,
  hostsFailed: ({ delivery }) => delivery.failures.length > 0,
  expired: ({ delivery }) => delivery.expired,
  stopping: ({ delivery }) => delivery.stopping,
};

const ACTIONS: { readonly [name in DeliveryAction]: (draft: Draft) => void } = {
  lookupHosts: ({ effects }) => effects.push({ type: 'lookup-hosts' }),
  restoreCursor: ({ delivery, event }) => {
    if (event.type !== 'reuse') return;
    delivery.hosts = event.hosts;
    delivery.host = event.host;
    delivery.addresses = event.addresses;
    delivery.address = event.address;
    delivery.withoutTls = event.withoutTls;
  },
  setHosts: ({ delivery, event }) => {
    if (event.type === 'hosts') delivery.hosts = event.hosts;
  },
  lookupAddresses: ({ delivery, effects }) =>
    effects.push({ type: 'lookup-addresses', host: hostOf(delivery) }),
  setAddresses: ({ delivery, event }) => {
    if (event.type === 'addresses') {
      const { addresses, protection } = event;
      delivery.addresses = addresses;
      if (protection !== undefined)
        delivery.hosts = delivery.hosts.with(delivery.host, { ...hostOf(delivery), protection });
    }
    delivery.address = 0;
    delivery.withoutTls = false;
  },
  nextAddress: ({ delivery }) => {
    delivery.address++;
    delivery.withoutTls = false;
  },
  skipToFallback: ({ delivery }) => {
    delivery.host = fallbackAfter(delivery);
  },
  skipElsewhere: ({ delivery, event }) => {
    if (event.type === 'throttled') delivery.host = event.elsewhere;
  },
  nextHost: ({ delivery }) => {
    delivery.host++;
  },
  disableTls: ({ delivery }) => {
    delivery.withoutTls = true;
  },
  acquireConnection: ({ delivery, effects }) => {
    const address = delivery.addresses[delivery.address];
    if (address === undefined) throw new Error('the delivery has no such address');
    effects.push({
      type: 'acquire-connection',
      host: hostOf(delivery),
      address,
      withoutTls: delivery.withoutTls,
    });
  },
  startTransaction: ({ delivery, effects }) =>
    effects.push({ type: 'start-transaction', recipients: delivery.pending }),
  addFailure: ({ delivery, event }) => {
    if ('failure' in event) delivery.failures = [...delivery.failures, event.failure];
  },
  /** the same host is tried again, so this is a failure only if the message may have arrived */
  addDoubt: ({ delivery, event }) => {
    if ('failure' in event && event.failure.maybeDelivered)
      delivery.failures = [...delivery.failures, event.failure];
  },
  removeDecided: ({ delivery, event }) => {
    if (event.type !== 'outcome-recorded') return;
    const decided = new Set(event.recipients);
    delivery.pending = delivery.pending.filter((recipient) => !decided.has(recipient));
  },
  markExpired: ({ delivery }) => {
    delivery.expired = true;
  },
  markStopping: ({ delivery }) => {
    delivery.stopping = true;
  },
  interrupt: ({ effects }) => effects.push({ type: 'interrupt' }),
  failPending: ({ delivery, effects }) => {
    if (delivery.pending.length === 0) return;
    const outcome: Outcome = { kind: 'failed', ...summarise(delivery.failures, delivery.expired) };
    effects.push({ type: 'outcome', recipients: delivery.pending, outcome });
    delivery.pending = [];
  },
  holdBack: ({ delivery, event, effects }) => {
    if (event.type !== 'throttled') return;
    effects.push({ type: 'hold-back', recipients: delivery.pending, failure: event.failure });
    delivery.pending = [];
  },
};

const fitting = bindRows<DeliveryRow, Draft>(DELIVERY_TABLE, GUARDS, ACTIONS);

function fallbackAfter({ hosts, host }: Delivery): number {
  return hosts.findIndex(({ origin }, index) => index > host && origin === 'fallbackhost');
}

function hostOf(delivery: Delivery): Host {
  const host = delivery.hosts[delivery.host];
  if (host === undefined) throw new Error('the delivery has no such host');
  return host;
}

/**
 * The failure that says most to a person: that of the host that got furthest, the latest of equals, so that a failed lookup
 * or the silence of the last host does not hide what a server said. Permanent only when every host was proven not to exist.
 */
function summarise(failures: readonly Failure[], expired: boolean): Failure {
  const furthest = failures.reduce<Failure | null>(
    (best, failure) => (best === null || progress(failure) >= progress(best) ? failure : best),
    null,
  );
  if (furthest === null) return OUT_OF_TIME;
  const permanent = !expired && failures.every((failure) => failure.permanent);
  return {
    ...furthest,
    permanent,
    enhanced: `${permanent ? 5 : 4}${furthest.enhanced.slice(1)}`,
    maybeDelivered: failures.some((failure) => failure.maybeDelivered),
  };
}

const BEFORE_SESSION = ['routing', 'lookup', 'network', 'connect'];
const BEFORE_MESSAGE = ['greeting', 'ehlo', 'helo', 'capabilities', 'starttls', 'handshake', 'auth'];

/** What a host said beats what it did, and that beats what this machine or the DNS lacks; most is said of the message itself. */
function progress({ stage, code }: Failure): number {
  const index = BEFORE_SESSION.indexOf(stage);
  if (index >= 0) return index;
  const isReply = code === null ? 0 : 1;
  return BEFORE_SESSION.length + isReply * (BEFORE_MESSAGE.includes(stage) ? 1 : 2);
}

const OUT_OF_TIME: Failure = {
  scope: 'host',
  stage: 'connect',
  permanent: false,
  code: null,
  enhanced: '4.4.7',
  text: 'the time for this delivery was over before a host answered',
  peer: null,
  maybeDelivered: false,
};
