/** The packed form: one tarball that installs without network and without install scripts, and works from a copied folder. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { messagesIn, spoolOf, temporaryDirectory } from '../support/spool.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

test('npm pack gives one tarball that installs offline', (t) => {
  const folder = temporaryDirectory(t);
  const npm = (...words: readonly string[]): string =>
    execFileSync('npm', [...words], { cwd: PROJECT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [packed] = JSON.parse(npm('pack', '--ignore-scripts', '--json', '--pack-destination', folder));
  const tarball = path.join(folder, packed.filename);
  const prefix = path.join(folder, 'installed');
  npm('install', '--global', '--offline', '--ignore-scripts', '--prefix', prefix, tarball);
  const command = path.join(prefix, 'bin/spoolroom');
  const output = execFileSync(command, ['run', '--json', '--spool', spoolOf(t, {})], { encoding: 'utf8' });
  assert.equal(JSON.parse(output).jobs, 0);
  assert.deepEqual(
    fs.readdirSync(path.join(prefix, 'lib/node_modules')),
    ['spoolroom'],
    'it needs no other package',
  );
  const demo = JSON.parse(execFileSync(command, ['demo', '--json'], { encoding: 'utf8' }));
  assert.equal(demo.runs[0].summary.delivered, 2, 'the demo has its fixtures');
});

test('the command works from a copied folder', (t) => {
  const copy = path.join(temporaryDirectory(t), 'copy');
  fs.cpSync(path.join(PROJECT, 'bin'), copy, { recursive: true });
  const output = execFileSync(path.join(copy, 'spoolroom'), ['queue', '--spool', spoolOf(t, {})], {
    encoding: 'utf8',
  });
  assert.equal(output, 'The spool is empty.\n');
});

test('bin/sendmail takes a message as sendmail does, through a link, and speaks SMTP', (t) => {
  const folder = temporaryDirectory(t);
  const link = path.join(folder, 'sendmail');
  fs.symlinkSync(path.join(PROJECT, 'bin/sendmail'), link);
  const spool = spoolOf(t, {});
  const environment = { ...process.env, SPOOLROOM_SPOOL: spool, SPOOLROOM_HOSTNAME: 'mail.example.org' };
  const output = execFileSync(link, ['-i', '-FCronDaemon', '-oem', 'root'], {
    input: 'Subject: x\n\nhello\n',
    env: environment,
    encoding: 'utf8',
  });
  assert.equal(output, '');
  assert.match(messagesIn(spool)['2'] ?? '', /\nremote\|root@mail\.example\.org\|0\|/);
  const dialogue = [
    'EHLO x',
    'MAIL FROM:<a@x.example>',
    'RCPT TO:<b@y.example>',
    'DATA',
    'Subject: x\r\n\r\nhi\r\n.',
  ];
  const said = execFileSync(link, ['-bs'], {
    input: `${dialogue.join('\r\n')}\r\nQUIT\r\n`,
    env: environment,
    encoding: 'utf8',
  });
  assert.match(said, /^220 mail\.example\.org [\s\S]*\r\n250 2\.6\.0 queued as job 4, message 3\r\n221 /);
  assert.match(messagesIn(spool)['4'] ?? '', /\nremote\|b@y\.example\|0\|/);
  assert.throws(
    () => execFileSync(link, ['-bp'], { input: '', env: environment, stdio: 'pipe' }),
    (error: { status?: number }) => error.status === 64,
  );
});
