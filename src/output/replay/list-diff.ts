/**
 * What changed between two delivery lists, line by line. Called by the renderings of `replay`. A line is known again
 * by its keyword, a recipient's by its address, so that a changed status stands beside the old one. Takes time linear
 * in the lists.
 */
import type { ByteString } from '../../platform/bytes.ts';

export interface DiffLine {
  readonly mark: ' ' | '-' | '+';
  readonly text: ByteString;
}

export function diffLists(before: ByteString, after: ByteString): readonly DiffLine[] {
  const olds = linesOf(before);
  const news = linesOf(after);
  const stays = new Set(news.map(({ key }) => key));
  const had = new Set(olds.map(({ key }) => key));
  const diff: DiffLine[] = [];
  let at = 0;
  const addNew = (): void => {
    for (let line = news[at]; line !== undefined && !had.has(line.key); line = news[++at]) {
      diff.push({ mark: '+', text: line.text });
    }
  };
  const place = new Map(news.map((line) => [line.key, line.text]));
  const shown = new Set<string>();
  for (const { key, text } of olds) {
    addNew();
    const now = place.get(key);
    if (!stays.has(key) || now === undefined) diff.push({ mark: '-', text });
    else if (now === text) diff.push({ mark: ' ', text });
    else diff.push({ mark: '-', text }, { mark: '+', text: now });
    shown.add(key);
    while (at < news.length && shown.has(news[at]?.key ?? '')) at++;
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
