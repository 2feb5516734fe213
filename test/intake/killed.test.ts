import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { bench, openQueue, spoolOf } from '../support/spool.ts';
import { Conversation } from './conversation.ts';

const SCRIPT = new URL('killed-intake.ts', import.meta.url).pathname;
const BODY = `Subject: hello\r\n\r\n${'A line of the message.\r\n'.repeat(100)}`;

/** Hands mail over until the intake is gone; tells of each 250. */
async function handOver(
  address: string,
  connection: number,
  acknowledged: (recipient: string) => void,
): Promise<void> {
  const client = await Conversation.with(address);
  await client.hello();
  for (let mail = 0; ; mail++) {
    const recipient = `user${connection}.${mail}@example.com`;
    await client.envelope('alice@citref.example', recipient);
    const reply = await client.ask(`X-Mail: ${recipient}\r\n${BODY}.`);
    if (reply === null) return;
    if (reply.startsWith('250 ')) acknowledged(recipient);
  }
}

for (const after of [1, 20, 75]) {
  test(`killed after ${after} acknowledged messages: every one of them is a whole job`, async (t) => {
    const spool = spoolOf(t, {});
    const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, spool], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const [address] = (await once(createInterface(child.stdout), 'line')) as [string];
    const acknowledged: string[] = [];
    const clients = Array.from({ length: 10 }, (_, connection) =>
      handOver(address, connection, (recipient) => {
        acknowledged.push(recipient);
        if (acknowledged.length === after) child.kill('SIGKILL');
      }),
    );
    await Promise.allSettled(clients);
    assert.ok(acknowledged.length >= after);
    const room = await openQueue(spool, bench());
    const { jobs } = await room.scan();
    const payloads = new Map(
      jobs.flatMap(({ job }) => job.recipients.map(({ address: to }) => [to, job.msgid])),
    );
    for (const recipient of acknowledged) {
      const text = fs.readFileSync(`${spool}/${payloads.get(recipient)}`, 'latin1');
      assert.ok(text.endsWith(`\r\nX-Mail: ${recipient}\r\n${BODY}`), recipient);
    }
    await room.close();
  });
}
