/** Called wherever the same trouble is met again and again: at each look, for each destination of a mail. */

/** Passes each text on the first time it comes. */
export function warnOnce(say: (text: string) => void): (text: string) => void {
  const said = new Set<string>();
  return (text) => {
    if (!said.has(text)) say(text);
    said.add(text);
  };
}
