/** Commands that messages name can be pasted: they repeat the settings that were given, as a shell reads them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { shellWord } from '../../src/settings/shell-words.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { HEADER, listFor, MAIL, NOW, spoolOf, temporaryDirectory } from '../support/spool.ts';

async function call(words: readonly string[]) {
  const { terminal, printed, errors } = caughtTerminal();
  const exit = await main(words, {}, terminal);
  return { exit, text: [...printed, ...errors].join('\n') };
}

/** The words of the command in a message, as a shell reads them. */
function pasted(text: string): readonly string[] {
  const command = /spoolroom [^`\n]+/.exec(text.slice(text.search(/spoolroom (?!cannot)/)))?.[0] ?? '';
  const [, ...words] = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
  return words;
}

function folderWithBlanks(t: TestContext, files: Readonly<Record<string, string>>): string {
  const spool = path.join(temporaryDirectory(t), "Bob's spool");
  fs.cpSync(spoolOf(t, files), spool, { recursive: true, preserveTimestamps: true });
  return spool;
}

const TRIED = `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${NOW + 600}\nremote|alice@one.example|4|connection refuses connections|\n`;

test('a word is quoted where a shell would read it otherwise', () => {
  for (const word of ['plain', '/a/b-c_d.e', '', "it's", 'a b', '$HOME', '*', 'a;b', '\\', '"'])
    assert.equal(execFileSync('sh', ['-c', `printf %s ${shellWord(word)}`], { encoding: 'utf8' }), word);
});

test('hints of all commands repeat --config, --spool and what else was given', async (t) => {
  const spool = folderWithBlanks(t, { 1: MAIL, 2: TRIED, 3: MAIL, 4: listFor(3, 'bob@one.example') });
  const config = path.join(spool, '.config.json');
  fs.writeFileSync(config, '{"hostname": "citadel.example"}');
  const given = ['--spool', spool, '--config', config, '--charset', 'iso-8859-15'];
  const repeats = ['--spool', spool, '--config', config, '--charset', 'iso-8859-15'];
  assert.equal((await call(['hold', '4', ...given])).exit, 0);
  for (const [words, expected] of [
    [
      ['explain', '4'],
      ['release', '4'],
    ],
    [
      ['explain', '2', '--now', String(NOW)],
      ['replay', '2', '--live'],
    ],
    [['explain', '9'], ['queue']],
    [
      ['retry', '4'],
      ['release', '4'],
    ],
    [
      ['replay', '4'],
      ['release', '4'],
    ],
    [['enqueue', '-bp'], ['queue']],
  ] as const) {
    const { text } = await call([...words, ...given]);
    const command = pasted(text.slice(Math.max(0, text.lastIndexOf(`spoolroom ${expected[0]}`))));
    assert.deepEqual(command.slice(0, expected.length), expected, text);
    const rest = command.slice(expected.length);
    for (const each of repeats)
      assert.ok(rest.includes(each), `${words.join(' ')}: ${each} is missing in ${command.join(' ')}`);
    if (expected[0] === 'queue') assert.equal((await call(command)).exit, 0, command.join(' '));
  }
});

test('a hint takes a transcript as it was, repeats relays and no password, and not what is only of this call', async (t) => {
  const spool = folderWithBlanks(t, { 1: MAIL, 2: TRIED });
  const transcripts = path.join(spool, '.spoolroom/transcripts');
  fs.mkdirSync(transcripts, { recursive: true });
  const fixture = new URL('../../fixtures/transcripts/silent.jsonl', import.meta.url);
  const text = fs
    .readFileSync(fixture, 'utf8')
    .replace(/"msgid":\d+/, '"msgid":1')
    .replace(/"submitted":\d+/, `"submitted":${NOW}`);
  fs.writeFileSync(path.join(transcripts, `2-${NOW}-1.jsonl`), text);
  const explained = await call(['explain', '2', '--spool', spool, '--now', String(NOW + 60), '--json']);
  const [dialogue = ''] = (JSON.parse(explained.text).sentences as readonly string[]).filter((each) =>
    each.includes('replay'),
  );
  const command = pasted(dialogue);
  assert.ok(!command.includes('--now') && !command.includes('--json'), command.join(' '));
  assert.match((await call(command)).text, /^Transcript /);

  const live = await call([
    ...['replay', command[1] ?? '', '--live', '--smarthost', 'user:geheim@relay.example'],
    ...['--destinations', 'to=a.example relays=user:geheim@relay.example'],
    ...['--destinations', 'host=relay.example credentials=user:geheim'],
  ]);
  assert.deepEqual(pasted(live.text).slice(0, 5), [
    'replay',
    String(JSON.parse(text.split('\n')[0] ?? '').control),
    '--live',
    '--spool',
    spool,
  ]);
  assert.match(live.text, /--smarthost '\*\*\*@relay\.example'/);
  assert.match(live.text, /--destinations 'to=a\.example relays=\*\*\*@relay\.example'/);
  assert.match(live.text, /--destinations 'host=relay\.example credentials=\*\*\*'/);
  assert.ok(!live.text.includes('geheim'));
});
