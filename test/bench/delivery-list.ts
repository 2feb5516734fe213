/**
 * How long a delivery list takes against JSON of the same data in the same run.
 */
import { fileURLToPath } from 'node:url';
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';
import { emptyJob } from '../support/jobs.ts';

export interface DeliveryListBench {
  readonly recipients: number;
  /** milliseconds for one list: read, parsed, serialised */
  readonly listMs: number;
  /** milliseconds for JSON.parse and JSON.stringify of the same job */
  readonly jsonMs: number;
  readonly ratio: number;
}

const RECIPIENTS = 1_000;
const ROUNDS = 15;
const PASSES = 40;

function sample(): Job {
  return {
    ...emptyJob('2012'),
    msgid: 4711,
    submitted: 1_342_277_395,
    bounceto: 'Joe Sixpack@citnode',
    envelopeFrom: 'room_ml@example.org',
    recipients: Array.from({ length: RECIPIENTS }, (_, index) => ({
      address: `recipient.${index}@host${index % 50}.example.com`,
      status: index % 3 === 0 ? 0 : 4,
      text: index % 3 === 0 ? '' : `4.2.1 mailbox ${index} busy, try again later`,
    })),
  };
}

function milliseconds(work: () => void): number {
  const started = performance.now();
  for (let pass = 0; pass < PASSES; pass++) work();
  return (performance.now() - started) / PASSES;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Rounds of both, one after the other, so that a busy moment of the machine meets both; medians count. */
export function benchDeliveryList(): DeliveryListBench {
  const job = sample();
  const list = serialiseJob(job, '2012', 1_342_280_000);
  const json = JSON.stringify(job);
  const listPass = () => {
    const parsed = parseDeliveryList(stripHeader(list).instructions, { dialect: 'detect', fallback: '2012' });
    // As bytes, because a string just put together is not yet one piece.
    if (parsed.kind === 'list') Buffer.from(serialiseJob(parsed.job, '2012', 1_342_280_000), 'latin1');
  };
  const jsonPass = () => JSON.stringify(JSON.parse(json));
  milliseconds(listPass);
  milliseconds(jsonPass);
  const listTimes: number[] = [];
  const jsonTimes: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    listTimes.push(milliseconds(listPass));
    jsonTimes.push(milliseconds(jsonPass));
  }
  const [listMs, jsonMs] = [median(listTimes), median(jsonTimes)];
  return { recipients: RECIPIENTS, listMs, jsonMs, ratio: listMs / jsonMs };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(benchDeliveryList());
