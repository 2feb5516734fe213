/** What the Debian package installs, file by file, and its control files. Reads the project's folder; writes nothing. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { COMMANDS } from '../../cli/command-table.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion.ts';
import { completedCommands } from '../completion-model.ts';
import { commandPage, type ManualFacts, sendmailPage, settingsPage } from '../man.ts';
import { PLACES } from '../places.ts';

export interface PackagedFile {
  /** absolute, where it is installed; of a control file its name */
  readonly path: string;
  readonly mode: number;
  readonly content: Buffer;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly control: readonly PackagedFile[];
  readonly files: readonly PackagedFile[];
  /** target by path */
  readonly links: Readonly<Record<string, string>>;
}

/** @param project its root, built @param time Unix seconds that the package bears */
export function debianPackage(project: string, time: number): DebianPackage {
  const read = (name: string): string => readFileSync(join(project, name), 'utf8');
  const { name, version } = JSON.parse(read('package.json'));
  const files = [
    ...programFiles(project),
    ...systemFiles(read),
    ...documents(project, read),
    ...manuals(read, version, time),
    ...completions(),
    file(`${PLACES.doc}/copyright`, copyright(read)),
    file(`${PLACES.doc}/changelog.gz`, zipped(debianChangelog(name, version, time))),
    file('/usr/share/lintian/overrides/spoolroom', read('src/packaging/debian/lintian-overrides')),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const scripts = ['postinst', 'prerm', 'postrm'];
  const control = [
    file('control', controlFile(name, version, files)),
    file('conffiles', files.flatMap(({ path }) => (path.startsWith('/etc/') ? [`${path}\n`] : [])).join('')),
    file('md5sums', files.map(md5Line).join('')),
    file('triggers', read('src/packaging/debian/triggers')),
    ...scripts.map((each) => file(each, read(`src/packaging/debian/${each}`), 0o755)),
  ];
  return { name, version, control, files, links: { [PLACES.command]: '../lib/spoolroom/bin/spoolroom' } };
}

export const MAINTAINER = 'spoolroom maintainers <maintainers@spoolroom.invalid>';

function file(path: string, content: string | Buffer, mode = 0o644): PackagedFile {
  return { path, mode, content: typeof content === 'string' ? Buffer.from(content) : content };
}

function zipped(text: string): Buffer {
  return gzipSync(text, { level: 9 });
}

/** The bundle as it lies in bin/, but for what the build leaves there and the cache of this machine. */
function programFiles(project: string): readonly PackagedFile[] {
  const from = (folder: string, names: (name: string) => boolean): readonly PackagedFile[] =>
    readdirSync(join(project, folder))
      .filter(names)
      .map((name) => file(`${PLACES.program}/${folder}/${name}`, readFileSync(join(project, folder, name))));
  return [
    ...from(
      'bin',
      (name) => !/^packages$|\.(?:cache|idle|(?:meta|cdx)\.json|LICENSES\.txt)(?:\.\d+)?$/.test(name),
    ),
    ...from('bin/packages', () => true),
    ...from('fixtures/spool', () => true),
  ].map(executable);
}

/** Scripts call Debian's Node, whatever the PATH of the caller. */
function executable(each: PackagedFile): PackagedFile {
  const text = each.content.subarray(0, 20).toString('latin1');
  if (!text.startsWith('#!/usr/bin/env node')) return each;
  const content = each.content.toString('utf8').replace('/usr/bin/env node', '/usr/bin/node');
  return file(each.path, content, 0o755);
}

/** Where each example goes that is at work after the installation, its mode, and whether it is an administrator's to change. */
const SYSTEM: readonly (readonly [example: string, path: string, mode: number])[] = [
  ['spoolroom.json', PLACES.config, 0o640],
  ['logrotate', '/etc/logrotate.d/spoolroom', 0o644],
  ['sysusers.conf', '/usr/lib/sysusers.d/spoolroom.conf', 0o644],
  ['tmpfiles.conf', '/usr/lib/tmpfiles.d/spoolroom.conf', 0o644],
  ...[
    'spoolroom.service',
    'spoolroom-intake.service',
    'spoolroom-web.service',
    'spoolroom-run.service',
    'spoolroom-run.timer',
  ].map((unit) => [unit, `/usr/lib/systemd/system/${unit}`, 0o644] as const),
];

function systemFiles(read: (name: string) => string): readonly PackagedFile[] {
  return SYSTEM.map(([example, path, mode]) => file(path, read(`techdoc/examples/${example}`), mode));
}

/** The pages lie in one folder there, so links between them lose their folders. */
function documents(project: string, read: (name: string) => string): readonly PackagedFile[] {
  const pages = [
    ...['README.md', 'CHANGELOG.md', 'SECURITY.md'],
    ...readdirSync(join(project, 'techdoc'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `techdoc/${name}`),
  ];
  const installed = new Set(SYSTEM.map(([example]) => example));
  const examples = readdirSync(join(project, 'techdoc/examples')).filter((name) => !installed.has(name));
  return [
    ...pages.map((page) => {
      const text = read(page).replaceAll('](techdoc/', '](').replaceAll('](../', '](');
      return file(`${PLACES.doc}/${page.replace('techdoc/', '')}`, text);
    }),
    ...['run.svg', 'replay.png'].map((name) =>
      file(`${PLACES.doc}/pictures/${name}`, readFileSync(join(project, 'techdoc/pictures', name))),
    ),
    ...examples.map((name) => file(`${PLACES.doc}/examples/${name}`, read(`techdoc/examples/${name}`))),
  ];
}

function manuals(read: (name: string) => string, version: string, time: number): readonly PackagedFile[] {
  const facts: ManualFacts = {
    version,
    date: new Date(time * 1000).toISOString().slice(0, 10),
    commands: COMMANDS,
    exitCodes: exitCodes(read('README.md')),
    example: read('techdoc/examples/spoolroom.json'),
  };
  const page = (name: string, text: string): PackagedFile =>
    file(`/usr/share/man/man${name.slice(-1)}/${name}.gz`, zipped(text));
  return [
    page('spoolroom.1', commandPage(facts)),
    page('spoolroom.json.5', settingsPage(facts)),
    page('spoolroom-sendmail.8', sendmailPage(facts)),
  ];
}

/** The table of exit codes in the README. */
export function exitCodes(readme: string): ManualFacts['exitCodes'] {
  return [...readme.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code = '', meaning = '']) => [
    code,
    meaning,
  ]);
}

