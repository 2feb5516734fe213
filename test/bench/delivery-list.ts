/** A delivery list of 1,000 recipients read and written, beside JSON of the same data; in this process, so time is CPU. */
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';
import { emptyJob } from '../support/jobs.ts';
import type { Section } from './context.ts';
import type { Comparison, Contender } from './measure.ts';

const RECIPIENTS = 1_000;
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

function contender(name: string, work: () => void): Contender {
  return {
    name,
    async run() {
      const cpu = process.cpuUsage();
      const began = performance.now();
      for (let pass = 0; pass < PASSES; pass++) work();
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      return { seconds, cpuSeconds: (user + system) / 1e6 };
    },
  };
}

export function deliveryList(): Comparison {
  const job = sample();
  const text = serialiseJob(job, '2012', 1_342_280_000);
  const json = JSON.stringify(job);
  return {
    name: 'a delivery list of 1,000 recipients',
    unit: 'list',
    units: PASSES,
    ours: contender('spoolroom', () => {
      const parsed = parseDeliveryList(stripHeader(text).instructions, {
        dialect: 'detect',
        fallback: '2012',
      });
      // As bytes, because a string just put together is not yet one piece.
      if (parsed.kind === 'list') Buffer.from(serialiseJob(parsed.job, '2012', 1_342_280_000), 'latin1');
    }),
    others: [contender('JSON', () => JSON.stringify(JSON.parse(json)))],
  };
}

export const list: Section = async function* () {
  yield deliveryList();
};
