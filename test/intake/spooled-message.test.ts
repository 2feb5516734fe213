import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageSpool } from '../../src/intake/spooled-message.ts';
import { temporaryDirectory } from '../support/spool.ts';

test('however its bytes come, a message has the same header and gives the same bytes', async (t) => {
  const scratch = temporaryDirectory(t);
  const header = `X-Long: ${'y'.repeat(120_000)}\r\n`;
  const bytes = Buffer.from(`${header}\r\n${'z'.repeat(100_000)}`);
  for (const size of [bytes.length, 70_000, 50_000, 4097]) {
    const spool = new MessageSpool(bytes.length, () => scratch);
    for (let at = 0; at < bytes.length; at += size) await spool.add(bytes.subarray(at, at + size));
    const message = await spool.finish();
    if (message.kind === 'oversized') throw new Error('oversized');
    assert.equal(message.header === header, true, `header, pieces of ${size}`);
    const back: Uint8Array[] = [];
    for await (const piece of message.pieces()) back.push(piece);
    assert.equal(Buffer.concat(back).equals(bytes), true, `bytes, pieces of ${size}`);
    await message.close();
  }
});
