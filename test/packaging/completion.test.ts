/** Completion, as the shells themselves read it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/packaging/completion.ts';
import { completedCommands, sharedOptions } from '../../src/packaging/completion-model.ts';
import { SETTINGS } from '../../src/settings/table.ts';
import { needs } from '../support/programs.ts';
import { temporaryDirectory } from '../support/spool.ts';

const MODEL = completedCommands(COMMANDS);

function saved(t: TestContext, name: string, text: string): string {
  const file = path.join(temporaryDirectory(t), name);
  writeFileSync(file, text);
  return file;
}

const CASES: readonly (readonly [words: readonly string[], completed: readonly string[]])[] = [
  [['re'], ['release', 'remove', 'replay', 'retry']],
  [['run', '--fo'], ['--force']],
  [['queue', '--su'], ['--summary']],
  [
    ['run', '--dialect', ''],
    ['2012', '2017'],
  ],
  [['explain', '--cha'], ['--charset']],
  [['replay', '/etc/pass'], ['/etc/passwd']],
  [['run', '--config', '/etc/pass'], ['/etc/passwd']],
  [['run', '--smarthost', '/etc/pass'], []],
  [['--json', 'hist'], ['history']],
];

test('an option has one kind of value in all commands', () => {
  const kinds = new Map<string, string>();
  for (const [{ name, value }] of sharedOptions(MODEL)) {
    // A command's own option of that name is a switch.
    if (name in SETTINGS && value === 'none') continue;
    const kind = JSON.stringify(value);
    assert.equal(kinds.get(name) ?? kind, kind, name);
    kinds.set(name, kind);
  }
});

test('bash', needs('bash'), (t) => {
  const file = saved(t, 'completion.bash', bashCompletion(MODEL));
  const script = `source ${file}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spoolroom; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const completed = (words: readonly string[]): readonly string[] =>
    execFileSync('bash', ['-c', script, 'bash', 'spoolroom', ...words], { encoding: 'utf8' })
      .split('\n')
      .filter((word) => word !== '' && word !== '/etc/passwd-')
      .sort();
  for (const [words, expected] of CASES) assert.deepEqual(completed(words), expected, words.join(' '));
  assert.deepEqual(completed(['run', '--dialect', '=', '201']), ['2012', '2017']);
  for (const { name, options } of MODEL)
    assert.deepEqual(completed([name, '--']), options.map((option) => `--${option.name}`).sort());
});

test('fish', needs('fish'), (t) => {
  const file = saved(t, 'completion.fish', fishCompletion(MODEL));
  const home = temporaryDirectory(t);
  const completed = (words: readonly string[]): readonly string[] =>
    execFileSync(
      'fish',
      ['--no-config', '-c', `source ${file}; complete -C 'spoolroom ${words.join(' ')}'`],
      {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: home },
      },
    )
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '')
      .filter((word) => word !== '' && word !== '/etc/passwd-')
      .sort();
  for (const [words, expected] of CASES) assert.deepEqual(completed(words), expected, words.join(' '));
});

test('zsh', needs('zsh'), (t) => {
  const text = zshCompletion(MODEL);
  execFileSync('zsh', ['-n', saved(t, '_spoolroom', text)]);
  for (const { name, options } of MODEL) {
    const [, section = ''] = text.split(`\n  ${name})\n`);
    for (const option of options) assert.ok(section.includes(`--${option.name}`), `${name} --${option.name}`);
  }
});
