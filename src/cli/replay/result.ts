/** What a replay tells, to a terminal, to a program, as a page. Writes only files that were asked for by name. */
import { writeFileSync } from 'node:fs';
import { htmlPage } from '../../output/html/page.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { replayReport } from '../../output/replay/replay-report.ts';
import { replayText } from '../../output/replay/replay-text.ts';
import { textDecoder } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError } from '../setup/load-config.ts';
import type { Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export type ReplayResult =
  | { readonly kind: 'told'; readonly sources: ReplaySources; readonly rules: RunRules }
  | CliError;

export function printResult(
  told: ReplayResult,
  { options, settings, terminal }: Invocation,
): ExitCode | CliError {
  if (told.kind === 'trouble') return told;
  const report = replayReport(told.sources, textDecoder(told.rules.render.legacy));
  if (typeof options.html === 'string') {
    const written = write(options.html, htmlPage(report, told.sources.story));
    if (written !== null) return written;
  }
  terminal.print(settings.json ? JSON.stringify(report) : replayText(report, terminal.interactive));
  return EXIT.ok;
}

export function write(file: string, text: string): CliError | null {
  try {
    writeFileSync(file, text, { flag: 'w' });
    return null;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(`${file} cannot be written: ${describeError(error)}.`, EXIT.cannotCreate);
  }
}
