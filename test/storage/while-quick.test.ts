import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whileQuick } from '../../src/storage/while-quick.ts';

/** Where each piece of work was done that took so many milliseconds. */
async function places(times: readonly number[]): Promise<string> {
  let now = 0;
  const done: string[] = [];
  const here = (time: number): void => {
    now += time;
    done.push('h');
  };
  const work = whileQuick(
    here,
    async (time) => {
      // The way there and back.
      now += time + 0.06;
      done.push('e');
    },
    () => now,
  );
  for (const time of times) await work(time);
  return done.join('');
}

test('work stays on this thread as long as it is quick, whatever one piece of it takes', async () => {
  const times = Array.from({ length: 64 }, (_, at) => (at % 16 === 0 ? 1000 : 0.002));
  assert.equal(await places(times), 'h'.repeat(64));
});

test('work that is slow goes to another thread after the first few pieces, and stays there', async () => {
  assert.equal(await places(Array.from({ length: 8 }, () => 5)), 'hhhhheee');
});

test('work that is quick again comes back (R314)', async () => {
  const times = [...Array.from({ length: 8 }, () => 5), ...Array.from({ length: 32 }, () => 0.002)];
  assert.match(await places(times), /^hhhhhe{8,24}h+$/);
});

test('its errors are those of the caller', async () => {
  const work = whileQuick(
    () => {
      throw new Error('no');
    },
    async () => {},
  );
  await assert.rejects(work(null), /no/);
});
