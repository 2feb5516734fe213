/**
 * The business logic of one delivery: bring a job's recipients of one destination to one of its hosts, and decide
 * which host is next when that fails. `advance(delivery, event)` takes the row of table.ts that fits. Pure; the
 * dispatcher performs the effects, the session machine does the talking.
 */
import type { Host } from '../plan/hosts.ts';
import { indexRows } from '../session/row-index.ts';
import type { Failure, Verdict } from '../session/verdict.ts';
import type { Delivery, DeliveryEffect, DeliveryEvent, DeliveryState, DeliveryStep } from './delivery.ts';
import type { DeliveryAction, DeliveryGuard, DeliveryRow } from './table.ts';
import { DELIVERY_TABLE } from './table.ts';

/** The one entry. An event without a row (an answer that comes when all is over) changes nothing. */
export function advance(delivery: Delivery, event: DeliveryEvent): DeliveryStep {
  const row = rowFor(delivery, event);
  if (row === undefined) return { delivery, effects: [], row: null };
  const draft: Draft = { ...delivery, state: row.to, event, effects: [] };
  for (const name of row.do) ACTIONS[name](draft);
  const { event: _, effects, ...after } = draft;
  return { delivery: after, effects, row: row.id };
}

const rowsOf = indexRows<DeliveryState, DeliveryEvent['type'], DeliveryRow>(DELIVERY_TABLE);

function rowFor(delivery: Delivery, event: DeliveryEvent): DeliveryRow | undefined {
  return rowsOf(delivery.state, event.type).find(({ when }) => when === undefined || GUARDS[when](delivery));
}

interface Draft extends Mutable<Delivery> {
  readonly event: DeliveryEvent;
  readonly effects: DeliveryEffect[];
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const GUARDS: { readonly [name in DeliveryGuard]: (delivery: Delivery) => boolean } = {
  anotherAddress: (delivery) => delivery.address + 1 < delivery.addresses.length,
  anotherHost: (delivery) => delivery.host + 1 < delivery.hosts.length,
  someUnjudged: (delivery) => delivery.pending.length > 0,
  expired: (delivery) => delivery.expired,
  stopping: (delivery) => delivery.stopping,
};

const ACTIONS: { readonly [name in DeliveryAction]: (draft: Draft) => void } = {
  lookupHosts: (draft) => draft.effects.push({ type: 'lookup-hosts' }),
  takeStanding: (draft) => {
    if (draft.event.type !== 'adopt') return;
    const { type: _, ...standing } = draft.event;
    Object.assign(draft, standing);
  },
  takeHosts: (draft) => {
    if (draft.event.type === 'hosts') draft.hosts = draft.event.hosts;
  },
  lookupAddresses: (draft) => draft.effects.push({ type: 'lookup-addresses', host: hostOf(draft) }),
  takeAddresses: (draft) => {
    if (draft.event.type === 'addresses') draft.addresses = draft.event.addresses;
    draft.address = 0;
    draft.withoutTls = false;
  },
  nextAddress: (draft) => {
    draft.address++;
    draft.withoutTls = false;
  },
  nextHost: (draft) => {
    draft.host++;
  },
  giveUpTls: (draft) => {
    draft.withoutTls = true;
  },
  obtain: (draft) => {
    const address = draft.addresses[draft.address];
    if (address === undefined) throw new Error('a delivery connects only to an address it has');
    draft.effects.push({ type: 'obtain', host: hostOf(draft), address, withoutTls: draft.withoutTls });
  },
  transact: (draft) => draft.effects.push({ type: 'transact', recipients: draft.pending }),
  noteTrouble: (draft) => {
    if ('failure' in draft.event) draft.troubles = [...draft.troubles, draft.event.failure];
  },
  settle: (draft) => {
    if (draft.event.type !== 'judged') return;
    const judged = new Set(draft.event.recipients);
    draft.pending = draft.pending.filter((recipient) => !judged.has(recipient));
  },
  noteExpired: (draft) => {
    draft.expired = true;
  },
  noteStopping: (draft) => {
    draft.stopping = true;
  },
  interrupt: (draft) => draft.effects.push({ type: 'interrupt' }),
  judgeAll: (draft) => {
    if (draft.pending.length === 0) return;
    const verdict: Verdict = { kind: 'failed', ...worst(draft.troubles, draft.expired) };
    draft.effects.push({ type: 'verdict', recipients: draft.pending, verdict });
    draft.pending = [];
  },
};

function hostOf(draft: Delivery): Host {
  const host = draft.hosts[draft.host];
  if (host === undefined) throw new Error('a delivery asks only for a host it has');
  return host;
}

/**
 * The trouble that tells a person most: the one that got furthest, the latest of equals, so that a failed
 * lookup of some last host never hides what a server said (c-module-behaviour 11.18). Permanent only when every
 * way was proven not to exist.
 */
function worst(troubles: readonly Failure[], expired: boolean): Failure {
  const furthest = troubles.reduce<Failure | null>(
    (best, trouble) => (best === null || progress(trouble) >= progress(best) ? trouble : best),
    null,
  );
  if (furthest === null) return OUT_OF_TIME;
  return { ...furthest, permanent: !expired && troubles.every((trouble) => trouble.permanent) };
}

const BEFORE_SESSION = ['routing', 'lookup', 'connect'];

function progress(failure: Failure): number {
  const early = BEFORE_SESSION.indexOf(failure.stage);
  return early < 0 ? BEFORE_SESSION.length : early;
}

const OUT_OF_TIME: Failure = {
  reach: 'host',
  stage: 'connect',
  permanent: false,
  code: null,
  enhanced: '4.4.7',
  text: 'the time for this delivery was over before a host answered',
  peer: null,
  maybeDelivered: false,
};
