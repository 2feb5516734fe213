/** The built command, started as cron starts it: the bundle must behave as the sources do. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MAIL, messagesIn, spoolOf, temporaryDirectory } from '../support/spool.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));

function spoolroom(words: readonly string[], input = ''): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [PROGRAM, ...words], { input, encoding: 'utf8', cwd: '/' });
}

test('a run over an empty spool prints nothing and succeeds', (t) => {
  const { status, stdout, stderr } = spoolroom(['run', '--spool', spoolOf(t, {})]);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

test('a run over an empty spool loads nothing of the network', (t) => {
  const preload = path.join(temporaryDirectory(t), 'preload.cjs');
  fs.writeFileSync(
    preload,
    `const before = new Set(process.moduleLoadList);
    process.on('exit', () => {
      const loaded = process.moduleLoadList.filter((name) => !before.has(name));
      require('node:fs').writeSync(1, loaded.join('\\n'));
    });`,
  );
  const { stdout } = spawnSync(
    process.execPath,
    ['--require', preload, PROGRAM, 'run', '--spool', spoolOf(t, {})],
    // Whose standard error goes to /dev/null, which is a device and no terminal.
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  assert.match(stdout, /^NativeModule /m);
  assert.doesNotMatch(stdout, /^NativeModule (?:assert|dns|net|tls|tty)$/m);
});

test('a log line is written: the logging package is loaded when the first one comes', (t) => {
  const list = 'Content-type: application/x-citadel-delivery-list\n\nnothing of use\n';
  const spool = spoolOf(t, { '1': list });
  const log = ['--log.level', 'info', '--log.format', 'json'];
  const { status, stderr } = spoolroom(['run', '--spool', spool, ...log]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^\{.*"event":"set-aside".*\}\n/);
});

test('the demo delivers: name servers, sockets, fixtures and mail servers are all in the bundle', (t) => {
  const spool = path.join(temporaryDirectory(t), 'spool');
  const { status, stdout, stderr } = spoolroom(['demo', '--json', '--spool', spool]);
  assert.deepEqual([status, stderr], [0, '']);
  const [first, second] = JSON.parse(stdout).runs;
  assert.deepEqual([first.summary.delivered, first.summary.deferred, first.summary.failed], [2, 1, 3]);
  assert.deepEqual([second.summary.delivered, second.summary.deferred, second.summary.failed], [1, 0, 0]);
});

test('enqueue from standard input, queue, and the version', (t) => {
  const spool = spoolOf(t, {});
  assert.equal(spoolroom(['enqueue', '--spool', spool, '-t'], MAIL).status, 0);
  assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '2']);
  assert.equal(JSON.parse(spoolroom(['queue', '--json', '--spool', spool]).stdout).kind, 'job');
  const { version } = JSON.parse(
    fs.readFileSync(path.join(path.dirname(PROGRAM), '../package.json'), 'utf8'),
  );
  assert.equal(spoolroom(['--version']).stdout.trim(), version);
});

test('mail is delivered although nobody reads the output', async (t) => {
  const spool = path.join(temporaryDirectory(t), 'spool');
  const child = spawn(process.execPath, [PROGRAM, 'demo', '--spool', spool], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  child.stderr.destroy();
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.deepEqual(Object.keys(messagesIn(spool)), ['16', '17']);
});

test('a program that was not built reports it', (t) => {
  const folder = temporaryDirectory(t);
  for (const name of ['spoolroom', 'cache-folder.js', 'compile.js', 'unchanged.js', 'package.json']) {
    fs.copyFileSync(path.join(path.dirname(PROGRAM), name), path.join(folder, name));
  }
  const { status, stderr } = spawnSync(process.execPath, [path.join(folder, 'spoolroom')], {
    encoding: 'utf8',
  });
  assert.equal(status, 70);
  assert.match(stderr, /has not been built yet; run `npm ci`/);
});
