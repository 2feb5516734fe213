import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { DemoWorld } from '../../src/cli/demo/world/index.ts';
import { startDemoWorld } from '../../src/cli/demo/world/index.ts';
import { main } from '../../src/cli/shell/main.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { PROGRAM } from '../support/program.ts';
import {
  bench,
  listFor,
  MAIL,
  messagesIn,
  openQueue,
  spoolOf,
  temporaryDirectory,
} from '../support/spool.ts';

/** `watch` as a process: it wakes, survives changes of its directory, and stops cleanly. */

/** A silent watcher must not keep the suite waiting. */
const BOUNDED = { timeout: 30_000 };

let world: DemoWorld;
before(async () => {
  world = await startDemoWorld();
});
after(() => world.close());

class Watcher {
  readonly child: ChildProcess;
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;

  constructor(t: TestContext, spool: string, poll = '1h', more: readonly string[] = []) {
    const words = ['watch', '--spool', spool, '--dns', world.dns, '--mx-port', String(world.smtpPort)];
    // The lists are from 2012, but no recipient may be given up because of that.
    const reports = ['--return', `smtp://127.0.0.1:${world.smtpPort}`];
    const patience = ['--retry.notice', '10000d', '--retry.giveup', '10000d'];
    const log = ['--log.level', 'info', '--log.format', 'json', '--poll', poll];
    this.child = spawn(process.execPath, [...PROGRAM, ...words, ...reports, ...patience, ...log, ...more], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    if (this.child.stderr === null) throw new Error('its standard error is not piped');
    this.#lines = createInterface({ input: this.child.stderr });
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  /** Log lines until each of these events has been logged, in any order. */
  async says(...events: readonly string[]): Promise<readonly { readonly [field: string]: unknown }[]> {
    const missing = new Set(events);
    const lines: { readonly [field: string]: unknown }[] = [];
    while (missing.size > 0) {
      const { value, done } = await this.#iterator.next();
      if (done === true) throw new Error(`it ended without saying "${[...missing].join('", "')}"`);
      const line = JSON.parse(value);
      if (missing.delete(line.event)) lines.push(line);
    }
    return lines;
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    const [code] = await exit;
    return code;
  }
}

/** As other programs do: complete under another name, then renamed; the mail before its list. */
function dropIn(spool: string, mail: number, ...recipients: readonly string[]): void {
  for (const [number, text] of [
    [mail, MAIL],
    [mail + 1, listFor(mail, ...recipients)],
  ] as const) {
    fs.writeFileSync(path.join(spool, `${number}.tmp`), text);
    fs.renameSync(path.join(spool, `${number}.tmp`), path.join(spool, String(number)));
  }
}

async function ask(words: string, spool: string) {
  const caught = caughtTerminal();
  const exit = await main([...words.split(' '), '--spool', spool], {}, caught.terminal);
  return { exit, printed: caught.printed.join('\n') };
}

describe('watch', () => {
  it('delivers what is there, wakes for what is added, and stops cleanly when asked', BOUNDED, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@accepts.example') });
    const watcher = new Watcher(t, spool);
    assert.equal((await watcher.says('delivered'))[0]?.job, 2);
    dropIn(spool, 3, 'anna@accepts.example', 'hugo@greylist.example');
    const lines = await watcher.says('delivered', 'deferred');
    assert.deepEqual(
      lines.map(({ job }) => job),
      [4, 4],
    );
    assert.equal(await watcher.stop('SIGTERM'), 0);
    const left = messagesIn(spool);
    assert.deepEqual(Object.keys(left), ['3', '4']);
    assert.match(
      left['4'] ?? '',
      /^remote\|anna@accepts\.example\|2\|.*\nremote\|hugo@greylist\.example\|4\|.*\n/m,
    );
  });

  it(
    'wakes for a request: a retry is tried once, a held job is not, a removed one goes',
    BOUNDED,
    async (t) => {
      const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'retry@greylist.example') });
      for (const mail of [3, 5]) dropIn(spool, mail, `held${mail}@accepts.example`);
      assert.equal((await ask('hold 4 6', spool)).exit, 0);
      const watcher = new Watcher(t, spool);
      assert.equal((await watcher.says('deferred'))[0]?.job, 2);
      const removed = await ask('remove 4 --yes', spool);
      assert.match(removed.printed, new RegExp(`^to be removed: job 4\\. Process ${watcher.child.pid}`));
      await ask('retry 2', spool);
      assert.equal((await watcher.says('delivered'))[0]?.job, 2);
      assert.equal(await watcher.stop('SIGTERM'), 0);
      assert.deepEqual(Object.keys(messagesIn(spool)), ['5', '6']);
    },
  );

  it('keeps metrics of queue and intake', BOUNDED, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@greylist.example') });
    const file = path.join(spool, '.prom');
    const watcher = new Watcher(t, spool, '100ms', [
      ...['--intake', '--intake.listen', '127.0.0.1:0', '--metrics-file', file],
    ]);
    await watcher.says('listening', 'deferred');
    dropIn(spool, 3, 'alice@accepts.example');
    await watcher.says('delivered');
    assert.equal(await watcher.stop('SIGTERM'), 0);
    const text = fs.readFileSync(file, 'utf8');
    assert.match(text, /^spoolroom_smtp_status_total\{status="delivered"\} 1$/m);
    assert.match(text, /^spoolroom_smtpd_messages_processed_total 0$/m);
    assert.match(text, /^spoolroom_run_last_success_timestamp_seconds \d{10}$/m);
    assert.doesNotMatch(text, /spoolroom_run_duration/);
  });

  it('waits for another process that delivers from there, and stops when asked', BOUNDED, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@accepts.example') });
    const room = await openQueue(spool, bench());
    const waiting = new Watcher(t, spool);
    assert.equal((await waiting.says('waiting'))[0]?.runner, process.pid);
    assert.equal(await waiting.stop('SIGTERM'), 0);
    const watcher = new Watcher(t, spool, '100ms');
    await watcher.says('waiting');
    await room.close();
    assert.equal((await watcher.says('delivered'))[0]?.job, 2);
    assert.equal(await watcher.stop('SIGTERM'), 0);
  });

  it(
    'reads its settings again at SIGHUP, keeps the old ones when the new are wrong, and goes on',
    BOUNDED,
    async (t) => {
      const spool = spoolOf(t, {});
      const config = path.join(temporaryDirectory(t), 'spoolroom.json');
      fs.writeFileSync(config, '{"postmaster": "a@citadel.example"}');
      const watcher = new Watcher(t, spool, '1h', ['--config', config]);
      await watcher.says('started');
      watcher.child.kill('SIGHUP');
      assert.equal((await watcher.says('reloaded'))[0]?.changed, false);
      fs.writeFileSync(config, '{"postmaster": "nobody"}');
      watcher.child.kill('SIGHUP');
      const [warning] = await watcher.says('warning');
      assert.match(
        String(warning?.message),
        /^The settings were not reloaded, and the old ones stay in force: .*spoolroom\.json: postmaster: "nobody" is not/,
      );
      dropIn(spool, 1, 'alice@accepts.example');
      assert.equal((await watcher.says('delivered'))[0]?.job, 2);
      fs.writeFileSync(config, '{"postmaster": "b@citadel.example"}');
      watcher.child.kill('SIGHUP');
      const [reloaded] = await watcher.says('reloaded', 'started');
      assert.equal(reloaded?.changed, true);
      dropIn(spool, 3, 'anna@accepts.example');
      assert.equal((await watcher.says('delivered'))[0]?.job, 4);
      assert.equal(await watcher.stop('SIGTERM'), 0);
    },
  );

  it('says in its log what is wrong with settings that show it in use only', BOUNDED, async (t) => {
    const config = path.join(temporaryDirectory(t), 'spoolroom.json');
    fs.writeFileSync(config, '{"intake.listen": ["127.0.0.1:0"]}');
    const watcher = new Watcher(t, spoolOf(t, {}), '1h', ['--config', config, '--intake']);
    await watcher.says('started');
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    fs.writeFileSync(config, `{"intake.listen": ["127.0.0.1:${port}"]}`);
    watcher.child.kill('SIGHUP');
    const [warning] = await watcher.says('warning', 'started');
    assert.match(String(warning?.message), /^The settings were not reloaded, .* already listens there\.$/);
    assert.equal(await watcher.stop('SIGTERM'), 0);
  });

  it('is not ended by a SIGHUP that comes before it is ready', BOUNDED, async (t) => {
    const config = path.join(temporaryDirectory(t), 'spoolroom.json');
    execFileSync('mkfifo', [config]);
    const watcher = new Watcher(t, spoolOf(t, {}), '1h', ['--config', config]);
    // Opens as soon as the watcher reads its settings.
    const pipe = fs.openSync(config, 'w');
    watcher.child.kill('SIGHUP');
    fs.rmSync(config);
    fs.writeFileSync(config, '{}');
    fs.writeSync(pipe, '{}');
    fs.closeSync(pipe);
    await watcher.says('started');
    assert.equal(await watcher.stop('SIGTERM'), 0);
  });

  it('survives files that vanish, change and are unreadable', BOUNDED, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'ida@greylist.example') });
    const watcher = new Watcher(t, spool);
    await watcher.says('deferred');
    fs.rmSync(path.join(spool, '2'));
    fs.writeFileSync(
      path.join(spool, '5.tmp'),
      'Content-type: application/x-citadel-delivery-list\n\nnonsense\n',
    );
    fs.utimesSync(path.join(spool, '5.tmp'), 1, 1);
    fs.renameSync(path.join(spool, '5.tmp'), path.join(spool, '5'));
    fs.mkdirSync(path.join(spool, '6'));
    dropIn(spool, 7, 'jutta@accepts.example');
    assert.equal((await watcher.says('delivered'))[0]?.job, 8);
    assert.equal(await watcher.stop('SIGINT'), 0);
    assert.deepEqual(
      Object.keys(messagesIn(spool)).filter((name) => /^\d+$/.test(name)),
      ['1'],
      'the mail without a list stays',
    );
  });
});
