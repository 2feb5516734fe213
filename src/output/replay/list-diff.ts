/**
 * The difference between two delivery lists, line by line. Lines are matched by keyword, those of recipients by address, so
 * that a changed status stands beside the old one. Takes time linear in the length of the lists.
 */
import type { ByteString } from '../../platform/bytes.ts';

export interface DiffLine {
  readonly mark: ' ' | '-' | '+';
  readonly text: ByteString;
}

export function diffLists(before: ByteString, after: ByteString): readonly DiffLine[] {
  const oldLines = linesOf(before);
  const newLines = linesOf(after);
  const had = new Set(oldLines.map(({ key }) => key));
  const diff: DiffLine[] = [];
  let at = 0;
  const addNew = (): void => {
    for (let line = newLines[at]; line !== undefined && !had.has(line.key); line = newLines[++at]) {
      diff.push({ mark: '+', text: line.text });
    }
  };
  const place = new Map(newLines.map((line) => [line.key, line.text]));
  const shown = new Set<string>();
  for (const { key, text } of oldLines) {
    addNew();
    const now = place.get(key);
    if (now === undefined) diff.push({ mark: '-', text });
    else if (now === text) diff.push({ mark: ' ', text });
    else diff.push({ mark: '-', text }, { mark: '+', text: now });
    shown.add(key);
    while (at < newLines.length && shown.has(newLines[at]?.key ?? '')) at++;
  }
  addNew();
  return diff;
}

interface KeyedLine {
  readonly key: string;
  readonly text: ByteString;
}

/** The nth line of a keyword, the nth of an address. */
function linesOf(text: ByteString): readonly KeyedLine[] {
  const seen = new Map<string, number>();
  return text
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line !== '')
    .map((line) => {
      const [keyword = '', value = ''] = line.split('|', 2);
      const name = keyword === 'remote' ? `remote|${value}` : keyword.toLowerCase();
      const nth = seen.get(name) ?? 0;
      seen.set(name, nth + 1);
      return { key: `${name}#${nth}`, text: line };
    });
}
