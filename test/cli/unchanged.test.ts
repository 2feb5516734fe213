/** A run over a spool that is empty, as it was, ends at once; whatever may have brought work has it look. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));
const NOTES = 'spoolroom.idle';
const MINUTE = 60_000;

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-unchanged-'));
after(() => rmSync(folder, { recursive: true }));
const bin = path.join(folder, 'bin');
const cache = path.join(folder, 'cache');
const spool = path.join(folder, 'spool');
const config = path.join(folder, 'config.json');
const later = path.join(folder, 'later.cjs');

interface Call {
  readonly words?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** milliseconds by which the clock is ahead */
  readonly ahead?: number;
}

/** Standard error and whether the run has looked: each run that does takes the lock. */
function run({ words = [], environment = {}, ahead = MINUTE }: Call = {}): {
  readonly looked: boolean;
  readonly errors: string;
} {
  const before = locks();
  writeFileSync(later, `const { now } = Date; Date.now = () => now() + ${ahead};`);
  const all = ['--require', later, path.join(bin, 'spoolroom'), 'run', '--config', config, ...words];
  const env = { CACHE_DIRECTORY: cache, ...environment };
  const { stderr, status } = spawnSync(process.execPath, all, { encoding: 'utf8', env });
  assert.equal(status, 0, stderr);
  return { looked: locks() !== before, errors: stderr };
}

function locks(): string {
  const state = path.join(spool, '.spoolroom');
  return existsSync(state)
    ? readdirSync(state)
        .filter((name) => name.startsWith('lock'))
        .join()
    : '';
}

function settings(more: object = {}): void {
  writeFileSync(config, JSON.stringify({ spool, hostname: 'mail.example', ...more }));
}

beforeEach(() => {
  for (const made of [bin, cache, spool]) rmSync(made, { recursive: true, force: true });
  cpSync(BIN, bin, { recursive: true, filter: (name) => !/\.(?:cache|idle)$/.test(name) });
  mkdirSync(cache);
  mkdirSync(spool);
  settings();
  assert.ok(run().looked);
});

describe('a run like the last one, which found nothing', () => {
  it('ends at once, for a quarter of an hour', () => {
    assert.ok(!run().looked);
    assert.ok(!run({ ahead: 15 * MINUTE }).looked);
    assert.ok(run({ ahead: 17 * MINUTE }).looked);
    assert.ok(!run({ ahead: 18 * MINUTE }).looked);
    // The clock was set back.
    assert.ok(run({ ahead: 5 * MINUTE }).looked);
  });

  it('ends at once where a message came and went meanwhile', () => {
    assert.ok(!run().looked);
    const message = path.join(spool, '7');
    writeFileSync(message, 'x');
    rmSync(message);
    writeFileSync(path.join(spool, 'notes.txt'), 'x');
    assert.ok(!run().looked);
  });

  const changes: { readonly [what: string]: () => void } = {
    'a message has come': () => writeFileSync(path.join(spool, '7'), 'x'),
    'an administrator asks for something': () =>
      writeFileSync(path.join(spool, '.spoolroom/requests/7'), 'x'),
    'the settings have changed': () => settings({ poll: 7 }),
    'the program is another one': () =>
      writeFileSync(path.join(bin, 'spoolroom.cjs'), `${readFileSync(path.join(bin, 'spoolroom.cjs'))}\n`),
    'another directory has its place': () => {
      renameSync(spool, `${spool}.old`);
      cpSync(`${spool}.old`, spool, { recursive: true });
      rmSync(`${spool}.old`, { recursive: true });
    },
    'others may do something else in the spool': () => chmodSync(spool, 0o700),
    'others can write the note': () => chmodSync(path.join(bin, NOTES), 0o666),
    'the note is damaged': () => writeFileSync(path.join(bin, NOTES), '{"'),
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`looks when ${what}`, () => {
      assert.ok(!run().looked);
      change();
      assert.ok(run().looked);
    });
  }

  it('looks when it is called with other words, or another setting in the environment', () => {
    assert.ok(run({ words: ['--poll', '7'] }).looked);
    assert.ok(run({ environment: { SPOOLROOM_POLL: '7' } }).looked);
  });
});

describe('a run leaves no note', () => {
  const twice = (call: Call): void => {
    assert.ok(run(call).looked);
    assert.ok(run(call).looked);
  };

  it('while something has just changed', () => {
    settings({ poll: 8 });
    twice({ ahead: 0 });
  });

  it('where a message waits', () => {
    writeFileSync(path.join(spool, '7'), 'x');
    twice({});
  });

  it('where it has other work', () => {
    settings({ 'metrics-file': path.join(folder, 'metrics') });
    twice({});
  });

  it('where somebody reads its answer', () => twice({ words: ['--json'] }));
});
