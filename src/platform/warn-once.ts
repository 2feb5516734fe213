/** For warnings whose cause is met again and again, at each scan or for each destination of a message. */

/** Passes each text on only once. */
export function warnOnce(warn: (text: string) => void): (text: string) => void {
  // Made for each message, and few of them have something to warn of.
  let seen: Set<string> | null = null;
  return (text) => {
    if (seen?.has(text)) return;
    seen ??= new Set();
    seen.add(text);
    warn(text);
  };
}
