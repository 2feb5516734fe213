/** A selection of the jobs in a real PostgreSQL: the same as when all of them were read, and no more is read than that takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/platform/clock.ts';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { candidateOf, JOB_STATUSES } from '../../../src/queue/selection/job.ts';
import { parseSelection, type SelectionWords } from '../../../src/queue/selection/selection.ts';
import { adoptControl, adoptPayload } from '../../support/adopt.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { HEADER, MAIL, NOW, SETTINGS_2012 } from '../../support/spool.ts';

const list = (message: number, ...lines: readonly string[]): Buffer =>
  Buffer.from(`${HEADER}msgid|${message}\nsubmitted|${NOW}\n${lines.join('\n')}\n`, 'latin1');

const LISTS: Readonly<Record<number, Buffer>> = {
  11: list(1, 'envelope_from|Alice@one.example', 'remote|bob@Mail.Two.example|0||'),
  12: list(
    2,
    'envelope_from|carol@one.example',
    'remote|dave@three.example|4|451 4.7.1 100% greylisted\\now|',
  ),
  // Of the same message as 12.
  13: list(2, 'remote|erin@two.example|0||'),
  14: list(3, 'envelope_from|<>', 'remote|b\xf6b@three.example|0||'),
  15: list(4, 'remote|frank@four.example|0||', 'remote|grace@three.example|0||'),
  16: list(5, 'remote|heidi@b\xc3\xbccher.example|0||'),
};

const SELECTIONS: readonly (readonly [SelectionWords, readonly number[], readonly number[]])[] = [
  [{ words: [] }, [11, 12, 13, 14, 15, 16], [11, 12, 13, 14, 15, 16]],
  [{ words: ['11'] }, [11], [11]],
  // A message, whose jobs are told; and what cannot be read.
  [{ words: ['2', '17'] }, [12, 13], []],
  [{ words: ['12,15'] }, [12, 13, 15], [12, 15]],
  [{ words: ['13-15'] }, [12, 13, 14, 15], [13, 14, 15]],
  [{ words: [], domain: 'TWO.example' }, [11, 12, 13], [11, 13]],
  [{ words: [], domain: 'xn--bcher-kva.example' }, [11, 12, 13, 14, 15, 16], [16]],
  [{ words: [], from: 'alice@' }, [11], [11]],
  [{ words: [], from: '<>' }, [11, 12, 13, 14, 15, 16], [14]],
  [{ words: [], to: 'three.example' }, [12, 13, 14, 15], [12, 14, 15]],
  [{ words: ['11-13'], to: 'dave@three.example' }, [12, 13], [12]],
  [{ words: [], answer: '100% GREYLISTED\\' }, [12, 13], [12]],
  // An outcome that is not in the list yet.
  [{ words: [], answer: 'mailbox full' }, [15], [15]],
  [{ words: [], status: 'held' }, [14], [14]],
  [{ words: [], answer: '1%g' }, [], []],
];

const readable = (text: string): string => Buffer.from(text, 'latin1').toString();

test('what is looked for is found, with other jobs of the same messages, and the rest is not read', {
  skip: NO_POSTGRES,
}, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const database = databaseAt(await cluster.create());
  t.after(() => database.close());
  const deps = { database, options: parsing('2012'), schedule: SCHEDULE, present: () => NOW };
  for (const number of [1, 2, 3, 4, 5]) await adoptPayload(database, number, [Buffer.from(MAIL)]);
  for (const [number, bytes] of Object.entries(LISTS)) await adoptControl(deps, Number(number), bytes);
  await adoptControl(deps, 17, Buffer.from(`${HEADER}submitted|5\n`));
  await adoptControl(deps, 18, list(5, 'remote|gone@one.example|0||'), { request: 'remove' });
  await database.query("SELECT spoolroom.ask('{14}', 'hold', 'me', 0, NULL)");
  await database.query(
    "INSERT INTO spoolroom.outcome VALUES (15, 'frank@four.example', 0, 4, '452 4.2.2 Mailbox full', $1)",
    [NOW],
  );
  const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
  for (const [words, read, meant] of SELECTIONS) {
    const selection = parseSelection(words, { statuses: JOB_STATUSES, texts: false });
    if ('kind' in selection) throw new Error(selection.text);
    const { jobs, quarantined } = await client.look(selection);
    const numbers = (of: typeof jobs): readonly number[] => of.map(({ control }) => control);
    const told = JSON.stringify(words);
    assert.deepEqual(numbers(jobs), read, told);
    const matching = jobs.filter((job) => selection.matches(candidateOf(job, readable), NOW));
    assert.deepEqual(numbers(matching), meant, told);
    // Where nothing can be told to the database, everything is there.
    const isTold = words.words.includes('17') || read.length === 6;
    assert.deepEqual(
      quarantined.map(({ number }) => number),
      isTold ? [17] : [],
      told,
    );
  }
  const [held] = (await client.look({ ranges: [{ from: 14, to: 14 }] })).jobs;
  assert.deepEqual([held?.size, held?.request], [MAIL.length, 'hold']);
});
