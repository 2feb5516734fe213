/** What commands print, in the pages about them: made by the code that prints it, from specimens. */
import type { HistoryRecord } from '../../src/history/record.ts';
import { storyText } from '../../src/output/history-text.ts';
import { queueSummary } from '../../src/output/queue-facts.ts';
import { destinationAges, type ListedJob, queueList, summaryTable } from '../../src/output/queue-list.ts';

/** 2014-05-13T16:53:20Z */
const NOW = 1_400_000_000;
const MINUTE = 60;

function screen(command: string, text: string): string {
  return ['```', `$ ${command}`, text, '```'].join('\n');
}

interface Specimen {
  readonly job: number;
  /** seconds */
  readonly age: number;
  readonly size: number;
  /** seconds from now; null: held */
  readonly next: number | null;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly answer: string;
}

function listed({ job, age, size, next, sender, recipients, answer }: Specimen): ListedJob {
  return {
    ...{ job, mail: job - 1, age, size, pending: recipients.length, delivered: 0, refused: 0, due: false },
    next: next === null ? null : new Date((NOW + next) * 1000).toISOString(),
    ...{ why: '', throttled: null, last: '', sender, unwritten: 0 },
    recipients: recipients.map((address) => ({ address, status: 4, text: answer })),
    request: next === null ? { request: 'hold', by: 'root', at: NOW } : null,
  };
}

const JOBS: readonly ListedJob[] = [
  {
    ...{ job: 12, age: 17 * MINUTE, size: 4711, next: 5 * MINUTE, sender: 'alice@citadel.example.org' },
    recipients: ['bob@one.example', 'carol@one.example'],
    answer: '4.7.1 Greylisted (451, mx2.one.example [192.0.2.2])',
  },
  {
    ...{ job: 14, age: 2880 * MINUTE, size: 1_234_567, next: null, sender: 'eve@citadel.example.org' },
    ...{ recipients: ['x@two.example'], answer: 'connection timed out' },
  },
  ...Array.from({ length: 2000 }, (_, at) => ({
    ...{ job: 16 + 2 * at, age: 180 * MINUTE, size: 4200, next: 39 * MINUTE },
    ...{ sender: 'news@citadel.example.org', recipients: [`r${at}@slow.example`] },
    answer: 'connection timed out',
  })),
].map(listed);

export function queueScreen(): string {
  const list = queueList(JOBS, { width: 120, now: NOW, grouped: true });
  return screen('spoolroom queue', `${list}\n${queueSummary(JOBS)}`);
}

export function summaryScreen(): string {
  return screen('spoolroom queue --summary', summaryTable(destinationAges(JOBS)));
}

export function historyScreen(): string {
  const about = {
    ...{ job: 12, mail: 11, submitted: NOW - 2, sender: 'alice@citadel.example.org' },
    ...{ messageId: '<1@citadel.example.org>', size: 4711, recipients: ['bob@example.com'] },
  };
  const at = (seconds: number): string => new Date((NOW + seconds) * 1000).toISOString();
  const host = { host: 'mx.example.com', address: '192.0.2.1', port: 25, tls: 'TLSv1.3' };
  const events: readonly [HistoryRecord, ...HistoryRecord[]] = [
    { at: at(-2), event: 'queued', ...about },
    {
      ...{ at: at(0), event: 'deferred', ...about, ...host, milliseconds: 80, code: 450 },
      text: '4.2.1 greylisted',
    },
    {
      at: at(301),
      event: 'delivered',
      ...about,
      ...host,
      milliseconds: 412,
      code: 250,
      text: '2.0.0 queued',
    },
  ];
  return screen('spoolroom history bob@ --since yesterday', storyText(events));
}
