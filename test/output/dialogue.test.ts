/** What the debug log shows of a session. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unknown8bit } from '../../src/message/charset.ts';
import { dialogueEvent } from '../../src/output/log/log-events.ts';
import { wholeDialogueLines } from '../../src/output/replay/dialogue.ts';
import { textDecoder } from '../../src/output/text.ts';
import type { Reply } from '../../src/smtp/reply.ts';

const PEER = { host: 'mx.example', address: '192.0.2.1', port: 25 };

function logged(session: number, code: number, text: string): string {
  const reply: Reply = { code, enhanced: null, text };
  const [line] = wholeDialogueLines({ type: 'reply', reply }, { effects: [] });
  assert.ok(line !== undefined);
  return dialogueEvent(session, PEER, line, textDecoder(unknown8bit)).message;
}

test('a reply of several lines is whole, in one line, with its codes once', () => {
  assert.match(
    logged(1, 250, 'mx.example\nPIPELINING\nSIZE 1000'),
    /< 250 mx\.example \| PIPELINING \| SIZE 1000$/,
  );
  assert.match(logged(1, 550, '5.1.1 nobody\n5.1.1 is here'), /< 550 5\.1\.1 nobody \| is here$/);
});

test('control characters are readable, and sessions are told apart', () => {
  const line = logged(7, 250, 'a\x1b[31mb\rc\td');
  assert.match(line, /^#7 mx\.example \[192\.0\.2\.1\] < 250 a\\x1b\[31mb\\rc\\td$/);
  assert.notEqual(logged(8, 250, 'ok'), logged(9, 250, 'ok'));
});
