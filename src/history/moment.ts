/** Points in time as people write them for the history: `yesterday`, `2h` ago, `2026-11-27`, `2026-11-27T10:00`. UTC. Pure. */
import { duration } from '../settings/kinds.ts';

const DAY = 86_400_000;

/** Milliseconds since the epoch; null: it is none of these. */
export function parseMoment(word: string, now: number): number | null {
  const today = Math.floor(now / DAY) * DAY;
  if (word === 'now') return now;
  if (word === 'today') return today;
  if (word === 'yesterday') return today - DAY;
  if (/^\d{4}-\d\d-\d\d$/.test(word)) return valid(Date.parse(`${word}T00:00:00Z`));
  const [, day, time, seconds = ':00'] =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?Z?$/.exec(word) ?? [];
  if (day !== undefined) return valid(Date.parse(`${day}T${time}${seconds}Z`));
  const ago = duration.read(word);
  return ago.ok ? now - ago.value : null;
}

function valid(time: number): number | null {
  return Number.isNaN(time) ? null : time;
}
