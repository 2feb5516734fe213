/** A replay for the terminal. Called by the command; colours only where they are wanted. */
import type { Painter } from './paint.ts';
import { painter } from './paint.ts';
import { columns } from './queue-table.ts';
import type { ReplayReport, Utterance } from './replay-report.ts';

type Colour = keyof Painter;

const SPEAKERS: { readonly [who in Utterance['who']]: { readonly mark: string; readonly colour: Colour } } = {
  us: { mark: 'C:', colour: 'green' },
  them: { mark: 'S:', colour: 'bold' },
  dns: { mark: 'DNS', colour: 'dim' },
  net: { mark: '*', colour: 'dim' },
  outcome: { mark: '=', colour: 'yellow' },
};

const STATUS_COLOURS = { 2: 'green', 4: 'yellow', 5: 'red' } as const;
const DIFF_COLOURS = { '+': 'green', '-': 'red', ' ': 'dim' } as const;

export function replayText(report: ReplayReport, coloured: boolean): string {
  const paint = painter(coloured);
  const sections = [
    [report.title, ...report.notes.map((note) => paint.yellow(note))],
    ['Read', columns(report.fields.map(({ name, value, meaning }) => [name, value, meaning]))],
    ['Warnings', ...report.warnings],
    ['Due', report.due],
    ...report.routes.map(({ destination, why, hosts }) => [
      `Hosts for ${destination}`,
      ...why.map((reason) => paint.dim(reason)),
      ...hosts.map((host, at) => `${at + 1}. ${host.name} (${host.why})`),
    ]),
    ['Dialogue', ...report.dialogue.map((each) => uttered(each, paint))],
    ['Outcome', ...outcomes(report, paint)],
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

function uttered({ at, who, text }: Utterance, paint: Painter): string {
  const { mark, colour } = SPEAKERS[who];
  return `${(at / 1000).toFixed(3).padStart(9)} s  ${mark.padEnd(3)} ${paint[colour](text)}`;
}

function outcomes({ outcomes: all, unknown }: ReplayReport, paint: Painter): readonly string[] {
  const known = all.map(
    ({ recipient, status, text, row }) =>
      `${recipient}: ${paint[STATUS_COLOURS[status]](`${status} ${text}`)} ${paint.dim(row === null ? '' : `[row ${row}]`)}`,
  );
  if (unknown === null) return known.map((line) => line.trimEnd());
  return [...known, paint.red(`The recording does not say ${unknown}. What follows is not known.`)];
}

function difference({ diff, ends }: ReplayReport, paint: Painter): readonly string[] {
  if (ends)
    return ['Every recipient has a final status: the job ends, control message and mail are removed.'];
  return diff.map(({ mark, text }) => paint[DIFF_COLOURS[mark]](`${mark} ${text}`.trimEnd()));
}
