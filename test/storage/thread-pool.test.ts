import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncTogether } from '../../src/storage/thread-pool.ts';

test('many syncs may be under way, but for what the administrator has set', (t) => {
  const before = process.env.UV_THREADPOOL_SIZE;
  t.after(() => {
    if (before === undefined) delete process.env.UV_THREADPOOL_SIZE;
    else process.env.UV_THREADPOOL_SIZE = before;
  });
  delete process.env.UV_THREADPOOL_SIZE;
  syncTogether();
  assert.equal(process.env.UV_THREADPOOL_SIZE, '16');
  process.env.UV_THREADPOOL_SIZE = '2';
  syncTogether();
  assert.equal(process.env.UV_THREADPOOL_SIZE, '2');
});
