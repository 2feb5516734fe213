/** Finds a key that a JSON text has twice, of which JSON.parse would silently keep the last. Pure. */

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g;

/**
 * The first such key with the keys around it, as in `timeout.mail`, which may also be written at once; null: there is none.
 * `json` has to be valid.
 */
export function repeatedKey(json: string): string | null {
  const seen = new Set<string>();
  /** of each object and list that is open: what its keys begin with */
  const open: string[] = [];
  let prefix = '';
  let key = '';
  let objects = 0;
  for (const [token, text, colon] of json.matchAll(TOKEN)) {
    if (text !== undefined) {
      if (colon === undefined) continue;
      key = prefix + JSON.parse(text);
      if (seen.has(key)) return key.replace(/ \d+ /g, '');
      seen.add(key);
    } else if (token === '{' || token === '[') {
      open.push(prefix);
      // Each object of a list has keys of its own.
      if (token === '[') prefix = `${key} `;
      else if (open.length > 1) prefix = prefix.endsWith(' ') ? `${prefix}${++objects} .` : `${key}.`;
    } else {
      prefix = open.pop() ?? '';
    }
  }
  return null;
}
