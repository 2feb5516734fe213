/** A queue in PostgreSQL does what every kind of queue does. */
import { after, before, type TestContext, test } from 'node:test';
import type { MessageNumber } from '../../../src/delivery-list/job.ts';
import type { ControlSettings } from '../../../src/queue/control-message.ts';
import type { TakeInDeps } from '../../../src/queue/moving/take-in.ts';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import { openPostgresQueue } from '../../../src/queue/postgres/open.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { adoptControl, adoptPayload } from '../../support/adopt.ts';
import { allDead, MAIL } from '../../support/live-room.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { type Bench, bench, HEADER, NOW, temporaryDirectory } from '../../support/spool.ts';
import { type QueueFixture, queueSuite } from '../suite.ts';

let cluster: Cluster;

async function place(t: TestContext, settings: ControlSettings): Promise<QueueFixture> {
  const address = await cluster.create();
  const database = databaseAt(address);
  t.after(() => database.close());
  const state = temporaryDirectory(t);
  const options = parsing(settings.dialect, settings.longestList);
  const adopting: TakeInDeps = { database, options, schedule: SCHEDULE, present: () => NOW };
  const benches: Bench[] = [];
  const open = (deps: Bench) => {
    benches.push(deps);
    const present = (): number => deps.clock.now() / 1000;
    return openPostgresQueue({ address, state, present }, deps, settings);
  };
  let highest = 0;
  return {
    async putMail(text = MAIL) {
      await adoptPayload(database, ++highest, [Buffer.from(text, 'latin1')]);
      return highest;
    },
    async putList(instructions) {
      await adoptControl(adopting, ++highest, Buffer.from(HEADER + instructions, 'latin1'));
      return highest;
    },
    async remove(number) {
      await database.query('DELETE FROM spoolroom.job WHERE control = $1', [number]);
      await database.query('DELETE FROM spoolroom.chunk WHERE message = $1', [number]);
      await database.query('UPDATE spoolroom.message SET size = NULL WHERE id = $1', [number]);
    },
    async change(number, instructions) {
      await database.query('UPDATE spoolroom.job SET list = $2 WHERE control = $1', [
        number,
        Buffer.from(HEADER + instructions, 'latin1'),
      ]);
    },
    async numbers() {
      const rows = await database.query(
        `SELECT id::float8 AS number FROM spoolroom.message WHERE size IS NOT NULL
          UNION SELECT control FROM spoolroom.job ORDER BY number`,
      );
      return rows.map(({ number }) => number as MessageNumber);
    },
    async lists() {
      const rows = await database.query('SELECT control, list FROM spoolroom.job ORDER BY control');
      return Object.fromEntries(
        rows.map(({ control, list }) => [
          Number(control),
          (list as Buffer).toString('latin1').slice(HEADER.length),
        ]),
      );
    },
    async open() {
      const opened = await open(bench({ processes: allDead }));
      if (opened.kind === 'refused') throw new Error(opened.text);
      t.after(() => opened.queue.close().catch(() => {}));
      return opened.queue;
    },
    async openBeside() {
      const opened = await open(bench());
      return opened.kind === 'refused' ? opened.text : 'open';
    },
    advance: (milliseconds) => benches.at(-1)?.clock.advance(milliseconds),
    get warnings() {
      return benches.at(-1)?.warnings ?? [];
    },
  };
}

if (NO_POSTGRES !== false) test('a queue in PostgreSQL', { skip: NO_POSTGRES }, () => {});
else {
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());
  queueSuite({
    name: 'a queue in PostgreSQL',
    make: place,
    differs: {
      keepsNumbers: true,
      movesUnreadable: false,
      changed: 'merged',
      hasJournal: false,
      enqueues: true,
      pendingFirst: false,
      dialects: ['2012', '2017'],
    },
  });
}
