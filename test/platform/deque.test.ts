import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deque } from '../../src/platform/deque.ts';

test('a waiting line does what an array does', () => {
  const steps = fc.array(fc.constantFrom('push', 'unshift', 'shift', 'takeAll'), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (names) => {
      const line = new Deque<number>();
      const model: number[] = [];
      for (const [number, name] of names.entries()) {
        if (name === 'shift') assert.equal(line.shift(), model.shift());
        else if (name === 'takeAll') assert.deepEqual(line.takeAll(), model.splice(0));
        else {
          line[name](number);
          model[name](number);
        }
        assert.deepEqual([line.length, line.first], [model.length, model[0]]);
      }
    }),
  );
});