function completions(): readonly PackagedFile[] {
  const commands = completedCommands(COMMANDS);
  return [
    file('/usr/share/bash-completion/completions/spoolroom', bashCompletion(commands)),
    file('/usr/share/zsh/vendor-completions/_spoolroom', zshCompletion(commands)),
    file('/usr/share/fish/vendor_completions.d/spoolroom.fish', fishCompletion(commands)),
  ];
}

function copyright(read: (name: string) => string): string {
  const rule = '-'.repeat(80);
  return `spoolroom\n\n${read('LICENSE')}\n${rule}\n\n${read('bin/spoolroom.LICENSES.txt')}`;
}

function debianChangelog(name: string, version: string, time: number): string {
  const date = new Date(time * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function md5Line({ path, content }: PackagedFile): string {
  return path.startsWith('/etc/')
    ? ''
    : `${createHash('md5').update(content).digest('hex')}  ${path.slice(1)}\n`;
}

function controlFile(name: string, version: string, files: readonly PackagedFile[]): string {
  const kilobytes = files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0);
  return `Package: ${name}
Version: ${version}
Section: mail
Priority: optional
Architecture: all
Maintainer: ${MAINTAINER}
Installed-Size: ${kilobytes}
Depends: nodejs (>= 20), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Suggests: citadel-server, logrotate
Description: outbound mail queue for Citadel sites
 spoolroom stands beside the groupware server Citadel and takes over the
 delivery of its outgoing Internet mail: it reads Citadel's delivery lists,
 delivers by SMTP, writes each recipient's status line back, reports failures
 to the senders, and shows why a message did not arrive.
 .
 It serves every version of Citadel as its smart host, or works the queue
 inside a server that was built without its own queue run. No service is
 enabled at installation; install.md says how to set it up.
`;
}
