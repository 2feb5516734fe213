/** Prints the findings of a check. The exit code says whether one of them stops mail. */
import { checkReport, type Finding } from '../../output/check-report.ts';
import type { Invocation } from '../shell/command.ts';
import { EXIT, type ExitCode } from '../shell/exit.ts';

export function printFindings(
  findings: readonly Finding[],
  { settings, terminal }: Pick<Invocation, 'settings' | 'terminal'>,
): ExitCode {
  terminal.print(settings.json ? JSON.stringify({ findings }) : checkReport(findings, terminal.coloured));
  return findings.some(({ grade }) => grade === 'trouble') ? EXIT.difference : EXIT.ok;
}
