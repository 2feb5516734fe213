/** What a replay tells, to a terminal, to a program, as a page. Writes only files that were asked for by name. */
import { writeFileSync } from 'node:fs';
import { replayPage } from '../../output/html/page.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { reportOf } from '../../output/replay/replay-report.ts';
import { replayText } from '../../output/replay/replay-text.ts';
import { forPeople } from '../../output/text.ts';
import { codeOf, phraseOf } from '../../platform/system-errors.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Trouble } from '../setup/load-config.ts';
import { trouble } from '../setup/load-config.ts';
import type { Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export type Told =
  | { readonly kind: 'told'; readonly sources: ReplaySources; readonly rules: RunRules }
  | Trouble;

export function tell(told: Told, { options, settings, terminal }: Invocation): ExitCode | Trouble {
  if (told.kind === 'trouble') return told;
  const report = reportOf(told.sources, forPeople(told.rules.render.legacy));
  if (typeof options.html === 'string') {
    const written = write(options.html, replayPage(report, told.sources.story));
    if (written !== null) return written;
  }
  terminal.print(settings.json ? JSON.stringify(report) : replayText(report, terminal.interactive));
  return EXIT.ok;
}

export function write(file: string, text: string): Trouble | null {
  try {
    writeFileSync(file, text, { flag: 'w' });
    return null;
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return trouble(`${file} cannot be written: ${phraseOf(error)}.`, EXIT.cannotCreate);
  }
}
