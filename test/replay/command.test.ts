/** The commands `replay` and `explain`, on a copy of a spool and without a network. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/cli/shell/main.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { AS_NOBODY, asNobody, closeTo } from '../support/permission.ts';
import { PROGRAM } from '../support/program.ts';
import { startRawServer } from '../support/raw-server.ts';
import { HEADER, listFor, MAIL, messagesIn, NOW, spoolOf, temporaryDirectory } from '../support/spool.ts';
import { queuedFor, record, worldFile } from './recording.ts';

const WORLD = fileURLToPath(new URL('../../fixtures/worlds/two-hosts.json', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const AT = ['--now', String(NOW + 600)];

async function call(...words: readonly string[]) {
  const { terminal, printed, errors } = caughtTerminal();
  const exit = await main(words, {}, terminal);
  return { exit, out: printed.join('\n'), errors: errors.join('\n') };
}

function spool(t: TestContext): string {
  const list = `${listFor(1, 'alice@one.example', 'gone@one.example')}odd line\n`;
  return spoolOf(t, { 1: MAIL, 2: list });
}

async function transcript(t: TestContext): Promise<string> {
  const { transcripts } = await record(queuedFor('alice@one.example'), worldFile('two-hosts'));
  const file = path.join(temporaryDirectory(t), 'failed.jsonl');
  fs.writeFileSync(file, transcripts[0] ?? '');
  return file;
}

test('a control message in a world: read, due, hosts, dialogue, outcomes, list before and after', async (t) => {
  const directory = spool(t);
  const before = messagesIn(directory);
  const { exit, out } = await call('replay', '2', '--spool', directory, '--world', WORLD, ...AT);
  assert.equal(exit, 0);
  for (const part of [
    /msgid +1 +number of the message/,
    /line 8: not an instruction, ignored: "odd line"/,
    /Schedule\n +It has not been tried yet\./,
    /1\. mx1\.one\.example \(MX, preference 10\)\n +2\. mx2\.one\.example \(MX, preference 20\)/,
    /43\.\d{3} s +S: +220 mx2 ESMTP/,
    /alice@one\.example: 4 deferred: 4\.7\.1 Greylisted .* \[row rcpt-refused\]/,
    /- remote\|alice@one\.example\|0\|\|\n +\+ remote\|alice@one\.example\|4\|4\.7\.1 Greylisted/,
  ]) {
    assert.match(out, part);
  }
  assert.deepEqual(messagesIn(directory), before);
  assert.ok(!fs.existsSync(path.join(directory, '.spoolroom')), 'not even a folder was made');
});

test('every built-in world leads to the outcome in its name', async (t) => {
  const directory = spool(t);
  for (const [world, status, words] of [
    ['accept', 2, /queued/],
    ['greylist', 4, /Greylisted/],
    ['refuse-rcpt', 5, /no such user/],
    ['refuse-all', 4, /no mail from your address/],
    ['drop-after-data', 4, /may have arrived/],
    ['silent', 4, /said nothing for 300 seconds/],
    ['tls-broken', 2, /queued/],
  ] as const) {
    const { out } = await call('replay', '2', '--spool', directory, '--world', world, '--json', ...AT);
    const { outcomes } = JSON.parse(out);
    assert.equal(outcomes.length, 2, world);
    for (const outcome of outcomes) {
      assert.equal(outcome.status, status, `${world}: ${outcome.text}`);
      assert.match(outcome.text, words);
    }
  }
});

test('a missing message is reported in a spool, and replaced by a placeholder for a single file', async (t) => {
  const directory = spoolOf(t, { 2: listFor(1, 'alice@one.example') });
  const inSpool = await call('replay', '2', '--spool', directory, ...AT);
  assert.match(inSpool.out, /4 deferred: the message 1 is not in the spool/);
  const alone = await call('replay', path.join(directory, '2'), ...AT);
  assert.match(alone.out, /a placeholder is used instead/);
  assert.match(alone.out, /2 delivered: 2\.0\.0 queued/);
});

test('a transcript is shown as it was, checked, and replayed with other settings', async (t) => {
  const file = await transcript(t);
  const shown = await call('replay', file);
  assert.equal(shown.exit, 0);
  assert.match(shown.out, /Transcript .*failed\.jsonl of job 8, recorded 2014-05-13T16:53:20Z/);
  assert.match(shown.out, /S: +421 4\.3\.2 too busy/);
  const checked = await call('replay', file, '--check');
  assert.deepEqual([checked.exit, /^No difference/.test(checked.out)], [0, true]);
  const otherwise = await call('replay', file, '--set', 'timeout.greeting=30s');
  assert.match(otherwise.out, /what would have happened/);
  assert.match(otherwise.out, /The recording does not say what happens when 2001:db8::2 is contacted/);
});

test('--check exits 1 at the first difference and shows it', async (t) => {
  const file = await transcript(t);
  const text = fs.readFileSync(file, 'utf8').replace('"rows":["greeting-ok"]', '"rows":["welcomed"]');
  fs.writeFileSync(file, text);
  const { exit, out } = await call('replay', file, '--check');
  assert.equal(exit, 1);
  assert.match(out, /Difference at line \d+:\n.*\n- recorded .*welcomed.*\n\+ now .*greeting-ok/);
});

test('a fixture with aliases leads to the same outcome and names nobody', async (t) => {
  const file = await transcript(t);
  const fixture = `${file}.fixture.jsonl`;
  assert.equal((await call('replay', file, '--save-fixture', fixture)).exit, 0);
  assert.equal((await call('replay', fixture, '--check')).exit, 0);
  const text = fs.readFileSync(fixture, 'utf8');
  for (const name of ['alice', 'one.example', 'me.example', '2001:db8::2"']) {
    assert.ok(!text.replaceAll('2001:db8::1', '').includes(name), name);
  }
  assert.ok(text.length < fs.readFileSync(file, 'utf8').length, 'it is trimmed');
});

test('--live contacts nobody without consent', async (t) => {
  const { exit, errors } = await call('replay', '2', '--spool', spool(t), '--live', ...AT);
  assert.equal(exit, 64);
  assert.match(errors, /contacts the mail servers of one\.example\. Use --yes/);
});

test('--live names the relays where mail goes to relays', async (t) => {
  const words = [
    'replay',
    '2',
    '--spool',
    spool(t),
    '--live',
    '--smarthost',
    'user:geheim@relay.example:587',
  ];
  const { errors } = await call(...words, ...AT);
  assert.match(errors, /--live contacts \S*relay\.example:587\. Use --yes/);
  assert.ok(!errors.includes('geheim'));
});

test('--live goes to a real server, and what it takes is no failure', async (t) => {
  const server = await startRawServer(async (peer) => {
    await peer.say('220 relay\r\n');
    await peer.expect(/^EHLO/);
    await peer.say('250 relay\r\n');
    await peer.expect(/^MAIL/);
    await peer.say('250 ok\r\n');
    await peer.expect(/^RCPT TO:<alice/);
    await peer.say('250 ok\r\n');
    await peer.expect(/^RCPT TO:<gone/);
    await peer.say('550 5.1.1 nobody\r\n');
    for (let line = await peer.line(); line !== 'QUIT'; line = await peer.line()) {
      assert.equal(line, 'RSET');
      await peer.say('250 ok\r\n');
    }
    peer.end();
  });
  const relay = ['--smarthost', `${server.host}:${server.port}`, '--yes'];
  const { exit, out } = await call('replay', '2', '--spool', spool(t), '--live', ...relay, ...AT);
  await server.close();
  assert.equal(exit, 0);
  assert.match(out, /^Outcome \(with the real servers, before DATA\)$/m);
  assert.match(out, /alice@one\.example: would be accepted; stopped before DATA, no message was sent$/m);
  assert.match(out, /gone@one\.example: 5 refused: 5\.1\.1 nobody/);
  assert.match(out, /\+ remote\|alice@one\.example\|0\|$/m, 'its line stays as it is');
  assert.match(out, / s {2}= {3}alice@one\.example: would be accepted;/);
});

test('a simulated final outcome is not a real one', async (t) => {
  const directory = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@one.example') });
  const { out } = await call('replay', '2', '--spool', directory, ...AT);
  assert.match(out, /^Outcome \(in the simulated world accept\)$/m);
  assert.match(out, /the job would end, control message and message would be removed/);
});

test('with several destinations each line of the dialogue names its own', async (t) => {
  const directory = spoolOf(t, { 1: MAIL, 2: listFor(1, 'a@one.example', 'b@twelve.example') });
  const { out } = await call('replay', '2', '--spool', directory, ...AT);
  assert.match(out, /^ +\d\.\d{3} s {2}one\.example {5}C: {2}EHLO/m);
  assert.match(out, /^ +\d\.\d{3} s {2}twelve\.example {2}C: {2}EHLO/m);
});

test('a transcript that ends before its outcome says so, and shows no list that was never written', async (t) => {
  const file = await transcript(t);
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const before = lines.findIndex(
    (line) => line.includes('"what":"outcome"') || line.includes('"type":"outcome"'),
  );
  fs.writeFileSync(file, `${lines.slice(0, before).join('\n')}\n`);
  const { out: printed } = await call('replay', file);
  assert.match(
    printed,
    /Not all recipients have an outcome here: the run was stopped or killed, or is still at work/,
  );
  assert.doesNotMatch(printed, /^ {2}[+-] /m);
});

test('what is not possible with a transcript is refused', async (t) => {
  const file = await transcript(t);
  for (const [words, says] of [
    [['--live'], /no server was contacted\. To try the servers now: spoolroom replay 8 --live --spool DIR/],
    [['--check', '--set', 'tls=none'], /--check needs the transcript as it was recorded/],
    [['--save-fixture', 'x', '--world', 'accept'], /--save-fixture needs the transcript as it was recorded/],
  ] as const) {
    const done = await call('replay', file, ...words);
    assert.deepEqual([done.exit, done.out], [64, '']);
    assert.match(done.errors, says);
  }
});

test('a payload that may not be read is not called missing', AS_NOBODY, async (t) => {
  const directory = spool(t);
  fs.chmodSync(directory, 0o755);
  closeTo(path.join(directory, '1'));
  const { out } = await asNobody(() => call('replay', '2', '--spool', directory, ...AT));
  assert.match(
    out,
    /alice@one\.example: 4 deferred: the message 1 in the spool cannot be read: permission denied/,
  );
});

test('- is standard input', () => {
  const words = [...PROGRAM, 'replay', '-', ...AT];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    input: listFor(1, 'alice@one.example'),
    encoding: 'utf8',
    cwd: ROOT,
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^Control message \/dev\/stdin: /);
});

test('input that cannot be replayed is refused with a reason and an exit code', async (t) => {
  const directory = spoolOf(t, { 1: MAIL, 2: `${HEADER}nonsense\n`, 3: '{"transcript":1\n' });
  const world = path.join(directory, 'world');
  fs.writeFileSync(world, '{"names":{},"servers":{"192.0.2.1":{"greting":"220 hi"}}}');
  for (const [words, exit, says] of [
    [['9'], 66, /cannot be read: it does not exist/],
    [['1'], 65, /neither a control message/],
    [['2'], 65, /no delivery-list instruction/],
    [['3'], 65, /begins like a transcript, but line 1 is not JSON/],
    [['2', '--check'], 65, /no delivery-list instruction/],
  ] as const) {
    const done = await call('replay', '--spool', directory, ...words);
    assert.equal(done.exit, exit, words.join(' '));
    assert.match(done.errors, says);
  }
  const good = spool(t);
  for (const [words, exit, says] of [
    [['--world', 'nowhere'], 66, /Unknown world "nowhere": not one of accept,/],
    [['--world', world], 65, /servers\.192\.0\.2\.1\.greting is not a known key; known keys: greeting/],
    [
      ['--set', 'timeout.gretting=1s'],
      64,
      /unknown setting "timeout\.gretting" \(did you mean timeout\.greeting\?\)/,
    ],
    [['--set', 'tls=maybe'], 64, /--set tls: the value/],
    [['--set', 'smarthost=user@host'], 64, /setting smarthost: .* without a password/],
    [['--check'], 64, /need a transcript/],
    [['--live', '--world', 'accept'], 64, /leave one out/],
  ] as const) {
    const done = await call('replay', '2', '--spool', good, ...words, ...AT);
    assert.equal(done.exit, exit, words.join(' '));
    assert.match(done.errors, says);
  }
});

test('no text of a list controls the terminal', async (t) => {
  const directory = spoolOf(t, { 1: MAIL, 2: listFor(1, '\x1b[31mred\x1b[0m@one.example') });
  const { out } = await call('replay', '2', '--spool', directory, ...AT);
  assert.ok(!out.includes('\x1b'));
});

test('explain says why a job is still here, what happened, and what would change it', async (t) => {
  const list =
    `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${NOW + 600}\n` +
    'remote|alice@one.example|4|4.7.1 Greylisted|\nremote|bob@one.example|2|250 ok|\n';
  const directory = spoolOf(t, { 1: MAIL, 2: list });
  const { exit, out } = await call('explain', '2', '--spool', directory, '--now', String(NOW + 60));
  assert.equal(exit, 0);
  assert.match(out, /Job 2 carries message 1, .* 2 recipients: 1 delivered, 0 refused, 1 pending\./);
  assert.match(out, /Not yet delivered to alice@one\.example: 4\.7\.1 Greylisted/);
  assert.match(out, /The next attempt is at 2012-07-14T00:10:00Z\./);
  assert.match(out, /This is greylisting/);
  const gone = await call('explain', '7', '--spool', directory);
  assert.deepEqual([gone.exit, /There is no job 7/.test(gone.errors)], [66, true]);
});

test('the transcripts among the fixtures lead to the same outcome', async () => {
  const folder = fileURLToPath(new URL('../../fixtures/transcripts/', import.meta.url));
  const files = fs
    .readdirSync(folder, { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.jsonl'));
  assert.ok(files.length > 6);
  for (const file of files) {
    const { exit, out } = await call('replay', path.join(folder, file), '--check');
    assert.equal(exit, 0, `${file}: ${out}`);
    assert.equal(/older version/.test(out), path.dirname(file) === 'version-1', out);
  }
});
