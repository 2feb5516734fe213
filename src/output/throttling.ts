/** Which messages wait because their hosts asked us to send less, in sentences and as facts. Pure. */
import { turnsAt } from '../delivery/throttling/machine.ts';
import { adviceFor, receiverName } from '../delivery/throttling/receivers.ts';
import type { ThrottledGroups } from '../delivery/throttling/throttle.ts';
import { formatTime } from '../platform/clock.ts';
import { groupByPayload } from '../queue/due.ts';
import type { QueuedJob } from '../queue/queue.ts';
import type { RoutingRules } from '../routing/route.ts';
import { groupsOf } from '../runner/throttling/throttled-queue.ts';
import { type DecodeText, plural } from './text.ts';

/** A message that waits although it is due. */
export interface ThrottleWait {
  readonly group: string;
  /** Unix seconds */
  readonly until: number;
  /** full sentences; the first one says why */
  readonly sentences: readonly string[];
}

/** Why the message of these jobs waits; null: it does not. */
export type ThrottleWaits = (lists: readonly QueuedJob[]) => ThrottleWait | null;

export const NO_WAITS: ThrottleWaits = () => null;

/** @param now Unix seconds */
export function throttleWaits(
  groups: ThrottledGroups,
  routing: RoutingRules,
  now: number,
  readable: DecodeText,
): ThrottleWaits {
  const byDestination = new Map(
    [...groups].flatMap(([name, { destinations }]) => destinations.map((key) => [key, name] as const)),
  );
  const groupOf = (key: string): string | null => byDestination.get(key) ?? null;
  return (lists) => {
    const names = groupsOf(lists, { groupOf }, routing) ?? [];
    const waits = names.flatMap((name) => {
      const group = groups.get(name);
      return group === undefined || turnsAt(group, now * 1000) > 0 ? [] : [{ name, ...group }];
    });
    // It goes on with the first group that takes mail again.
    if (waits.length === 0 || waits.length < names.length) return null;
    const [first] = waits.sort((a, b) => a.until - b.until);
    if (first === undefined) return null;
    const until = Math.ceil(first.until / 1000);
    const known = adviceFor(first.name, first.answer);
    const sentences = [
      `${receiverName(first.name)} asked us to slow down, so it waits until ${formatTime(until)}; that is no failed attempt.`,
      `What ${first.host} said: ${readable(first.answer)}`,
      ...(known === null ? [] : [`${known.advice} See ${known.source}`]),
    ];
    return { group: first.name, until, sentences };
  };
}

export interface ThrottleFacts {
  readonly group: string;
  readonly receiver: string;
  readonly state: string;
  /** ISO 8601: nothing is offered before */
  readonly until: string;
  /** messages a minute once it takes mail again */
  readonly rate: number;
  readonly answer: string;
  /** messages that are due and wait */
  readonly waiting: number;
}

/** @param due jobs whose time has come */
export function throttleFacts(
  groups: ThrottledGroups,
  due: readonly QueuedJob[],
  waits: ThrottleWaits,
  readable: DecodeText,
): readonly ThrottleFacts[] {
  const waiting = new Map<string, number>();
  for (const lists of groupByPayload(due).values()) {
    const group = waits(lists)?.group;
    if (group !== undefined) waiting.set(group, (waiting.get(group) ?? 0) + 1);
  }
  return [...groups].map(([group, { state, until, rate, answer }]) => ({
    group,
    receiver: receiverName(group),
    state,
    until: formatTime(Math.ceil(until / 1000)),
    rate: Math.round(rate),
    answer: readable(answer),
    waiting: waiting.get(group) ?? 0,
  }));
}

/** `Gmail asked us to slow down; 571 messages wait until ...` */
export function throttleSentence({ receiver, state, until, rate, waiting }: ThrottleFacts): string {
  const messages = plural(waiting, 'message');
  if (waiting > 0)
    return `${receiver} asked us to slow down; ${messages} ${waiting === 1 ? 'waits' : 'wait'} until ${until}`;
  return state === 'limited'
    ? `${receiver} asked us to slow down; it gets ${plural(rate, 'message')} a minute`
    : `${receiver} asked us to slow down; no message waits for it`;
}
