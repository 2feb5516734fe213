/** The result of a replay as text for a terminal. */
import type { Palette } from '../colour.ts';
import { colours } from '../colour.ts';
import { columns } from '../queue-facts.ts';
import { endOf, outcomeWords, type ReplayReport, untouchedWords } from './replay-report.ts';
import type { ReplayedLine } from './spoken.ts';

type ColourName = keyof Palette;

const SPEAKERS: {
  readonly [who in ReplayedLine['who']]: { readonly mark: string; readonly colour: ColourName };
} = {
  us: { mark: 'C:', colour: 'green' },
  them: { mark: 'S:', colour: 'bold' },
  dns: { mark: 'DNS', colour: 'dim' },
  net: { mark: '*', colour: 'dim' },
  outcome: { mark: '=', colour: 'yellow' },
};

const STATUS_COLOURS = { 0: 'green', 2: 'green', 4: 'yellow', 5: 'red' } as const;
const DIFF_COLOURS = { '+': 'green', '-': 'red', ' ': 'dim' } as const;

export function replayText(report: ReplayReport, coloured: boolean): string {
  const paint = colours(coloured);
  const sections = [
    [report.title, ...report.notes.map((note) => paint.yellow(note))],
    ['Delivery list', columns(report.fields.map(({ name, value, meaning }) => [name, value, meaning]))],
    ['Warnings', ...report.warnings],
    ['Schedule', report.due],
    ...report.routes.map(({ destination, why, hosts }) => [
      `Route to ${destination}`,
      ...why.map((reason) => paint.dim(reason)),
      ...hosts.map(
        ({ name, why: origin, contacted }, at) =>
          `${at + 1}. ${name} (${origin})${contacted ? '' : paint.dim(', not contacted')}`,
      ),
    ]),
    ['Dialogue', ...dialogue(report.dialogue, paint)],
    [report.would === null ? 'Outcome' : `Outcome (${report.would})`, ...outcomes(report, paint)],
    ['Reports to the sender', ...(report.reports ?? []).map(({ text }) => text)],
    ['Control message', ...difference(report, paint)],
  ];
  return sections
    .filter(([, ...lines], at) => at === 0 || lines.length > 0)
    .map(([head = '', ...lines]) => [paint.bold(head), ...lines.map(indented)].join('\n'))
    .join('\n\n');
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ');
}

function dialogue(all: readonly ReplayedLine[], paint: Palette): readonly string[] {
  const width = Math.max(0, ...all.map(({ destination }) => destination?.length ?? 0));
  return all.map(({ at, who, text, destination }) => {
    const { mark, colour } = SPEAKERS[who];
    const prefix = destination === null ? '' : `${destination.padEnd(width)}  `;
    return `${(at / 1000).toFixed(3).padStart(9)} s  ${prefix}${mark.padEnd(3)} ${paint[colour](text)}`;
  });
}

function outcomes(
  { outcomes: all, untouched, untried, unknown }: ReplayReport,
  paint: Palette,
): readonly string[] {
  const known = all.map((each) => {
    const words = paint[STATUS_COLOURS[each.status]](outcomeWords(each));
    const row = each.row === null || each.stopped ? '' : paint.dim(` [row ${each.row}]`);
    const over = each.tls === null ? '' : ` (${each.tls})`;
    return `${each.recipient}: ${words}${over}${row}`;
  });
  return [
    ...(untried === null ? [] : [paint.yellow(untried)]),
    ...known,
    ...untouched.map((each) => `${each.recipient}: ${paint.dim(untouchedWords(each))}`),
    ...(unknown === null
      ? []
      : [paint.red(`The recording does not say ${unknown}. What would follow is unknown.`)]),
  ];
}

function difference({ diff, ends, would }: ReplayReport, paint: Palette): readonly string[] {
  if (ends) return [endOf(would)];
  return diff.map(({ mark, text }) => paint[DIFF_COLOURS[mark]](`${mark} ${text}`.trimEnd()));
}
