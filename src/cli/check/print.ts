/** Prints the findings of a check. The exit code says whether one of them stops mail, or asks for a look. */
import { checkReport, type Finding, type Grade } from '../../output/check-report.ts';
import type { Invocation } from '../shell/command.ts';
import { EXIT, type ExitCode } from '../shell/exit.ts';

export function printFindings(
  findings: readonly Finding[],
  { settings, terminal }: Pick<Invocation, 'settings' | 'terminal'>,
): ExitCode {
  terminal.print(settings.json ? JSON.stringify({ findings }) : checkReport(findings, terminal.coloured));
  const has = (wanted: Grade): boolean => findings.some(({ grade }) => grade === wanted);
  if (has('trouble')) return EXIT.difference;
  return settings.strict && has('warning') ? EXIT.warnings : EXIT.ok;
}
