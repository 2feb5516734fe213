/** What processes that share a queue in PostgreSQL tell each other at once (techdoc/several-machines.md). */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../../src/platform/clock.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { ModelShares } from '../../simulation/claims/model-shares.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { enqueueTo, type SharedQueue, sharedQueue, type Worker } from '../../support/postgres-queue.ts';
import { SETTINGS_2012, seededRandom } from '../../support/spool.ts';

/** A worker that listens: each call resolves at the next notice. No clock moves, so nothing is found by waiting. */
async function listening(worker: Worker): Promise<() => Promise<void>> {
  let heard = 0;
  let seen = 0;
  let tell = (): void => {};
  worker.queue.listen(() => {
    heard++;
    tell();
  });
  const next = async (): Promise<void> => {
    if (heard === seen)
      await new Promise<void>((resolve) => {
        tell = resolve;
      });
    seen = heard;
  };
  await worker.claim();
  await next();
  return next;
}

describe('processes that share a queue', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  const clientOf = (t: TestContext, { address }: SharedQueue) => {
    const database = databaseAt(address);
    t.after(() => database.close());
    return postgresClient(database, SETTINGS_2012, () => null, systemClock);
  };

  it('wake each other at once for new mail', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    const { control } = await enqueueTo(one, 'b@example.com');
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('wake each other at once for a request, and for what a dead process had', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two, three] = [await shared.worker(), await shared.worker(), await shared.worker()];
    const { control } = await enqueueTo(one, 'b@example.com');
    const notice = await listening(two);
    const client = clientOf(t, shared);
    const { jobs } = await client.scan();
    await client.request('hold', jobs, { by: 'me', at: 1 });
    await notice();
    await two.claim();
    await client.withdraw(jobs);
    await notice();
    assert.deepEqual(await one.claim(), [control]);
    await shared.endLease(one);
    await three.claim(0);
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('listen again after a connection was lost', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    const ears = async (): Promise<unknown> =>
      (
        await shared.database.repeatable(
          "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()",
        )
      )[0]?.pid;
    const before = await ears();
    await shared.database.repeatable('SELECT pg_terminate_backend($1)', [before]);
    for (let now = before; now === before || now === undefined; now = await ears()) await two.claim();
    await notice();
    const { control } = await enqueueTo(one, 'b@example.com');
    await notice();
    assert.deepEqual(await two.claim(), [control]);
  });

  it('make few notices of many messages', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const notice = await listening(two);
    await Promise.all(Array.from({ length: 50 }, () => enqueueTo(one, 'b@example.com')));
    await notice();
    one.deps.clock.advance(50);
    await notice();
    assert.equal((await two.claim()).length, 50, 'the last notice came after the last message');
    one.deps.clock.advance(50);
    assert.equal(one.deps.clock.pending, 1, 'and no more: only the lease is renewed');
  });

  it('never have more sessions at a place than its limit, whoever asks, ends or stops (random)', async (t) => {
    const { database } = await sharedQueue(t, cluster);
    const seed = Math.floor(Math.random() * 1e9);
    const random = seededRandom(seed);
    const below = (most: number): number => Math.floor(random() * most);
    const notices: string[] = [];
    const dead = new Set<number>();
    let now = 0;
    const model = new ModelShares({
      isAlive: (epoch) => !dead.has(epoch),
      now: () => ++now,
      notify: (text) => notices.push(text),
    });
    const enter = async (name: number): Promise<number> => {
      const [row] = await database.query(
        "SELECT spoolroom.enter($1, '', 'here', 1, 3600, NULL)::float8 AS epoch",
        [`w${name}`],
      );
      return row?.epoch as number;
    };
    const workers = await Promise.all([0, 1, 2, 3].map(enter));
    const limits: { readonly [place: string]: number } = { one: 1, few: 3, many: 10 };
    /** by worker and place: what it was granted, which it may have open */
    const granted = new Map<string, number>();
    let requests = 0;
    for (let step = 0; step < 80; step++) {
      const at = below(workers.length);
      const me = workers[at] ?? 0;
      if (below(12) === 0) {
        dead.add(me);
        await database.query(
          "UPDATE spoolroom.worker SET lease_until = clock_timestamp() - interval '1 second' WHERE epoch = $1",
          [me],
        );
        if (below(2) === 0) {
          await database.query('SELECT spoolroom.reap(NULL)');
          model.end(dead);
        }
        workers[at] = await enter(step + 4);
        continue;
      }
      const asked = Object.entries(limits).flatMap(([place, limit]) => {
        if (below(3) === 0) return [];
        const keep = below((granted.get(`${me} ${place}`) ?? 0) + 1);
        const need = Math.min(limit, keep + below(5));
        return [{ place, limit, keep, need, ahead: Math.min(limit, need + below(3)) }];
      });
      const [answer] = await database.query('SELECT * FROM spoolroom.share($1, $2, $3, $4, $5, $6, $7, $8)', [
        ...[me, ++requests, 3600, asked.map(({ place }) => place), asked.map(({ limit }) => limit)],
        asked.map(({ keep }) => keep),
        ...[asked.map(({ need }) => need), asked.map(({ ahead }) => ahead)],
      ]);
      const expected = model.share(me, requests, 3600, asked);
      const where = `seed ${seed}, step ${step}: ${JSON.stringify(asked)}`;
      assert.deepEqual(
        [answer?.granted, answer?.contested],
        [expected?.map(([grant]) => grant), expected?.map(([, is]) => is)],
        where,
      );
      for (const [nth, { place, keep }] of asked.entries())
        granted.set(`${me} ${place}`, Math.max(keep, expected?.[nth]?.[0] ?? 0));
      const held = await database.query(
        `SELECT place, sum(held)::integer AS held FROM spoolroom.share JOIN spoolroom.worker ON epoch = worker
          WHERE lease_until > clock_timestamp() GROUP BY place`,
      );
      for (const { place, held: sum } of held) {
        assert.ok(Number(sum) <= (limits[String(place)] ?? 0), `${where}: ${sum} at ${place}`);
        assert.equal(sum, model.held(String(place)), where);
      }
    }
    assert.ok(notices.length > 0);
  });

  it('leave the sessions of a process whose lease has ended to others, and heed no late request of it', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const share = async (epoch: number, request: number, keep: number, need: number) =>
      (
        await shared.database.query('SELECT granted FROM spoolroom.share($1, $2, 15, $3, $4, $5, $6, $6)', [
          ...[epoch, request, ['192.0.2.1:25'], [3], [keep], [need]],
        ])
      )[0]?.granted;
    assert.deepEqual(await share(one.epoch, 1, 0, 3), [3]);
    assert.deepEqual(await share(two.epoch, 1, 0, 2), [0]);
    assert.equal(await share(one.epoch, 1, 0, 1), null, 'it came after a later one');
    assert.deepEqual(
      await share(one.epoch, 2, 3, 3),
      [1],
      'an equal share, of which others wait for the rest',
    );
    assert.deepEqual(await share(one.epoch, 3, 2, 2), [1]);
    assert.deepEqual(await share(two.epoch, 2, 0, 2), [1]);
    await shared.endLease(one);
    assert.deepEqual(await share(two.epoch, 3, 1, 2), [2]);
    assert.equal(await share(one.epoch, 4, 1, 3), null);
  });

  it('take turns in what is spread over time', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const turns = async (...names: readonly string[]): Promise<readonly number[]> => {
      const [row] = await shared.database.query('SELECT spoolroom.turns($1, $2) AS delays', [
        names,
        names.map(() => 60_000),
      ]);
      return row?.delays as readonly number[];
    };
    const [first = 0, other = 0, second = 0] = await turns('a', 'b', 'a');
    assert.deepEqual([first, other, second], [0, 0, 60_000]);
    const [third = 0] = await turns('a');
    assert.ok(third > 100_000 && third <= 120_000, `${third}`);
  });

  it('know together of hosts that asked one of them to send less, with the time of the database', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const [one, two] = [await shared.worker(), await shared.worker()];
    const { throttled } = two.queue;
    await listening(two);
    const heard = new Promise<void>((resolve) => throttled.listen(resolve));
    const group = { state: 'paused', answer: '421 4.7.28 "slow\0' };
    const before = await one.queue.throttled.change(
      ({ now }) => new Map([['big.example', { value: group, until: now + 300_000 }]]),
      true,
    );
    await heard;
    const { values, now } = await throttled.read();
    assert.deepEqual([...values], [['big.example', { ...group, answer: '421 4.7.28 "slow ' }]]);
    assert.ok(now >= before.now && now < before.now + 60_000);
    const [row] = await shared.database.query(
      "SELECT extract(epoch FROM until - clock_timestamp())::float8 AS left, value->>'state' AS state FROM spoolroom.throttled",
    );
    assert.ok(Number(row?.left) > 240 && Number(row?.left) <= 300 && row?.state === 'paused');
    const both = [one, two].map(({ queue }, n) =>
      queue.throttled.change(
        (found) =>
          new Map([
            ['big.example', null],
            [`${n}`, { value: found.values.size, until: now }],
          ]),
        false,
      ),
    );
    await Promise.all(both);
    const left = (await throttled.read()).values;
    assert.deepEqual(
      [...left].sort(),
      [
        ['0', 1],
        ['1', 1],
      ],
      'one after the other',
    );
  });
});
