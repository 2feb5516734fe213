/** Whether what `metrics-file` and `alert.*` ask for can be done. Runs no command, writes no file. */
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { hasThresholds } from '../../metrics/thresholds.ts';
import { type Finding, ok, warning } from '../../output/check-report.ts';
import { escapeControl } from '../../output/text.ts';
import type { Settings } from '../../settings/table.ts';

export function monitoringFindings(settings: Settings, path = process.env.PATH ?? ''): readonly Finding[] {
  const { 'metrics-file': file, 'alert.command': command, 'alert.mail': mail } = settings;
  const [program] = command;
  return [
    ...(file === null ? [] : [metricsFinding(file)]),
    ...(program === undefined ? [] : [commandFinding(program, path)]),
    ...(hasThresholds(settings) && program === undefined && mail === null
      ? [warning('alert', 'nobody is told but the log', 'Set alert.command or alert.mail.')]
      : []),
  ];
}

function metricsFinding(file: string): Finding {
  const shown = escapeControl(file);
  if (!file.endsWith('.prom'))
    return warning(
      'metrics',
      `${shown} does not end in .prom`,
      'node_exporter does not read it. Change metrics-file.',
    );
  if (!isAllowed(dirname(file), constants.W_OK | constants.X_OK))
    return warning(
      'metrics',
      `${escapeControl(dirname(file))} is not a folder that this user can write to`,
      'Metrics are not written, and mail is delivered nevertheless. Let the owner of the spool write there.',
    );
  return ok('metrics', shown);
}

function commandFinding(program: string, path: string): Finding {
  const places = program.includes('/')
    ? [program]
    : path.split(delimiter).map((folder) => join(folder, program));
  const found = places.find((place) => isAllowed(place, constants.X_OK));
  if (found !== undefined) return ok('alert', escapeControl(found));
  return warning(
    'alert',
    `${escapeControl(program)} is not a program that this user can run`,
    'Nobody is told when something is wrong. Correct alert.command.',
  );
}

function isAllowed(place: string, mode: number): boolean {
  try {
    accessSync(place, mode);
    return true;
  } catch {
    // Whatever the reason, the answer is no.
    return false;
  }
}
