/**
 * Recorded client-protocol sessions of real Citadel servers (fixtures/citadel), as exchanges: a command of the client and
 * every byte of the answer.
 */
import { readFileSync } from 'node:fs';

export interface Exchange {
  /** as sent, with its line end; '' for the greeting */
  readonly said: string;
  /** one character per byte */
  readonly answer: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

function unescaped(literal: string): string {
  return literal
    .replace(/^b?['"]|['"]$/g, '')
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, code: string | undefined, letter: string) =>
      code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16)),
    );
}

export function transcript(name: string): Exchange[] {
  const file = new URL(`../../fixtures/citadel/${name}.txt`, import.meta.url);
  const exchanges = [{ said: '', answer: '' }];
  for (const row of readFileSync(file, 'latin1').split('\n')) {
    const text = unescaped(row.slice(3));
    if (row.startsWith('C: ')) exchanges.push({ said: text, answer: '' });
    const current = exchanges.at(-1);
    if (row.startsWith('S: ') && current !== undefined) current.answer += text;
  }
  return exchanges;
}
