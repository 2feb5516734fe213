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
  // What is no host name may be a whole entry, percent-encoded.
  const [name = ''] = /^[\w.-]*(?=[:\s]|$)/.exec(place) ?? [];
  return name === '' ? '***' : `${name}:***`;
}

/** A path, or the sender for whom the relay is: one word. What has more words may be an entry with blanks for its colon and @. */
function redactRest(rest: string): string {
  return rest.includes(':') || /\S\s+\S/.test(rest) ? ' ***' : rest;
}

/** Words in the wrong place that may be a relay entry, or hold one. */
export function redactWords(given: string): string {
  return /(?::|%3a)[^@]*(?:@|%40)/i.test(given) ? redactEntry(given) : given;
}

/** Where reports are sent to; what is none of its forms may be a relay entry, or anything. */
export function redactReturn(given: string): string {
  if (/^(?:room|lmtp:\/[^@]*)$/.test(given)) return given;
  return /^smtp:\/\//.test(given) ? redactEntry(given) : '***';
}

/** A wrong value of a setting as an error quotes it. What may be a relay entry or credentials is not, wherever it stands. */
export function quotedValue(raw: unknown): string {
  const value = JSON.stringify(raw);
  return /@|%40|\s\S+\s|:\S*\s|credentials|password|relays/i.test(value) ? 'its value' : value;
}
