import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../conformance/fuzz.ts';
import { randomDialogue } from './dialogues.ts';
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
