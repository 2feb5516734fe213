/** For warnings whose cause is met again and again, at each scan or for each destination of a message. */

/** Passes each text on only once. */
export function warnOnce(warn: (text: string) => void): (text: string) => void {
  const seen = new Set<string>();
  return (text) => {
    if (!seen.has(text)) warn(text);
    seen.add(text);
  };
}
