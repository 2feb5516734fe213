/**
 * `npm run bench`: what spoolroom costs beside other programs, which do the same work in turn. techdoc/performance.md says what
 * is measured and how.
 */
import { parseArgs } from 'node:util';
import { differences, readFigures, writeFigures } from './baseline.ts';
import { findPlaces, type Section } from './context.ts';
import { list } from './delivery-list.ts';
import { domains } from './domains.ts';
import { intake } from './intake.ts';
import { startSink } from './load.ts';
import { type Figures, measure } from './measure.ts';
import { memory } from './memory.ts';
import { queue } from './queue.ts';
import { signing } from './signing.ts';
import { small } from './small.ts';
import { tls } from './tls.ts';

const SECTIONS: Readonly<Record<string, Section>> = {
  queue,
  small,
  domains,
  memory,
  intake,
  tls,
  signing,
  list,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    scale: { type: 'string', default: '1' },
    parked: { type: 'string', default: '100000' },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'string' },
    check: { type: 'string' },
    margin: { type: 'string', default: '0.25' },
  },
});

function fail(text: string): never {
  console.error(text);
  process.exit(64);
}

function numberOf(name: 'runs' | 'scale' | 'parked' | 'margin'): number {
  const number = Number(values[name]);
  return number > 0 ? number : fail(`--${name} takes a number above 0, not "${values[name]}"`);
}

/** On a terminal, one line that is overwritten. */
function told(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const sections = (positionals.length === 0 ? Object.keys(SECTIONS) : positionals).map(
  (name) => SECTIONS[name] ?? fail(`there is no section "${name}": ${Object.keys(SECTIONS).join(', ')}`),
);
const baseline = values.check === undefined ? null : readFigures(values.check);
const rounds = numberOf('runs');
const options = { scale: numberOf('scale'), peers: !values['no-peers'], parked: numberOf('parked') };

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
const context = { options, places: findPlaces(), sink: await startSink() };
const figures: Figures = {};
for (const section of sections) {
  for await (const comparison of section(context)) {
    if (!comparison.name.includes(values.only)) continue;
    const measured = await measure(comparison, rounds, told);
    told('');
    console.log(measured.table);
    Object.assign(figures, measured.figures);
  }
}
context.sink.stop();

if (values.json !== undefined) writeFigures(values.json, figures);
if (baseline !== null) {
  const { compared, worse, text } = differences(baseline, figures, numberOf('margin'));
  console.log(text);
  if (worse > 0 || compared === 0) process.exitCode = 1;
}
