/** Simulations, and the proof that they find faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk, type SyncUnderWay } from '../support/memory-disk.ts';
import { size } from '../support/thorough.ts';
import { planFor } from './plan.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulate.ts';

const SEEDS = size(80, 200);

test(`seeds 1 to ${SEEDS}: nothing is lost, nothing sent twice`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = await simulate(planFor(seed));
    assert.deepEqual(
      violations,
      [],
      `seed ${seed}; npm run simulate -- --seed ${seed} --runs 1 shows every step`,
    );
  }
});

test('the same plan gives the same run', async () => {
  for (const seed of [5, 39, 172, 881]) {
    const [first, second] = [
      await simulate(planFor(seed), { trace: true }),
      await simulate(planFor(seed), { trace: true }),
    ];
    assert.deepEqual(first.trace, second.trace, `seed ${seed}`);
    assert.ok(first.steps > 50, `seed ${seed} has ${first.steps} steps`);
  }
});

/** Reports a directory as synced without syncing it. */
class LyingDisk extends MemoryDisk {
  override beginSyncDirectory(directory: string): SyncUnderWay {
    const commit = super.beginSyncDirectory(directory);
    return directory === '/spool/.spoolroom' ? () => {} : commit;
  }
}

/** Removes a delivery list instead of replacing it. */
class ForgetfulDisk extends MemoryDisk {
  override rename(from: string, to: string): void {
    if (/^\/spool\/\d+$/.test(to)) this.unlink(to);
    else super.rename(from, to);
  }
}

for (const [what, Faulty] of Object.entries({
  'a sync that does nothing': LyingDisk,
  'a rewrite that loses the list': ForgetfulDisk,
})) {
  test(`${what} is found, and the plan that shows it is reduced`, async () => {
    const fails = async (plan: ReturnType<typeof planFor>): Promise<boolean> =>
      (await simulate(plan, { disk: (now) => new Faulty(now) })).violations.length > 0;
    let seed = 1;
    while (!(await fails(planFor(seed)))) assert.ok(++seed <= SEEDS, 'no seed finds it');
    const smallest = await shrink(planFor(seed), fails);
    assert.ok(await fails(smallest));
    assert.ok(JSON.stringify(smallest).length <= JSON.stringify(planFor(seed)).length);
    assert.deepEqual((await simulate(smallest)).violations, [], 'without the fault there is no violation');
  });
}
