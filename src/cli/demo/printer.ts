/** Prints `spoolroom demo` on a terminal. */
import type { Palette } from '../../output/colour.ts';
import { colours } from '../../output/colour.ts';
import { outcomeEvent } from '../../output/log/log-events.ts';
import type { JobFacts } from '../../output/queue-facts.ts';
import { columns } from '../../output/queue-facts.ts';
import { queueList } from '../../output/queue-list.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { duration } from '../../output/text.ts';
import { shellWord } from '../../settings/shell-words.ts';
import type { Terminal } from '../shell/command.ts';
import type { Conversation, DemoRun } from './script.ts';

export interface Printer {
  opening(spool: string, before: readonly JobFacts[], now: number): void;
  run(run: DemoRun, readable: DecodeText): void;
  /** `now`: Unix seconds, the time of the last run */
  ending(spool: string, after: readonly JobFacts[], now: number): void;
}

const WHOLE = { width: null, grouped: false } as const;

/** `null`: prints nothing. */
export function printer(terminal: Terminal | null): Printer {
  const paint = colours(terminal?.coloured ?? false);
  const print = (...lines: readonly string[]): void => terminal?.print(lines.join('\n'));
  return {
    opening: (spool, before, now) =>
      print(
        paint.bold('A spool, and servers to deliver to'),
        `The spool is ${spool}. A DNS server and three mail servers run on loopback: one accepts all mail, one greylists,`,
        'and one knows only some of its recipients. The clock of the demo is set to July 2012.',
        '',
        indented(queueList(before, { ...WHOLE, now })),
      ),
    run: (run, readable) =>
      print(
        '',
        paint.bold(`Queue run at ${run.at}`),
        ...run.conversations.flatMap((each) => conversation(each, readable, paint)),
        '',
        indented(outcomes(run, readable, paint)),
        '',
        ...(run.reports.length === 0 ? [] : [...run.reports.map((line) => `  ${line}`), '']),
        summaryLine(run),
        ...run.changed.flatMap(({ job, text }) => [
          '',
          paint.dim(`control message ${job} is now:`),
          indented(text),
        ]),
      ),
    ending: (spool, after, now) =>
      print(
        '',
        paint.bold('What is left in the spool'),
        indented(after.length === 0 ? 'nothing' : queueList(after, { ...WHOLE, now })),
        '',
        `To look at it: node bin/spoolroom queue --now ${now} --spool ${shellWord(spool)}`,
        `To remove it: rm -r ${shellWord(spool)}`,
      ),
  };
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

const MARKS = { us: '>', server: '<', neither: '-' } as const;

/** Consecutive lines of one side are joined. */
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

function outcomes({ outcomes: records }: DemoRun, readable: DecodeText, paint: Palette): string {
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

function summaryLine({ summary, removed }: DemoRun): string {
  const { delivered, deferred, failed, milliseconds } = summary;
  const numbers = removed.length === 0 ? 'nothing' : removed.join(', ');
  return `${delivered} delivered, ${deferred} deferred, ${failed} refused, in ${duration(milliseconds)}. Removed from the spool: ${numbers}.`;
}
