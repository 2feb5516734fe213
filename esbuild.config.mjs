/**
 * Bundles the command into one file, bin/spoolroom.cjs, with the licences of the packages in it, and makes V8's code cache
 * for it. Modules that are imported dynamically stay lazy inside the bundle. `node esbuild.config.mjs FOLDER` writes the
 * bundle and the licences to another folder: the same sources, packages and version of Node give the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Modules of Node that take long to load: the bundle requires them when something in them is first used. */
const LATE = /^(node:)?(crypto|net|stream|fs\/promises|child_process|dgram|tty|readline\/promises)$/;

const late = {
  name: 'late',
  setup({ onResolve, onLoad }) {
    // Packages that require() a module may take it for a function (winston: inherits(Readable, Stream)), which the object
    // below is not; they are loaded late themselves.
    onResolve({ filter: LATE }, ({ path, namespace, kind }) =>
      namespace === 'late' || kind === 'require-call'
        ? { path, external: true }
        : { path, namespace: 'late' },
    );
    onLoad({ filter: LATE, namespace: 'late' }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter((name) => name !== 'default');
      const contents = names.map((name) => `get ${name}() { return require('${path}').${name}; }`).join(',');
      return { contents: `module.exports = {${contents}};` };
    });
  },
};

/** The folders of the packages from which some code is in the bundle, in order. */
function bundledPackages({ outputs }) {
  const used = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const folders = used.flatMap(([input, { bytesInOutput }]) => {
    const folder = /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0];
    return folder === undefined || bytesInOutput === 0 ? [] : [folder];
  });
  return [...new Set(folders)].sort();
}

/** Name, version, licence and the licence's text of one package; throws when the package has no text. */
function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
  const texts = files.sort().map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim());
  if (typeof license !== 'string' || texts.join('') === '') {
    throw new Error(
      `${name} ${version} is in the bundle, but ${folder} holds no licence name or no licence text`,
    );
  }
  return [`${name} ${version}`, `Licence: ${license}`, '', ...texts].join('\n').replaceAll('\r\n', '\n');
}

const RULE = `\n\n${'-'.repeat(80)}\n\n`;
const HEAD = 'spoolroom.cjs contains code of these packages, each under its own licence.';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = process.argv[2] ?? 'bin';

const { metafile } = await build({
  entryPoints: ['src/cli/shell/start.ts'],
  outfile: `${folder}/spoolroom.cjs`,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  charset: 'ascii',
  // A script with a code cache cannot import(), so Node's own modules are required as late as they would be imported.
  supported: { 'dynamic-import': false },
  minifyWhitespace: true,
  minifySyntax: true,
  // The bundle finds the demo's fixtures as the source does.
  banner: { js: "const sourceFolder = __dirname + '/../src/cli/shell';" },
  define: { SPOOLROOM_VERSION: JSON.stringify(version), 'import.meta.dirname': 'sourceFolder' },
  plugins: [late],
  // The whole texts are in the file of licences.
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
const notices = [HEAD, ...bundledPackages(metafile).map(notice)].join(RULE);
writeFileSync(`${folder}/spoolroom.LICENSES.txt`, `${notices}\n`);
writeFileSync(`${folder}/spoolroom.meta.json`, JSON.stringify(metafile));

if (folder === 'bin') makeCodeCache();

/** The first start leaves a cache with what an ordinary start compiles: a run over an empty spool. */
function makeCodeCache() {
  for (const name of readdirSync('bin')) if (name.endsWith('.cache')) rmSync(`bin/${name}`);
  const spool = mkdtempSync(join(tmpdir(), 'spoolroom-build-'));
  try {
    execFileSync(
      process.execPath,
      ['bin/spoolroom', 'run', '--hostname', 'build.example', '--spool', spool],
      { stdio: 'inherit' },
    );
  } finally {
    rmSync(spool, { recursive: true });
  }
}
