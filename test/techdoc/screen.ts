/**
 * The screen in the README: real output of the demo, and of `explain` for a job that the demo leaves behind. What differs from run
 * to run is made equal: ports, spans of time, and the order of what happens at the same time.
 * `node --import tsx test/techdoc/screen.ts` writes it; readme.test.ts fails when the README and the program disagree.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command as demo } from '../../src/cli/commands/demo.ts';
import { command as explain } from '../../src/cli/commands/explain.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';

export const README = fileURLToPath(new URL('../../README.md', import.meta.url));

const JOB = 17;
/** Unix seconds: the end of the demo. */
const NOW = 1_342_225_200;
const SECTION = /(<!-- screen -->\n)[\s\S]*(<!-- \/screen -->)/;

export async function readmeScreen(): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'spoolroom-screen-'));
  const spool = path.join(directory, 'spool');
  const played = caughtTerminal();
  const explained = caughtTerminal();
  try {
    await demo(invocation(played, { spool }));
    await explain(invocation(explained, { spool, now: NOW }, { job: String(JOB) }));
  } finally {
    rmSync(directory, { recursive: true });
  }
  const lines = [
    '$ npm run demo',
    '...',
    ...excerpt(normalised(played.printed.join('\n'))),
    `$ spoolroom explain ${JOB}`,
    ...explained.printed.join('\n').split('\n'),
  ];
  return ['```', ...lines, '```', ''].join('\n');
}

/** One conversation of the first queue run, its outcomes, and its summary, a blank line after each. */
function excerpt(text: string): readonly string[] {
  const paragraphs = text.split('\n\n').map((paragraph) => paragraph.split('\n'));
  const find = (first: RegExp): readonly string[] => paragraphs.find(([line = '']) => first.test(line)) ?? [];
  const conversation = find(/^ {2}mx\.greylist\.example /);
  const outcomes = find(/^ {2}(?:delivered|deferred|refused) /);
  const summary = find(/^\d+ delivered, /);
  return [conversation, [...outcomes].sort(), summary].flatMap((lines) => [...lines, '']);
}

function normalised(text: string): string {
  return text.replace(/\]:\d{4,5}\b/g, ']:25').replace(/in \d+\.\d\d s/g, 'in 0.30 s');
}

/** The README with this screen. */
export function withScreen(readme: string, screen: string): string {
  if (!SECTION.test(readme)) throw new Error('README.md has no place for the screen');
  return readme.replace(SECTION, (_, open: string, close: string) => open + screen + close);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(README, withScreen(readFileSync(README, 'utf8'), await readmeScreen()));
