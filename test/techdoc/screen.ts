/**
 * The screen in the README: real output of the demo, and of `explain` for a job that the demo leaves behind. What differs from run
 * to run is made equal: ports, spans of time, and the order of what happens at the same time.
 * `node --import tsx test/techdoc/screen.ts` writes it; readme.test.ts fails when the README and the program disagree.
 */
import assert from 'node:assert/strict';
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
  const { conversations, outcomes, summary } = partsOf(normalised(played.printed.join('\n')));
  const lines = [
    '$ npm run demo',
    '...',
    ...[conversations[1] ?? '', outcomes, summary].flatMap((part) => [part, '']),
    `$ spoolroom explain ${JOB}`,
    ...explained.printed,
  ];
  return ['```', ...lines, '```', ''].join('\n');
}

/** What the first queue run of the demo prints: its conversations, outcomes and summary. */
export async function firstRun({ coloured }: { readonly coloured: boolean }): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'spoolroom-screen-'));
  const played = caughtTerminal();
  const terminal = { ...played.terminal, coloured };
  try {
    await demo(invocation({ ...played, terminal }, { spool: path.join(directory, 'spool') }));
  } finally {
    rmSync(directory, { recursive: true });
  }
  const { heading, conversations, outcomes, summary } = partsOf(normalised(played.printed.join('\n')));
  return [heading, ...conversations, outcomes, summary].join('\n\n');
}

interface Parts {
  readonly heading: string;
  /** one for each host, in the order of their names */
  readonly conversations: readonly string[];
  readonly outcomes: string;
  readonly summary: string;
}

/** Of the first queue run, whose paragraphs have a blank line between them. */
function partsOf(text: string): Parts {
  const paragraphs = text.split('\n\n');
  const begins = (paragraph: string, pattern: RegExp): boolean => pattern.test(withoutColours(paragraph));
  const find = (pattern: RegExp): string => paragraphs.find((each) => begins(each, pattern)) ?? '';
  const [run = '', ...rest] = text
    .slice(text.search(/^.*Queue run at /m))
    .split(/^.*Queue run at .*$/m)
    .slice(1);
  assert.ok(rest.length > 0, 'the demo has two runs');
  const conversations = run.split('\n\n').map((each) => each.replace(/^\n+/, ''));
  return {
    heading: find(/^Queue run at /),
    conversations: conversations.filter((each) => begins(each, /^ {2}mx\./)).sort(),
    outcomes: sortedLines(find(/^ {2}(?:delivered|deferred|refused) /)),
    summary: find(/^\d+ delivered, /),
  };
}

function withoutColours(text: string): string {
  return text.replace(/\x1b\[\d+m/g, '');
}

function sortedLines(paragraph: string): string {
  const lines = paragraph.split('\n').map((line) => [withoutColours(line), line] as const);
  return lines
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, line]) => line)
    .join('\n');
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
