/**
 * Which numbers of the queue are too much, by the settings `alert.*`. Each is an alert that is told when it begins and when it
 * has ended; it ends a little below its limit, so that a number around it is not told again and again.
 */
import { duration } from '../output/text.ts';
import type { QueueState } from '../queue/queue.ts';
import type { Alerts } from '../runner/alerts.ts';
import type { Settings } from '../settings/table.ts';
import type { Share } from './recent.ts';

/** Of the keys of these alerts. */
export const THRESHOLD = 'threshold ';

/** So few recipients have no share. */
const FEWEST = 20;

export interface Seen {
  /** for people: the path of the directory */
  readonly home: string;
  /** null: the queue was not read */
  readonly state: QueueState | null;
  readonly share: Share;
}

type Name = 'alert.queue-age' | 'alert.queue-size' | 'alert.refused';

interface Threshold {
  readonly setting: Name;
  /** in the unit of the setting; null: not known now */
  value(seen: Seen): number | null;
  /** part of the limit below which it has ended */
  readonly endsBelow: number;
  /** a full sentence, and what to do */
  says(seen: Seen, settings: Settings): string;
}

const sumOf = ({ new: fresh, deferred, held }: QueueState): number => fresh + deferred + held;

const THRESHOLDS: readonly Threshold[] = [
  {
    setting: 'alert.queue-age',
    value: ({ state }) => (state === null ? null : state.oldest * 1000),
    endsBelow: 1,
    says: ({ home, state }, settings) =>
      `The oldest job in ${home} is ${duration((state?.oldest ?? 0) * 1000)} old (alert.queue-age ${duration(settings['alert.queue-age'])}). ` +
      '`spoolroom queue --sort age` shows what waits, and `spoolroom explain` why.',
  },
  {
    setting: 'alert.queue-size',
    value: ({ state }) => (state === null ? null : sumOf(state)),
    endsBelow: 0.8,
    says: ({ home, state }, settings) =>
      `${home} has ${state === null ? 0 : sumOf(state)} jobs (alert.queue-size ${settings['alert.queue-size']}). ` +
      '`spoolroom queue --summary` shows for which destinations.',
  },
  {
    setting: 'alert.refused',
    value: ({ share: { refused, ended } }) => (ended < FEWEST ? 0 : (100 * refused) / ended),
    endsBelow: 0.8,
    says: ({ share: { refused, ended } }, settings) =>
      `${refused} of ${ended} recipients were refused within ${duration(settings['alert.window'])} (alert.refused ${settings['alert.refused']} %). ` +
      '`spoolroom history --status refused` shows the answers.',
  },
];

/** Whether any number is watched. */
export function hasThresholds(settings: Settings): boolean {
  return THRESHOLDS.some(({ setting }) => settings[setting] > 0);
}

type AlertBook = Pick<Alerts, 'raise' | 'clear' | 'has'>;

/** Those that a setting no longer wants have ended. */
export function forgetThresholds(settings: Settings, alerts: Pick<AlertBook, 'clear'>): void {
  const wanted = new Set(THRESHOLDS.filter(({ setting }) => settings[setting] > 0).map(keyOf));
  alerts.clear((key) => key.startsWith(THRESHOLD) && !wanted.has(key));
}

/** Raises what is beyond its limit, and ends what is so no more. */
export function judge(settings: Settings, seen: Seen, alerts: AlertBook): void {
  for (const threshold of THRESHOLDS) {
    const limit = settings[threshold.setting];
    const value = threshold.value(seen);
    if (limit === 0 || value === null) continue;
    const key = keyOf(threshold);
    if (value > limit) alerts.raise(key, threshold.says(seen, settings));
    else if (value < limit * threshold.endsBelow || !alerts.has(key)) alerts.clear((each) => each === key);
  }
}

function keyOf({ setting }: Pick<Threshold, 'setting'>): string {
  return `${THRESHOLD}${setting.slice('alert.'.length)}`;
}
