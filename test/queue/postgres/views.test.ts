/** The views for psql, and the screens of them in techdoc/several-machines.md. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { adoptControl, adoptPayload } from '../../support/adopt.ts';
import { databaseAt, NO_POSTGRES, postgresPrograms, startCluster } from '../../support/postgres.ts';
import { HEADER, MAIL } from '../../support/spool.ts';

const SUBMITTED = Date.parse('2026-11-28T09:12:05Z') / 1000;

const list = (message: number, ...lines: readonly string[]): Buffer =>
  Buffer.from(
    `${HEADER}msgid|${message}\nsubmitted|${SUBMITTED + 60 * message}\n${lines.join('\n')}\n`,
    'utf8',
  );

const PAGE = fs.readFileSync('techdoc/several-machines.md', 'utf8');

test('show what waits for whom, as the page has it', { skip: NO_POSTGRES }, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const address = await cluster.create();
  const database = databaseAt(address);
  t.after(() => database.close());
  const deps = { database, options: parsing('2012'), schedule: SCHEDULE, present: () => SUBMITTED };
  const tried = `attempted|${SUBMITTED + 300}`;
  const lists: Readonly<Record<number, Buffer>> = {
    11: list(1, 'envelope_from|jörg@site.example', 'remote|bob@example.com|0||'),
    12: list(
      2,
      'bounceto|carol@site.example',
      'retry|1800',
      tried,
      'remote|eve@example.net|4|451 4.7.1 Greylisted, try later|',
      'remote|mallory@example.net|2|250 ok|',
    ),
    13: list(
      3,
      'envelope_from|carol@site.example',
      'remote|trent@example.net|0||',
      'remote|<Peggy@Example.COM>|0||',
    ),
    14: list(4, 'envelope_from|x@site.example', 'remote|gone@example.org|0||'),
  };
  for (const number of [1, 2, 3, 4]) await adoptPayload(database, number, [Buffer.from(MAIL)]);
  for (const [number, bytes] of Object.entries(lists)) await adoptControl(deps, Number(number), bytes);
  await database.query(
    "SELECT spoolroom.ask('{13}', 'hold', 'alice', $1, NULL), spoolroom.ask('{14}', 'remove', 'alice', $1, NULL)",
    [SUBMITTED],
  );
  await database.query(
    "INSERT INTO spoolroom.outcome VALUES (11, 'bob@example.com', 0, 4, '421 4.3.2 too busy', $1)",
    [SUBMITTED],
  );
  await database.query(
    "INSERT INTO spoolroom.job (control, list, problem) VALUES (900, 'x\\377', 'no instructions')",
  );

  const psql = (query: string): string =>
    execFileSync(
      `${postgresPrograms()}/psql`,
      [
        '-X',
        '-P',
        'pager=off',
        '-d',
        address.replace(/^postgres:\/\/(.*)@\//, 'postgresql://$1@/'),
        '-c',
        query,
      ],
      {
        encoding: 'utf8',
        env: { ...process.env, PGTZ: 'UTC', LC_ALL: 'C', PGCLIENTENCODING: 'UTF8' },
      },
    );
  const screens = [...PAGE.matchAll(/^spool=> (SELECT [^;]+;)\n([^`]*?)\n\n?(?=spool=>|```)/gm)];
  assert.equal(screens.length, 2, 'the page has screens');
  for (const [, query = '', screen = ''] of screens) {
    const lines = (text: string): string =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.trimEnd())
        .join('\n');
    assert.equal(lines(psql(query)), lines(screen), query);
  }

  const states = await database.query(
    'SELECT job::float8, state, asked_by, sender FROM spoolroom.queue ORDER BY job',
  );
  assert.deepEqual(
    states.map(({ job, state, asked_by, sender }) => [job, state, asked_by, sender]),
    [
      [11, 'due', null, 'jörg@site.example'],
      [12, 'due', null, 'carol@site.example'],
      [13, 'held', 'alice', 'carol@site.example'],
      [14, 'removed', 'alice', 'x@site.example'],
      [900, 'unreadable', null, null],
    ],
  );
  const epoch = "spoolroom.enter('one', '', 'mx1', 77, 60, NULL)";
  await database.query(`UPDATE spoolroom.message SET claim = (SELECT ${epoch}) WHERE id = 1`);
  const [claimed] = await database.query('SELECT state, process FROM spoolroom.queue WHERE job = 11');
  assert.deepEqual({ ...claimed }, { state: 'delivering', process: 'mx1 77' });
  const processes = await database.query('SELECT host, pid, alive, messages::float8 FROM spoolroom.process');
  assert.deepEqual(
    processes.map((row) => ({ ...row })),
    [{ host: 'mx1', pid: 77, alive: true, messages: 1 }],
  );
});
