/** Root in a spool of another user: what becomes of links that the user put there, who the program is then, and the refusal. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { transcriptFolder, transcriptStore } from '../../src/replay/transcript/transcript-files.ts';
import { PROGRAM } from '../support/program.ts';
import { bench, listFor, MAIL, openQueue, spoolOf, temporaryDirectory } from '../support/spool.ts';

const NOBODY = 65_534;
const AS_ROOT = { skip: process.geteuid?.() === 0 ? false : 'only root can become another user' };

function spoolroom(words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...PROGRAM, ...words], {
    input: MAIL,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, said: `${stdout}${stderr}` };
}

const RUN = ['run', '--hostname', 'h.example', '--smarthost', '127.0.0.1:1', '--return', 'room'];

/** A spool of nobody, and a directory of root with what a link could be aimed at. */
function scene(t: TestContext) {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const victim = temporaryDirectory(t);
  fs.mkdirSync(`${victim}/tmp`);
  fs.writeFileSync(`${victim}/tmp/99999999.1.abc`, 'x');
  fs.writeFileSync(`${victim}/lock.5`, 'free\n');
  fs.writeFileSync(`${victim}/file`, 'untouched', { mode: 0o600 });
  execFileSync('chown', ['-R', String(NOBODY), spool]);
  return { spool, victim };
}

function link(target: string, at: string): void {
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.symlinkSync(target, at);
  execFileSync('chown', ['-hR', String(NOBODY), path.dirname(at)]);
}

const tree = (folder: string): string =>
  execFileSync('find', [folder, '-printf', '%M %u %P %s\n']).toString();

const LINKS = ['', 'tmp', 'requests', 'bad', 'removed', 'reported', 'transcripts', 'reports'];
const COMMANDS = [
  RUN,
  ['hold', '2'],
  ['enqueue', 'c@example.com'],
  ['queue'],
  ['check', '--dns', '127.0.0.1:1'],
];

for (const name of LINKS) {
  test(
    `root changes nothing through a link of the spool's owner in the place of .spoolroom/${name} (R179)`,
    AS_ROOT,
    (t) => {
      const { spool, victim } = scene(t);
      link(victim, path.join(spool, '.spoolroom', name));
      const before = tree(victim);
      for (const words of name === '' || name === 'tmp' ? COMMANDS : COMMANDS.slice(0, 2)) {
        const { said } = spoolroom([...words, '--spool', spool]);
        assert.equal(tree(victim), before, `${words[0]}: ${said}`);
      }
    },
  );
}

test('in a spool of another user root is that user (R179)', AS_ROOT, (t) => {
  const { spool } = scene(t);
  for (const words of COMMANDS) spoolroom([...words, '--spool', spool]);
  const others = execFileSync('find', [spool, '!', '-user', String(NOBODY), '-o', '-group', 'root'], {
    encoding: 'utf8',
  });
  const made = others
    .split('\n')
    .filter((file) => file !== '' && ![spool, `${spool}/1`, `${spool}/2`].includes(file));
  assert.deepEqual(made, []);
  assert.ok(fs.existsSync(`${spool}/.spoolroom/id`));
});

test('or root refuses, where the settings say so (R179)', AS_ROOT, (t) => {
  const { spool } = scene(t);
  for (const words of COMMANDS.slice(0, 4)) {
    const { status, said } = spoolroom([...words, '--spool', spool, '--as-root', 'refuse']);
    assert.equal(status, 77, said);
    assert.match(said, /belongs to user 65534, and this is root\. Nothing was done/);
  }
  assert.ok(!fs.existsSync(`${spool}/.spoolroom`));
});

for (const name of ['', 'tmp', 'requests', 'bad']) {
  test(`a link in the place of .spoolroom/${name} is refused for every user (R179)`, async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
    const victim = temporaryDirectory(t);
    fs.mkdirSync(path.dirname(path.join(spool, '.spoolroom', name)), { recursive: true });
    fs.symlinkSync(victim, path.join(spool, '.spoolroom', name));
    await assert.rejects(openQueue(spool, bench()), /is not a folder but a symbolic link .*nothing was sent/);
    assert.deepEqual(fs.readdirSync(victim), []);
  });
}

test('a transcript is never appended to a file that was there before, nor through a link (R179)', (t) => {
  const spool = temporaryDirectory(t);
  const folder = transcriptFolder(spool);
  fs.mkdirSync(folder, { recursive: true });
  const mine = path.join(temporaryDirectory(t, os.tmpdir()), 'profile');
  fs.writeFileSync(mine, 'mine');
  fs.symlinkSync(mine, `${folder}/2-5-1.jsonl`);
  fs.linkSync(mine, `${folder}/2-5-2.jsonl`);
  const warnings: string[] = [];
  const bounds = { size: 1_000_000, age: 1_000_000 };
  const store = transcriptStore(folder, bounds, (text) => warnings.push(text));
  const transcript = store.open(2, 5000);
  transcript.append('one\n');
  const file = `${folder}/2-5-3.jsonl`;
  assert.equal(fs.readFileSync(file, 'utf8'), 'one\n');
  fs.rmSync(file);
  fs.symlinkSync(mine, file);
  transcript.append('two\n');
  assert.equal(fs.readFileSync(mine, 'utf8'), 'mine');
  assert.equal(warnings.length, 1);
});
