/**
 * `watch` and signals, with the built program as its own process: it wakes for new mail, leaves the spool in order when
 * it is told to stop, and lets no second one in. Nothing here waits by the clock: the log says when a step is reached.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DemoWorld } from '../../src/cli/demo-world/index.ts';
import { startDemoWorld } from '../../src/cli/demo-world/index.ts';
import { listFor, MAIL, messagesIn, spoolOf } from '../support/spool.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));

let world: DemoWorld;
before(async () => {
  world = await startDemoWorld();
});
after(() => world.close());

interface Running {
  readonly child: ChildProcess;
  /** resolves with the next log line of this event */
  logged(event: string): Promise<{ readonly [field: string]: unknown }>;
  readonly exit: Promise<number | null>;
}

function start(t: TestContext, words: readonly string[]): Running {
  const settings = ['--log.level', 'info', '--log.format', 'json', '--hostname', 'citadel.example'];
  const child = spawn(process.execPath, [PROGRAM, ...words, ...settings], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  const seen: { [field: string]: unknown }[] = [];
  const logged = async (event: string): Promise<{ [field: string]: unknown }> => {
    for (;;) {
      const at = seen.findIndex((line) => line.event === event);
      const [found] = at < 0 ? [] : seen.splice(0, at + 1).slice(-1);
      if (found !== undefined) return found;
      const next = await lines.next();
      assert.ok(next.done !== true, `the program ended before it logged ${event}`);
      seen.push(JSON.parse(next.value));
    }
  };
  return { child, logged, exit: once(child, 'exit').then(([code]) => code) };
}

/** As another program does it: under a temporary name first, the payload before its control message. */
function hand(spool: string, name: string, text: string): void {
  fs.writeFileSync(path.join(spool, `.${name}`), text);
  fs.renameSync(path.join(spool, `.${name}`), path.join(spool, name));
}

test('watch delivers what appears long before it would look again, and ends cleanly', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@accepts.example') });
  const way = ['--dns', world.dns, '--mx-port', String(world.smtpPort), '--poll', '1h'];
  const watch = start(t, ['watch', '--spool', spool, ...way]);
  await watch.logged('started');
  assert.equal((await watch.logged('delivered')).recipient, 'alice@accepts.example');
  hand(spool, '3', MAIL);
  hand(spool, '4', listFor(3, 'bob@accepts.example'));
  assert.equal((await watch.logged('delivered')).recipient, 'bob@accepts.example');

  const second = spawnSync(process.execPath, [PROGRAM, 'run', '--spool', spool], { encoding: 'utf8' });
  assert.equal(second.status, 0);
  assert.match(
    second.stderr,
    new RegExp(`^spoolroom: Process ${watch.child.pid} is already delivering from .*nothing was done`),
  );

  watch.child.kill('SIGTERM');
  assert.equal((await watch.logged('stopped')).signal, 'SIGTERM');
  assert.equal(await watch.exit, 0);
  assert.deepEqual(messagesIn(spool), {});
  assert.equal(spawnSync(process.execPath, [PROGRAM, 'run', '--spool', spool]).status, 0);
});

test('watch survives files that nobody can read, and files that vanish', async (t) => {
  const spool = spoolOf(t, {});
  const way = ['--dns', world.dns, '--mx-port', String(world.smtpPort), '--poll', '1h'];
  const watch = start(t, ['watch', '--spool', spool, ...way]);
  await watch.logged('started');
  hand(spool, '1', 'Content-type: application/x-citadel-delivery-list\n\nnonsense\n');
  assert.equal((await watch.logged('set-aside')).job, 1);
  hand(spool, '2', MAIL);
  fs.rmSync(path.join(spool, '2'));
  hand(spool, '3', MAIL);
  hand(spool, '4', listFor(3, 'carol@accepts.example'));
  assert.equal((await watch.logged('delivered')).recipient, 'carol@accepts.example');
  watch.child.kill('SIGINT');
  assert.equal((await watch.logged('stopped')).signal, 'SIGINT');
  assert.equal(await watch.exit, 0);
});

test('a run that is told to stop gives up what waits, and says so with its exit code', async (t) => {
  const silent = net.createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const address = silent.address();
  assert.ok(address !== null && typeof address === 'object');
  const connected = once(silent, 'connection');
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@example.com') });
  const way = ['--smarthost', `127.0.0.1:${address.port}`, '--timeout.stop', '10ms'];
  const run = start(t, ['run', '--spool', spool, ...way]);
  const [socket] = await connected;
  t.after(() => socket.destroy());
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 75);
  assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2']);
});
