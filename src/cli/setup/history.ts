/** The history of a spool or state directory, as the settings want it. */
import { historyFolder } from '../../history/files.ts';
import { HistoryWriter } from '../../history/writer.ts';
import type { DecodeText } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Settings } from '../../settings/table.ts';

/** Null: none is kept. Nothing is written before there is something to keep. */
export function historyFor(
  home: string,
  settings: Settings,
  deps: {
    readonly clock: Clock;
    readonly readable: DecodeText;
    readonly warn: (text: string) => void;
  },
): HistoryWriter | null {
  if (settings.history === 'off') return null;
  const limits = { size: settings['history.megabytes'] * 1024 ** 2, age: settings['history.age'] };
  return new HistoryWriter({ folder: historyFolder(home), limits, ...deps });
}
