/** The manual pages name all commands, options, settings and exit codes, and are what man(1) accepts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { EXIT } from '../../src/cli/shell/exit.ts';
import { PROJECT } from '../../src/packaging/debian/build.ts';
import { exitCodes } from '../../src/packaging/debian/files.ts';
import { commandPage, sendmailPage, settingsPage } from '../../src/packaging/man.ts';
import { DESTINATION_VALUES } from '../../src/settings/destinations.ts';
import { SETTING_NAMES } from '../../src/settings/read.ts';
import { needs } from '../support/programs.ts';
import { temporaryDirectory } from '../support/spool.ts';

const read = (name: string): string => readFileSync(path.join(PROJECT, name), 'utf8');
const FACTS = {
  version: '1.2.3',
  date: '2026-11-28',
  commands: COMMANDS,
  exitCodes: exitCodes(read('README.md')),
  example: read('techdoc/examples/spoolroom.json'),
};
const PAGES = {
  'spoolroom.1': commandPage(FACTS),
  'spoolroom.json.5': settingsPage(FACTS),
  'spoolroom-sendmail.8': sendmailPage(FACTS),
};

/** As a terminal shows it. */
function shown(page: string): string {
  return page
    .replace(/\\f[BIR]/g, '')
    .replaceAll('\\-', '-')
    .replaceAll('\\&', '')
    .replaceAll('\\e', '\\');
}

test('spoolroom(1) names each command with its own options, and each exit code', () => {
  const sections = shown(PAGES['spoolroom.1']).split(/^\.S[SH] /m);
  for (const { usage, options = {}, sendmail } of COMMANDS) {
    const section = sections.find((each) => each.startsWith(`"spoolroom ${usage}"\n`)) ?? '';
    for (const [name, { describe }] of Object.entries(options)) {
      if (sendmail === true && name.length === 1) continue;
      assert.match(section, new RegExp(`^--${name}( VALUE)?$`, 'm'), usage);
      assert.ok(section.includes(describe.replaceAll('`', '')), `${usage} --${name}`);
    }
  }
  const status = sections.find((each) => each.startsWith('EXIT STATUS')) ?? '';
  for (const code of Object.values(EXIT)) assert.match(status, new RegExp(`^${code}$`, 'm'));
});

test('spoolroom.json(5) names each setting, and what an entry of destinations holds', () => {
  const page = shown(PAGES['spoolroom.json.5']);
  for (const name of [...SETTING_NAMES, ...DESTINATION_VALUES])
    assert.ok(page.includes(`\n.TP\n${name} `), name);
});

test('spoolroom-sendmail(8) names each option of sendmail', () => {
  const letters = Object.keys(COMMANDS.find(({ sendmail }) => sendmail)?.options ?? {});
  const page = shown(PAGES['spoolroom-sendmail.8']);
  for (const letter of letters.filter((name) => name.length === 1))
    assert.match(page, new RegExp(`^-${letter}( VALUE)?$`, 'm'));
});

for (const [name, text] of Object.entries(PAGES)) {
  test(`${name} has no warnings of man`, needs('man', 'groff'), (t) => {
    const file = path.join(temporaryDirectory(t), name);
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', file], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANWIDTH: '80', MANPAGER: 'cat' },
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.ok(stdout.length > 1000);
  });

  test(`${name} has no warnings of mandoc`, needs('mandoc'), (t) => {
    const file = path.join(temporaryDirectory(t), name);
    writeFileSync(file, text);
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', file], { encoding: 'utf8' });
    assert.equal(stdout, '');
  });
}
