/** How `spoolroom demo` tells its story on a terminal, act by act. Called by demo.ts; does nothing but print. */

import type { Palette } from '../../output/colour.ts';
import { colours } from '../../output/colour.ts';
import { outcomeEvent } from '../../output/log/log-events.ts';
import type { JobFacts } from '../../output/queue-table.ts';
import { columns, queueTable } from '../../output/queue-table.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { duration } from '../../output/text.ts';
import type { Terminal } from '../shell/command.ts';
import type { Act, Conversation } from './script.ts';

export interface Printer {
  opening(spool: string, before: readonly JobFacts[]): void;
  act(act: Act, readable: DecodeText): void;
  /** `now`: Unix seconds, the time of the last act */
  ending(spool: string, after: readonly JobFacts[], now: number): void;
}

/** `null`: nobody wants to read it. */
export function printer(terminal: Terminal | null): Printer {
  const paint = colours(terminal?.interactive ?? false);
  const print = (...lines: readonly string[]): void => terminal?.print(lines.join('\n'));
  return {
    opening: (spool, before) =>
      print(
        paint.bold('A spool, and a small world to deliver to'),
        `The mails lie in ${spool}. A DNS server and three mail servers run on loopback: one accepts, one greylists,`,
        'one knows only some of its recipients. The clock of the demo stands in July 2012.',
        '',
        indented(queueTable(before)),
      ),
    act: (act, readable) =>
      print(
        '',
        paint.bold(`Queue run at ${act.at}`),
        ...act.conversations.flatMap((each) => conversation(each, readable, paint)),
        '',
        indented(outcomes(act, readable, paint)),
        '',
        ...(act.told.length === 0 ? [] : [...act.told.map((line) => `  ${line}`), '']),
        sentence(act),
        ...act.changed.flatMap(({ job, text }) => [
          '',
          paint.dim(`control message ${job} now:`),
          indented(text),
        ]),
      ),
    ending: (spool, after, now) =>
      print(
        '',
        paint.bold('What is left'),
        indented(after.length === 0 ? 'nothing' : queueTable(after)),
        '',
        `Look at it: node bin/spoolroom queue --now ${now} --spool ${spool}`,
        `Clear away: rm -r ${spool}`,
      ),
  };
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

const MARKS = { us: '>', server: '<', neither: '-' } as const;

/** What one side says at a stretch stands on one line. */
function conversation(
  { host, lines }: Conversation,
  readable: DecodeText,
  paint: Palette,
): readonly string[] {
  const turns: DialogueLine[] = [];
  for (const line of lines) {
    const last = turns.at(-1);
    if (last?.from === line.from) turns.splice(-1, 1, { ...last, text: `${last.text} | ${line.text}` });
    else turns.push(line);
  }
  return [
    '',
    `  ${host}`,
    ...turns.map(({ from, text }) => paint.dim(`    ${MARKS[from]} ${readable(text)}`)),
  ];
}

function outcomes({ outcomes: records }: Act, readable: DecodeText, paint: Palette): string {
  const colours = { 2: paint.green, 4: paint.yellow, 5: paint.red } as const;
  const rows = records.map((record) => [
    outcomeEvent(record, readable).event,
    readable(record.recipient),
    readable(record.text),
  ]);
  return columns(rows)
    .split('\n')
    .map((line, at) => colours[records[at]?.status ?? 2](line))
    .join('\n');
}

function sentence({ summary, removed }: Act): string {
  const { delivered, deferred, failed, milliseconds } = summary;
  const gone = removed.length === 0 ? 'nothing' : removed.join(', ');
  return `${delivered} delivered, ${deferred} put off, ${failed} refused, in ${duration(milliseconds)}. Removed from the spool: ${gone}.`;
}
