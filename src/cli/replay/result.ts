/** Prints the result of a replay as text or JSON, or writes it as an HTML page. */
import { closeSync, fchmodSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { htmlPage } from '../../output/html/page.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { replayReport } from '../../output/replay/replay-report.ts';
import { replayText } from '../../output/replay/replay-text.ts';
import { textDecoder } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export type ReplayResult =
  | { readonly kind: 'sources'; readonly sources: ReplaySources; readonly rules: RunRules }
  | CliError;

export function printResult(
  result: ReplayResult,
  { options, settings, terminal }: Invocation,
): ExitCode | CliError {
  if (result.kind === 'error') return result;
  const report = replayReport(result.sources, textDecoder(result.rules.render.legacy));
  if (typeof options.html === 'string') {
    const written = write(options.html, htmlPage(report, result.sources.timeline));
    if (written !== null) return written;
  }
  terminal.print(settings.json ? JSON.stringify(report) : replayText(report, terminal.coloured));
  return EXIT.ok;
}

/** What is made from a private transcript is as private: only its owner can read it, whatever lay there before. */
export function write(file: string, text: string): CliError | null {
  try {
    const descriptor = openSync(file, 'w', 0o600);
    try {
      if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, 0o600);
      writeFileSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
    return null;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(`${file} cannot be written: ${describeError(error)}.`, EXIT.cannotCreate);
  }
}
