/**
 * The pictures of the README, in techdoc/pictures/. `npm run pictures` makes them: run.svg from what the demo prints, replay.png
 * from the page of `replay --html`, photographed by Chromium where it is installed. pictures.test.ts fails where they show what is no more.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command as replay } from '../../src/cli/commands/replay.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { hasProgram } from '../support/programs.ts';
import { firstRun } from './screen.ts';
import { terminalSvg } from './terminal-svg.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const PICTURES = path.join(ROOT, 'techdoc/pictures');
const TRANSCRIPT = path.join(ROOT, 'fixtures/transcripts/busy-then-greylisted.jsonl');
const WINDOW = '1200,760';
const BROWSER = 'chromium';

/** The first queue run of the demo. */
export async function runPicture(): Promise<string> {
  const text = await firstRun({ coloured: true });
  return terminalSvg('What the first queue run of spoolroom demo prints', `$ npm run demo\n...\n${text}`);
}

/** The page that is photographed. */
export async function replayPage(): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-pictures-'));
  try {
    const html = path.join(folder, 'page.html');
    await replay(invocation(caughtTerminal(), {}, { file: TRANSCRIPT, html }));
    return readFileSync(html, 'utf8').replaceAll(`${ROOT}/`, '').replaceAll(ROOT, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Kept beside the photograph, to tell whether it shows the page of today. */
export function fingerprint(page: string): string {
  return `${createHash('sha256').update(page).digest('hex')}\n`;
}

function photograph(page: string, to: string): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-pictures-'));
  try {
    const html = path.join(folder, 'page.html');
    writeFileSync(html, page);
    const words = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--user-data-dir=${folder}`,
    ];
    const shot = [
      '--force-color-profile=srgb',
      `--window-size=${WINDOW}`,
      `--screenshot=${to}`,
      `file://${html}`,
    ];
    execFileSync(BROWSER, [...words, ...shot], { stdio: 'ignore', timeout: 60_000 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(path.join(PICTURES, 'run.svg'), await runPicture());
  const page = await replayPage();
  if (hasProgram(BROWSER)) {
    photograph(page, path.join(PICTURES, 'replay.png'));
    writeFileSync(path.join(PICTURES, 'replay.sha256'), fingerprint(page));
  } else console.log(`${BROWSER} is not installed: replay.png stays as it is`);
}
