/** RFC 5322 dates. The zones of Citadel's C module were wrong where they are not whole hours (C22). */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** The end of the year 9999; a longer year has no RFC 5322 form. */
const LAST_SECOND = 253_402_300_799;

/** RFC 5322 3.3. `seconds` since 1970, `zoneMinutes` east of Greenwich; null outside the years 1970 to 9999. */
export function rfc5322Date(seconds: number, zoneMinutes: number): string | null {
  const local = seconds + zoneMinutes * 60;
  if (!(seconds >= 0 && local >= 0 && local <= LAST_SECOND)) return null;
  const date = new Date(local * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const zone = Math.abs(zoneMinutes);
  const offset = `${zoneMinutes < 0 ? '-' : '+'}${two(Math.floor(zone / 60))}${two(zone % 60)}`;
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} ${offset}`;
}
