import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../conformance/fuzz.ts';
import { randomDialogue, steps } from './dialogues.ts';
import { checkDialogue } from './fuzz.ts';

test('whatever a client says, and however the wire cuts it, replies are replies and messages are kept (npm run fuzz:intake)', async () => {
  const random = seeded(1);
  let most = 0;
  for (let run = 0; run < 400; run++) {
    const dialogue = randomDialogue(random, 5 + Math.floor(random() * 25));
    assert.equal(await checkDialogue(dialogue, random), null, JSON.stringify(dialogue));
    most = Math.max(most, dialogue.length);
  }
  assert.ok(most > 20);
});

test('a lock-step client takes what is left behind a chunk for the beginning of the next command, or for one', () => {
  const text = 'one\r\n.\r\n';
  assert.deepEqual(steps(['BDAT 5\r\nhallo', 'NOOP\r\n']), ['BDAT 5\r\nhallo', 'NOOP\r\n']);
  assert.deepEqual(steps(['BDAT 5\r\nhalloA', 'NOOP\r\n']), ['BDAT 5\r\nhallo', 'ANOOP\r\n']);
  assert.deepEqual(steps(['BDAT 6 LAST\r\nhall:o\n', 'RSET\r\n']), [
    'BDAT 6 LAST\r\nhall:o',
    '\n',
    'RSET\r\n',
  ]);
  assert.deepEqual(steps(['bdat\t5\r\nhallo\r\n', 'RSET\r\n']), ['bdat\t5\r\nhallo', '\r\n', 'RSET\r\n']);
  assert.deepEqual(steps(['BDAT 5\r\nhalloA', 'DATA\r\n', text, 'QUIT\r\n']), [
    'BDAT 5\r\nhallo',
    'ADATA\r\n',
    'QUIT\r\n',
  ]);
  assert.deepEqual(steps(['DATA\r\n', text]), ['DATA\r\n', text]);
});
