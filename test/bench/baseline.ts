/** Figures of an earlier run, kept in a file, and what has become worse since. */
import { readFileSync, writeFileSync } from 'node:fs';
import { columns } from '../../src/output/queue-facts.ts';
import type { Figures } from './measure.ts';

export function readFigures(path: string): Figures {
  return JSON.parse(readFileSync(path, 'utf8'));
}

export function writeFigures(path: string, figures: Figures): void {
  const rounded = Object.entries(figures).map(([name, { min, median, max }]) => {
    const [low, middle, high] = [min, median, max].map((value) => Number(value.toPrecision(3)));
    return [name, { min: low, median: middle, max: high }];
  });
  writeFileSync(path, `${JSON.stringify(Object.fromEntries(rounded), null, 2)}\n`);
}

/**
 * Of the figures that are in both. One is worse when its median is beyond that of the baseline by more than the margin,
 * 0.25 being a quarter.
 */
export function differences(
  baseline: Figures,
  figures: Figures,
  margin: number,
): { readonly compared: number; readonly worse: number; readonly text: string } {
  const rows: string[][] = [];
  let worse = 0;
  for (const [name, { median }] of Object.entries(figures)) {
    const before = baseline[name]?.median;
    if (before === undefined) continue;
    const isWorse = median > before * (1 + margin);
    if (isWorse) worse++;
    rows.push([isWorse ? 'WORSE' : 'ok', before.toFixed(2), median.toFixed(2), name]);
  }
  const compared = rows.length;
  const sum = `${compared} figures compared, ${worse} worse by more than ${(margin * 100).toFixed(0)} %`;
  return { compared, worse, text: `${columns([['', 'baseline', 'now', 'figure'], ...rows])}\n${sum}` };
}
