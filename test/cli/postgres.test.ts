/** The commands on a queue in PostgreSQL, with a real server. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { throttledRows } from '../../src/queue/postgres/limits/throttled.ts';
import { readAlerts } from '../../src/runner/alerts.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../support/postgres.ts';
import { PROGRAM } from '../support/program.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { MAIL, spoolOf, temporaryDirectory } from '../support/spool.ts';

interface Site {
  spoolroom(...words: readonly string[]): Promise<Called>;
  enqueue(...recipients: readonly string[]): Promise<{ readonly job: number; readonly mail: number }>;
  readonly room: string;
  readonly state: string;
}

interface Called {
  readonly exit: number;
  readonly printed: string;
  readonly errors: string;
}

async function call(input: string, ...words: readonly string[]): Promise<Called> {
  const caught = caughtTerminal([input]);
  const exit = await main(words, {}, caught.terminal);
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

describe('commands on a queue in PostgreSQL', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  async function site(t: TestContext): Promise<Site> {
    const room = await cluster.create();
    const state = temporaryDirectory(t);
    const place = ['--postgres', room, '--state', state];
    return {
      room,
      state,
      spoolroom: (...words) => call('', ...words, ...place),
      async enqueue(...recipients) {
        const words = ['enqueue', ...recipients, '-f', 'a@example.org', '--json', ...place];
        const { printed, errors } = await call(MAIL, ...words);
        assert.equal(errors, '');
        return JSON.parse(printed);
      },
    };
  }

  it('migrate makes the tables once; without them every command says what to do', async (t) => {
    const admin = databaseAt(cluster.address('postgres'));
    await admin.query('CREATE DATABASE bare');
    await admin.close();
    const room = cluster.address('bare');
    const state = temporaryDirectory(t);
    for (const command of ['run', 'queue'])
      assert.match(
        (await call('', command, '--room', room, '--state', state)).errors,
        /has no queue yet; this program works with version \d+\. Nothing was done\. `spoolroom migrate` makes the tables/,
      );
    assert.match((await call('', 'migrate', '--room', room)).printed, /The tables of a queue are in .* now/);
    assert.match(
      (await call('', 'migrate', '--postgres', room)).printed,
      /have version \d+ already; nothing was done/,
    );
    const newer = databaseAt(room);
    await newer.query('UPDATE spoolroom.version SET version = 99, oldest = 99');
    await newer.close();
    const refused = await call('', 'migrate', '--postgres', room);
    assert.match(refused.errors, /Install the version of spoolroom that the other machines have/);
  });

  it('delivers what was enqueued, from --room postgres://, and leaves nothing', async (t) => {
    const { spoolroom, enqueue, room, state } = await site(t);
    const database = databaseAt(room);
    t.after(() => database.close());
    const query = (text: string) => database.query(text);
    const server = await startSmtpServer({ refuse: { 'no@two.example': { code: 550, text: '5.1.1 no' } } });
    t.after(() => server.close());
    await enqueue('b@one.example', 'c@one.example');
    await enqueue('d@two.example', 'no@two.example');
    const before = await spoolroom('queue');
    assert.match(before.printed, /2 jobs: 2 due now/);
    assert.match(before.printed, /^\d+ .* 153 B /m);
    const ran = await call(
      '',
      ...['run', '--room', room, '--state', state, '--smarthost', `127.0.0.1:${server.port}`],
      ...['--return', 'room', '--json', '--log.format', 'json'],
    );
    assert.equal(ran.exit, 0, ran.errors);
    const summary = JSON.parse(ran.printed);
    assert.deepEqual([summary.delivered, summary.failed, summary.finished], [3, 1, 2]);
    assert.equal(server.accepted.length, 2);
    assert.match((await spoolroom('queue')).printed, /empty|no jobs/);
    // Another machine knows of it, and where its dialogues are.
    const other = ['--postgres', room, '--state', temporaryDirectory(t)];
    const known = (await call('', 'history', '--status', 'refused', ...other)).printed;
    assert.match(
      known,
      /from a@example\.org to d@two\.example, no@two\.example\n.* queued .*\n[\s\S]* refused +no@two\.example/,
    );
    const [, gone = ''] = /^job (\d+)/.exec(known) ?? [];
    assert.match((await call('', 'explain', gone, ...other)).printed, /has left the queue/);
    await query("UPDATE spoolroom.history SET machine = 'mx9'");
    for (const command of ['explain', 'replay'])
      assert.match(
        (await call('', command, gone, ...other)).printed,
        /It was tried from mx9: its dialogues, .* are there/,
      );
    for (const table of ['message', 'chunk', 'job', 'outcome', 'worker'])
      assert.deepEqual(await query(`SELECT FROM spoolroom.${table}`), [], table);
  });

  it('wakes a watching process for new mail long before its next poll', { timeout: 60_000 }, async (t) => {
    const { enqueue, room } = await site(t);
    const server = await startSmtpServer();
    t.after(() => server.close());
    const words = [
      'watch',
      '--room',
      room,
      '--state',
      temporaryDirectory(t),
      '--poll',
      '1h',
      '--hostname',
      'm.example',
    ];
    const more = ['--smarthost', `127.0.0.1:${server.port}`, '--return', 'room', '--log.format', 'json'];
    const child = spawn(process.execPath, [...PROGRAM, ...words, ...more, '--log.level', 'info'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stderr });
    const [started] = await once(lines, 'line');
    assert.match(String(started), /"event":"started"/);
    await enqueue('b@one.example');
    const [delivered] = await once(lines, 'line');
    assert.match(String(delivered), /"event":"delivered"/);
  });

  it('tells what is in the queue, also what other machines put there', async (t) => {
    const { spoolroom, enqueue, room, state } = await site(t);
    const file = `${temporaryDirectory(t)}/spoolroom.prom`;
    const [held, tried] = [await enqueue('b@one.example'), await enqueue('c@one.example')];
    await enqueue('d@one.example');
    await spoolroom('hold', String(held.job));
    const database = databaseAt(room);
    t.after(() => database.close());
    const now = Math.floor(Date.now() / 1000);
    await database.query(
      `UPDATE spoolroom.job SET due = $2,
        list = convert_to(regexp_replace(convert_from(list, 'UTF8'), 'submitted[|][0-9]+', 'submitted|' || $3), 'UTF8')
        WHERE control = $1`,
      [tried.job, now + 600, now - 3600],
    );
    await database.query('UPDATE spoolroom.message SET due = $1 WHERE id = $2', [now + 600, tried.mail]);
    await database.query("INSERT INTO spoolroom.job (control, list, problem) VALUES (900, 'x', 'no list')");
    const watched = ['--metrics-file', file, '--alert.queue-size', '2'];
    const ran = await spoolroom(
      'run',
      '--return',
      'room',
      '--json',
      '--smarthost',
      '127.0.0.1:1',
      ...watched,
    );
    assert.equal(ran.exit, 0, ran.errors);
    const text = fs.readFileSync(file, 'utf8');
    assert.match(text, /^spoolroom_queue_jobs\{status="new"\} 0$/m);
    assert.match(text, /^spoolroom_queue_jobs\{status="deferred"\} 2$/m);
    assert.match(text, /^spoolroom_queue_jobs\{status="held"\} 1$/m);
    assert.match(text, /^spoolroom_queue_oldest_age_seconds 36\d\d$/m);
    assert.match(text, /^spoolroom_queue_size_bytes 459$/m);
    assert.match(text, /^spoolroom_queue_quarantined_jobs 1$/m);
    const alerts = JSON.stringify([...readAlerts(nodeDisk, layoutOf(state))]);
    assert.match(alerts, /has 3 jobs \(alert\.queue-size 2\)/);
  });

  it('shares suppressed addresses over machines', async (t) => {
    const { spoolroom, enqueue, room } = await site(t);
    const server = await startSmtpServer({ refuse: { 'no@two.example': { code: 550, text: '5.1.1 no' } } });
    t.after(() => server.close());
    const other = ['--postgres', room, '--state', temporaryDirectory(t)];
    assert.match((await spoolroom('suppress', 'add', 'Eve@one.example')).printed, /gets no mail until/);
    assert.match((await call('', 'suppress', 'list', ...other)).printed, /^eve@one\.example +until/);
    const run = async (): Promise<readonly [number, number]> => {
      const words = ['run', '--smarthost', `127.0.0.1:${server.port}`, '--suppress.after', '2'];
      const { printed } = await call('', ...words, '--return', 'room', '--json', ...other);
      const { delivered, failed } = JSON.parse(printed);
      return [delivered, failed];
    };
    const database = databaseAt(room);
    t.after(() => database.close());
    const bounces = async (): Promise<readonly unknown[]> =>
      (await database.query('SELECT bounces FROM spoolroom.suppressed ORDER BY address')).map(
        (row) => row.bounces,
      );
    await enqueue('eve@one.example', 'no@two.example', 'c@one.example');
    assert.deepEqual(await run(), [1, 2]);
    assert.deepEqual(await bounces(), [0, 1]);
    await enqueue('no@two.example');
    await run();
    assert.deepEqual(await bounces(), [0, 2]);
    const listed = await spoolroom('suppress', 'list', '--suppress.after', '2');
    assert.match(listed.printed, /no@two\.example +until .* 2 hard bounces: /);
    assert.match((await spoolroom('suppress', 'remove', 'eve@one.example')).printed, /suppressed no more/);
    await database.query("UPDATE spoolroom.suppressed SET bounces = 1, address = 'c@one.example'");
    await enqueue('c@one.example');
    assert.deepEqual(await run(), [1, 0]);
    assert.deepEqual(await bounces(), []);
  });

  it('holds, releases, retries and removes jobs, and explains them', async (t) => {
    const { spoolroom, enqueue } = await site(t);
    const { job } = await enqueue('b@one.example');
    const number = String(job);
    assert.match((await spoolroom('hold', number)).printed, /^held: job /);
    assert.match((await spoolroom('explain', number)).printed, /It is held/);
    const held = await spoolroom('run', '--json', '--return', 'room');
    assert.equal(JSON.parse(held.printed).due, 0);
    assert.match((await spoolroom('release', number)).printed, /^released: job /);
    assert.match((await spoolroom('show', number)).printed, /Subject: hello/);
    assert.match((await spoolroom('retry', number)).printed, /^to be tried: job /);
    const removed = await spoolroom('remove', number, '--yes');
    assert.match(removed.printed, /^removed: job \d+\. The database keeps them for 30 days/);
    assert.doesNotMatch((await spoolroom('queue')).printed, /one\.example/);
    assert.equal(JSON.parse((await spoolroom('run', '--json', '--return', 'room')).printed).due, 0);
  });

  it('tries what waits for its time in a forced run, but not what is held', async (t) => {
    const { spoolroom, enqueue } = await site(t);
    const server = await startSmtpServer();
    t.after(() => server.close());
    await enqueue('b@one.example');
    const { job: held } = await enqueue('c@one.example');
    const run = async (port: number, ...words: readonly string[]): Promise<number> => {
      const to = ['--smarthost', `127.0.0.1:${port}`, '--return', 'room', '--hostname', 'm.example'];
      const { printed } = await spoolroom('run', ...words, ...to, '--json', '--log.level', 'error');
      return JSON.parse(printed).delivered;
    };
    assert.equal(await run(1), 0);
    await spoolroom('hold', String(held));
    assert.equal(await run(server.port), 0, 'it is not due');
    assert.equal(await run(server.port, '--force'), 1);
    assert.match((await spoolroom('queue')).printed, /c@one\.example +held by/);
  });

  it('queue and explain say which hosts asked any process to slow down', async (t) => {
    const { spoolroom, enqueue, room } = await site(t);
    const { job } = await enqueue('b@one.example');
    const database = databaseAt(room);
    const said = { host: 'mx.one.example', port: 25, answer: '421 4.7.28 unusual rate', enhanced: '4.7.28' };
    await throttledRows(database, null).change(({ now }) => {
      const times = { until: now + 600_000, heard: now, pause: 600_000, rate: 10 };
      const group = { state: 'paused', ...times, ...said, told: false, destinations: ['mx:one.example'] };
      return new Map([['one.example', { value: group, until: times.until }]]);
    }, false);
    await database.close();
    assert.match((await spoolroom('explain', String(job))).printed, /one\.example asked us to slow down/);
    assert.match((await spoolroom('queue')).printed, /one\.example asked us to slow down/);
  });

  it('ends as a process when a command is done', async (t) => {
    const { room, state } = await site(t);
    const { status, stdout } = spawnSync(
      process.execPath,
      [...PROGRAM, 'queue', '--room', room, '--state', state],
      { timeout: 60_000, encoding: 'utf8' },
    );
    assert.deepEqual([status, stdout], [0, 'The spool is empty.\n']);
  });

  it('check looks at the server and at who delivers', async (t) => {
    const { spoolroom, enqueue } = await site(t);
    await enqueue('b@one.example');
    const { printed } = await spoolroom('check', '--return', 'room', '--smarthost', '127.0.0.1:1');
    assert.match(printed, /trouble +postgres +the server has fsync = off/);
    assert.match(
      printed,
      /ok +postgres +.* is PostgreSQL [\d.]+; its tables have version \d+, as this program/,
    );
    assert.match(printed, /ok +replication +no standby is waited for, .*; none is connected/);
    assert.match(printed, /ok +vacuum +the table spoolroom\.\w+ has \d+ dead rows? and \d+ others?, /);
    assert.doesNotMatch(printed, /claims|lease/);
    assert.match(printed, /ok +jobs +1 job; 0 messages claimed, 0 held/);
    assert.match(printed, /ok +runner +no process is delivering/);
  });

  it('check tells of processes that died with messages in their hands', async (t) => {
    const { spoolroom, enqueue, room } = await site(t);
    await enqueue('b@one.example');
    const database = databaseAt(room);
    t.after(() => database.close());
    await database.query("SELECT spoolroom.enter('one', '', 'mx1', 77, -300, NULL)");
    await database.query(
      `UPDATE spoolroom.message SET claim = (SELECT epoch FROM spoolroom.worker), begun = clock_timestamp() - interval '8 h'`,
    );
    const words = ['check', '--return', 'room', '--smarthost', '127.0.0.1:1'];
    const { printed } = await spoolroom(...words);
    assert.match(printed, /warning +claims +the claimed message that has waited longest was due 8 h ago/);
    assert.match(
      printed,
      /warning +lease +the lease of process 77 on mx1 ended 5 min ago, with 1 message claimed/,
    );
    assert.match(printed, /nobody else delivers: start `spoolroom watch`/);
    await database.query("SELECT spoolroom.enter('two', '', 'mx2', 78, 60, NULL)");
    assert.match((await spoolroom(...words)).printed, /Another process takes them over/);
  });

  it('refuses what has no meaning there', async (t) => {
    const { room } = await site(t);
    assert.match((await call('', 'queue', '--postgres', room)).errors, /Name it with --state DIR/);
    assert.match(
      (await call('', 'queue', '--postgres', room, '--state', '/tmp', '--spool', spoolOf(t, {}))).errors,
      /Two queues given/,
    );
    const { errors } = await call(
      '',
      'queue',
      '--postgres',
      'postgres://u:secret@/?sslmode=prefer',
      '--state',
      '/tmp',
    );
    assert.match(errors, /sslmode=prefer, which may go without TLS/);
    assert.doesNotMatch(errors, /secret/);
  });

  it('says what happened when the server is away', async (t) => {
    const state = temporaryDirectory(t);
    const { exit, errors } = await call(
      '',
      'queue',
      '--postgres',
      'postgres://me@127.0.0.1:1/x',
      '--state',
      state,
    );
    assert.equal(exit, 69);
    assert.match(errors, /cannot be used now: 127\.0\.0\.1:1: connection refused/);
  });
});
