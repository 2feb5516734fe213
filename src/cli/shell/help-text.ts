/** Fits help to the width of the terminal: long lines are broken between words and indented to their column. Pure. */

export function wrapText(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => wrappedLine(line, width))
    .join('\n');
}

/** `  --name   what it does`: the text begins after the first gap of two spaces or more. */
const COLUMN = /^\s*\S.*?\s{2,}/;

function wrappedLine(line: string, width: number): string {
  if (line.length <= width) return line;
  const head = COLUMN.exec(line)?.[0] ?? '';
  const lines = [head];
  for (const word of line.slice(head.length).split(/ +/)) {
    const last = lines.length - 1;
    const begun = lines[last] ?? '';
    const isEmpty = begun.length <= head.length;
    if (isEmpty || begun.length + 1 + word.length <= width)
      lines[last] = `${begun}${isEmpty ? '' : ' '}${word}`;
    else lines.push(' '.repeat(head.length) + word);
  }
  return lines.join('\n');
}
