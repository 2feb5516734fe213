/** Something else in the place of each file and folder of ours: a sentence at worst, never a bug, and nothing is led elsewhere. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EXIT } from '../../src/cli/shell/exit.ts';
import { main } from '../../src/cli/shell/main.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { listFor, MAIL, spoolOf, temporaryDirectory } from '../support/spool.ts';
import { size } from '../support/thorough.ts';

/** Every path of the layout, and what is in the folders. */
const NAMES = [
  ...Object.values(layoutOf('')).flatMap((path) =>
    typeof path === 'string' && path.startsWith('/.spoolroom') ? [path.slice(1)] : [],
  ),
  ...['lock.1', 'active', 'history', 'transcripts', 'reported', 'requests/2', 'bad/2', 'bad/2.reason'].map(
    (name) => `.spoolroom/${name}`,
  ),
  ...['suppressed/b@example.com.1', 'mta-sts/example.com', 'alerts~', 'dsn/1', 'reported/2'].map(
    (name) => `.spoolroom/${name}`,
  ),
];

const KINDS: { readonly [kind: string]: (at: string, elsewhere: string) => void } = {
  'a link to a file': (at, elsewhere) => fs.symlinkSync(`${elsewhere}/file`, at),
  'a link to a folder': (at, elsewhere) => fs.symlinkSync(`${elsewhere}/folder`, at),
  'a link to nothing': (at, elsewhere) => fs.symlinkSync(`${elsewhere}/nothing`, at),
  'a second name': (at, elsewhere) => fs.linkSync(`${elsewhere}/file`, at),
  'a named pipe': (at) => execFileSync('mkfifo', [at]),
  'a folder': (at) => fs.mkdirSync(`${at}/x`, { recursive: true }),
  'deep JSON': (at) => fs.writeFileSync(at, '['.repeat(100_000)),
  'wrong JSON': (at) => fs.writeFileSync(at, '{"x":[null,{"until":"x"}],"__proto__":7}'),
};

const RUN = 'run --hostname h.example --smarthost 127.0.0.1:1 --return room --log.level error';
const COMMANDS = [
  ...[RUN, 'queue', 'explain 2', 'history', 'tls-report', 'suppress', 'hold 2', 'release 2'],
  ...['check --dns 127.0.0.1:1 --hostname h.example --smarthost 127.0.0.1:1', RUN],
];

function contents(folder: string): unknown {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const status = fs.lstatSync(`${folder}/${name}`);
      return [name, status.mode, status.isFile() ? fs.readFileSync(`${folder}/${name}`, 'utf8') : ''];
    });
}

async function attack(t: TestContext, name: string, put: (at: string, elsewhere: string) => void) {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
  const elsewhere = temporaryDirectory(t);
  fs.mkdirSync(`${elsewhere}/folder`);
  fs.writeFileSync(`${elsewhere}/folder/2`, 'untouched');
  fs.writeFileSync(`${elsewhere}/file`, 'untouched');
  fs.mkdirSync(dirname(`${spool}/${name}`), { recursive: true });
  put(`${spool}/${name}`, elsewhere);
  const before = contents(elsewhere);
  for (const words of COMMANDS) {
    const caught = caughtTerminal();
    const exit = await main([...words.split(' '), '--spool', spool], {}, caught.terminal);
    const said = [...caught.errors, ...caught.printed].join('\n');
    assert.notEqual(exit, EXIT.software, `${words}: ${said}`);
    assert.ok(!said.includes('untouched'), `${words}: ${said}`);
    assert.deepEqual(contents(elsewhere), before, words);
    assert.ok(fs.existsSync(`${spool}/1`) && fs.existsSync(`${spool}/2`), words);
  }
}

/** Every kind of thing in every third place, and every place with some of them. */
const EVERY = size(3, 1);

for (const [number, [kind, put]] of Object.entries(KINDS).entries())
  test(`${kind} in the place of anything of ours is no bug, and nothing is led elsewhere (R254)`, async (t) => {
    for (const name of NAMES.filter((_, at) => (at + number) % EVERY === 0))
      await attack(t, name, put).catch((error) => {
        throw new Error(`${name}: ${error.message}`);
      });
  });
