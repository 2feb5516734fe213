/** `spoolroom history`: what became of messages, also of those that have left the queue long ago. Only reads. */
import { parseMoment } from '../../history/moment.ts';
import { EVENTS, queryOf } from '../../history/search.ts';
import { storyFacts, storyText } from '../../output/history-text.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { historyReader } from '../setup/history.ts';
import { clockFor } from '../setup/load-config.ts';
import { stateDirectory } from '../setup/open-queue.ts';
import { becomeOwner } from '../setup/privileges.ts';
import { selectionFrom } from '../setup/selection.ts';
import { type CliError, type Command, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Messages that are shown where no number is given. */
const LIMIT = 50;

export const command: Command = async ({ settings, options, terminal }) => {
  const home = stateDirectory(settings);
  if (typeof home !== 'string') return home;
  const selection = selectionFrom(options, { statuses: EVENTS, texts: true });
  if ('kind' in selection) return selection;
  const now = clockFor(settings).now();
  const span = spanFrom(options, now);
  if ('kind' in span) return span;
  const limit = limitFrom(options.limit);
  if (typeof limit !== 'number') return limit;
  const notOwner = becomeOwner(home, settings);
  if (notOwner !== null) return notOwner;

  const history = await historyReader(home, settings, clockFor(settings));
  if ('kind' in history) return history;
  const query = { ...queryOf(selection, Math.floor(now / 1000)), ...span, limit };
  const { stories, more } = await history.search(query);
  if (settings.json) {
    for (const story of stories) terminal.print(JSON.stringify(storyFacts(story)));
    return EXIT.ok;
  }
  if (stories.length === 0) {
    const first = await history.since();
    const kept = first === null ? 'No history is kept there yet' : `It is kept since ${first}`;
    terminal.print(`Nothing is known of messages${escapeControl(selection.text)} in that time. ${kept}.`);
    return EXIT.ok;
  }
  terminal.print(stories.map(storyText).join('\n\n'));
  if (more)
    terminal.printError(
      `spoolroom: these are the latest ${plural(stories.length, 'message')}; there may be earlier ones (--limit 0 shows all).`,
    );
  return EXIT.ok;
};

function spanFrom(
  { since, until }: Invocation['options'],
  now: number,
): { readonly since: number; readonly until: number } | CliError {
  const read = (word: unknown, otherwise: number): number | null =>
    typeof word === 'string' ? parseMoment(word, now) : otherwise;
  const [from, to] = [read(since, Number.NEGATIVE_INFINITY), read(until, Number.POSITIVE_INFINITY)];
  if (from !== null && to !== null) return { since: from, until: to };
  const wrong = from === null ? `--since: ${since}` : `--until: ${until}`;
  return cliError(
    `${escapeControl(wrong)} is no time. Times are yesterday, today, 2h (ago), 2026-11-27 and 2026-11-27T10:00, in UTC.`,
    EXIT.usage,
  );
}

function limitFrom(given: unknown): number | CliError {
  if (given === undefined) return LIMIT;
  const limit = Number(given);
  if (/^\d+$/.test(String(given))) return limit === 0 ? Number.POSITIVE_INFINITY : limit;
  return cliError(`--limit: ${escapeControl(String(given))} is not a whole number.`, EXIT.usage);
}
