/** The Debian package, as far as it can be checked without installing it; `npm run test:deb` installs it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { buildDebianPackage, PROJECT } from '../../src/packaging/debian/build.ts';
import { debianPackage } from '../../src/packaging/debian/files.ts';
import { PLACES, USER } from '../../src/packaging/places.ts';
import { needs } from '../support/programs.ts';
import { temporaryDirectory } from '../support/spool.ts';

const TIME = 1_795_000_000;
const made = debianPackage(PROJECT, TIME);
const installed = [...made.files.map(({ path }) => path), ...Object.keys(made.links)];
const control = (name: string): string =>
  made.control.find((each) => each.path === name)?.content.toString('utf8') ?? '';
const read = (name: string): string => readFileSync(path.join(PROJECT, name), 'utf8');
const UNITS = [
  'spoolroom.service',
  'spoolroom-intake.service',
  'spoolroom-web.service',
  'spoolroom-run.service',
];

test('two builds give the same bytes, which belong to root', needs('dpkg-deb'), (t) => {
  const [one = '', other = ''] = [temporaryDirectory(t), temporaryDirectory(t)].map((folder) =>
    buildDebianPackage(folder, TIME),
  );
  assert.ok(readFileSync(one).equals(readFileSync(other)));
  const lines = execFileSync('dpkg-deb', ['--contents', one], { encoding: 'utf8' }).trim().split('\n');
  for (const line of lines) {
    assert.match(line, /^\S+ root\/root /, line);
    if (!line.startsWith('l')) assert.doesNotMatch(line, /^.....w|^........w/, line);
  }
  const field = (name: string): string =>
    execFileSync('dpkg-deb', ['--field', one, name], { encoding: 'utf8' }).trim();
  assert.match(field('Depends'), /^nodejs \(>= 20\)/);
  assert.equal(field('Version'), JSON.parse(read('package.json')).version);
});

test('it holds what a system expects, each where it looks for it', () => {
  for (const file of [
    ...Object.values(PLACES).filter((place) => place.includes('/bin/') || place.endsWith('.json')),
    ...[...UNITS, 'spoolroom-run.timer'].map((unit) => `/usr/lib/systemd/system/${unit}`),
    '/usr/lib/sysusers.d/spoolroom.conf',
    '/usr/lib/tmpfiles.d/spoolroom.conf',
    '/etc/logrotate.d/spoolroom',
    '/usr/share/man/man1/spoolroom.1.gz',
    '/usr/share/man/man5/spoolroom.json.5.gz',
    '/usr/share/man/man8/spoolroom-sendmail.8.gz',
    '/usr/share/bash-completion/completions/spoolroom',
    '/usr/share/zsh/vendor-completions/_spoolroom',
    '/usr/share/fish/vendor_completions.d/spoolroom.fish',
    '/usr/share/doc/spoolroom/copyright',
    '/usr/share/doc/spoolroom/install.md',
  ])
    assert.ok(installed.includes(file), file);
  assert.equal(control('conffiles'), '/etc/logrotate.d/spoolroom\n/etc/spoolroom/spoolroom.json\n');
  const left = installed.filter((file) => /\.(?:cache|meta\.json|cdx\.json|ts)$/.test(file));
  assert.deepEqual(left, []);
});

for (const script of ['postinst', 'prerm', 'postrm'])
  test(`${script} is a shell script that asks the network for nothing`, () => {
    const { status, stderr } = spawnSync('sh', ['-n'], { input: control(script), encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
    assert.doesNotMatch(control(script), /\b(?:curl|wget|npm|npx|apt|apt-get|git)\b/);
  });

/** Pages, units, examples and the scripts of the package. */
const TEXTS = [
  'README.md',
  ...['techdoc', 'techdoc/examples', 'src/packaging/debian']
    .flatMap((folder) => readdirSync(path.join(PROJECT, folder)).map((name) => `${folder}/${name}`))
    .filter((name) => /\.(?:md|service|timer|conf|json)$|\/[\w-]+$/.test(name)),
].filter((name) => name !== 'techdoc/examples' && name !== 'techdoc/pictures');

/** Folders in which more lies than the package brings. */
const OPEN = [
  PLACES.spool,
  PLACES.state,
  PLACES.log,
  PLACES.cache,
  `${PLACES.program}/bin`,
  '/etc/spoolroom',
];

/** Folders of other programs, which read files about us there. */
const OTHERS = [
  ...['/etc/cron.d/', '/etc/fail2ban/', '/etc/prometheus/', '/var/lib/prometheus/', '/etc/grafana/'],
  // Where npm puts the tarball.
  '/usr/lib/node_modules/spoolroom/',
];

test('every path of ours that a page, a unit or an example names is where the package puts it', () => {
  const places = [...Object.values(PLACES), ...installed, '/usr/lib/spoolroom'];
  const known = new Set(places.flatMap((place) => [place, path.dirname(place)]));
  for (const name of TEXTS) {
    for (const [found] of read(name).matchAll(
      /(?<![\w./-])\/(?:usr|etc|var|lib|opt)\/[\w./*-]*spoolroom[\w./*-]*/g,
    )) {
      const named = found.replace(/[.*/-]+$/, '');
      const isKnown =
        known.has(named) ||
        OPEN.some((place) => named.startsWith(`${place}/`)) ||
        OTHERS.some((place) => named.startsWith(place));
      assert.ok(isKnown, `${name}: ${found}`);
    }
  }
});

test('units, cron and the system user have the same names', () => {
  for (const unit of UNITS) {
    const text = read(`techdoc/examples/${unit}`);
    assert.match(text, new RegExp(`^User=${USER}\nGroup=${USER}$`, 'm'));
    assert.match(text, new RegExp(`^ExecStart=${PLACES.command} \\w+ --config ${PLACES.config}$`, 'm'));
  }
  assert.match(
    read('techdoc/examples/crontab'),
    new RegExp(` ${USER} ${PLACES.command} run --config ${PLACES.config}\n`),
  );
  assert.match(read('techdoc/examples/sysusers.conf'), new RegExp(`^u ${USER} - .* ${PLACES.spool}$`, 'm'));
});

test('all units confine the program in the same way', () => {
  const confined = UNITS.map(
    (unit) =>
      read(`techdoc/examples/${unit}`).match(/^# The spool, the state[\s\S]*^CapabilityBoundingSet=$/m)?.[0],
  );
  assert.ok(confined[0] !== undefined && confined[0].length > 500);
  assert.deepEqual(new Set(confined).size, 1);
  // The addresses of this machine are asked of the kernel by netlink; a shared spool has set-group-ID folders.
  assert.match(confined[0], /^RestrictAddressFamilies=.*\bAF_NETLINK\b/m);
  assert.doesNotMatch(confined[0], /^(?:RestrictSUIDSGID|MemoryDenyWriteExecute)=/m);
});
