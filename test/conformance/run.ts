/**
 * `npm run conformance -- DIR`: compare every vector file of a known name in DIR (default: fixtures/vectors).
 * Exit status 1 when a row fails, that is when it differs and no rule explains the difference.
 */
import { fileURLToPath } from 'node:url';
import * as addresses from './addresses.ts';
import { type Comparison, compare, type Suite } from './compare.ts';
import * as dialogue from './dialogue.ts';
import * as lists from './lists.ts';
import { bytesOf, idOf, readRows } from './vectors.ts';

export const FIXTURES = fileURLToPath(new URL('../../fixtures/vectors', import.meta.url));

export interface Report {
  readonly name: string;
  readonly comparisons: readonly Comparison[];
}

async function run<V>(directory: string, suite: Suite<V>): Promise<Report | null> {
  const rows = readRows(directory, suite.name);
  return rows && { name: suite.name, comparisons: await Promise.all(rows.map((row) => compare(suite, row))) };
}

function bodies(directory: string): (id: string) => string {
  const rows = [FIXTURES, directory].flatMap((each) => readRows(each, 'parse') ?? []);
  const byId = new Map(rows.map((row) => [idOf(row), bytesOf(row, 'body')]));
  return (id) => {
    const body = byId.get(id);
    if (body === undefined) throw new Error(`no parse row ${id} to take the body from`);
    return body;
  };
}

export async function conformance(directory: string): Promise<readonly Report[]> {
  const reports = await Promise.all([
    run(directory, lists.parse),
    run(directory, lists.roundtrip),
    run(directory, lists.strip),
    run(directory, lists.due),
    run(directory, lists.generate),
    run(directory, lists.eras(bodies(directory))),
    run(directory, addresses.addr),
    run(directory, addresses.envfrom),
    run(directory, addresses.url),
    run(directory, dialogue.session),
    run(directory, dialogue.reply),
  ]);
  return reports.filter((report) => report !== null);
}

export function ofKind<K extends Comparison['kind']>(report: Report, kind: K) {
  return report.comparisons.filter((each): each is Extract<Comparison, { kind: K }> => each.kind === kind);
}

function printable(value: unknown): string {
  const text = value instanceof Error ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 400 ? `${text.slice(0, 400)}...` : text;
}

function print(report: Report): void {
  const deviations = ofKind(report, 'deviation');
  const failed = ofKind(report, 'failed');
  const passed = ofKind(report, 'passed').length;
  console.log(`${report.name}: ${passed} passed, ${deviations.length} deviations, ${failed.length} failed`);
  for (const reason of new Set(deviations.map((each) => each.reason))) {
    const rows = deviations.filter((each) => each.reason === reason);
    console.log(`  ${rows.length} ${reason}: ${rows.map((each) => each.id).join(' ')}`);
  }
  for (const { id, expected, ours } of failed) {
    console.log(`  FAILED ${id}\n    expected ${printable(expected)}\n    ours     ${printable(ours)}`);
  }
}

async function main(directory: string): Promise<number> {
  const reports = await conformance(directory);
  if (reports.length === 0) {
    console.error(`${directory} holds no vector file of a known name.`);
    return 66;
  }
  for (const report of reports) print(report);
  return reports.some((report) => ofKind(report, 'failed').length > 0) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv[2] ?? FIXTURES);
}
