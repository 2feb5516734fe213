/**
 * What may hold a password, as it is shown: in messages, logs, transcripts and pages. Everything that shows a relay entry or
 * the value of a setting uses this.
 */

/**
 * A relay entry or URL with what may be a password replaced by `***`, however it is written: what stands before the last @, a
 * port that is none, and all behind the first colon where the @ is missing.
 */
export function redactEntry(entry: string): string {
  const [, scheme = '', rest = ''] = /^\s*([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(entry) ?? [];
  const at = rest.lastIndexOf('@');
  return `${scheme}${at < 0 ? '' : '***@'}${redactPort(rest.slice(at + 1))}`;
}

/** `host`, `host:25`, `[2001:db8::1]:25` and an IPv6 address stay; behind any other colon nothing does. */
function redactPort(place: string): string {
  const shown =
    /^(?:\[[0-9a-fA-F.:]*\](?::\d{0,5})?|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*|[\w.-]*(?::\d{1,5})?)(?=[\s/]|$)/.exec(
      place,
    );
  if (shown !== null) return place.slice(0, shown[0].length) + redactRest(place.slice(shown[0].length));
  return `${place.slice(0, place.search(/[:\s]|$/))}:***`;
}

/** A path, or the sender for whom the relay is: one word. What has more words may be an entry with blanks for its colon and @. */
function redactRest(rest: string): string {
  return rest.includes(':') || /\S\s+\S/.test(rest) ? ' ***' : rest;
}

/** Words in the wrong place that may be a relay entry, or hold one. */
export function redactWords(given: string): string {
  return /:[^@]*@/.test(given) ? redactEntry(given) : given;
}

/** Where reports are sent to; what is none of its forms may be a relay entry, or anything. */
export function redactReturn(given: string): string {
  if (/^(?:room|lmtp:\/[^@]*)$/.test(given)) return given;
  return /^smtp:\/\//.test(given) ? redactEntry(given) : '***';
}
