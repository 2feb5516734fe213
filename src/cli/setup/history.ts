/** The history of a spool or state directory, or of a queue that several share, as the settings want it. */
import { historyFolder } from '../../history/files.ts';
import { type HistoryReader, historyInFiles } from '../../history/reader.ts';
import { HistoryWriter } from '../../history/writer.ts';
import type { DecodeText } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Settings } from '../../settings/table.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Null: none is kept. Nothing is written before there is something to keep. */
export async function historyFor(
  home: string,
  settings: Settings,
  deps: {
    readonly clock: Clock;
    readonly readable: DecodeText;
    readonly warn: (text: string) => void;
  },
): Promise<HistoryWriter | null> {
  if (settings.history === 'off') return null;
  const limits = { size: settings['history.megabytes'] * 1024 ** 2, age: settings['history.age'] };
  const place = { folder: historyFolder(home), limits, ...deps };
  if (settings.postgres === null) return new HistoryWriter(place);
  const { sharedHistory } = await import('./room/history.ts');
  return new HistoryWriter({ ...place, shared: sharedHistory(settings.postgres, place) });
}

export async function historyReader(
  home: string,
  settings: Settings,
  clock: Clock,
): Promise<HistoryReader | CliError> {
  if (settings.postgres === null) return historyInFiles(historyFolder(home), clock);
  const { sharedHistoryReader } = await import('./room/history.ts');
  const opened = await sharedHistoryReader(settings.postgres);
  return typeof opened === 'string' ? cliError(opened, EXIT.unavailable) : opened;
}
