/**
 * Bundles the command into the parts of bin/spoolroom*.cjs and the packages that few runs need into bin/packages/, with the licences
 * of all of them, and makes V8's code cache for the command. Modules that are imported dynamically stay lazy inside the bundle.
 * `node esbuild.config.mjs FOLDER` writes all but the cache to another folder: the same sources, packages and version of Node
 * give the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { begins, cut } from './esbuild.parts.mjs';

/** Modules of Node that take long to load: the bundle requires them when something in them is first used. */
const LATE = /^(node:)?(crypto|net|stream|fs\/promises|child_process|dgram|tty|v8|readline\/promises)$/;

/**
 * The text of a module that stands for another one, which is required from `file` when something in it is first used. What it
 * has is inherited, because what imports it copies its own properties.
 */
function standIn(file) {
  return `let loaded; const load = () => loaded ??= require('${file}');
    module.exports = Object.create(new Proxy({}, { get: (_, name) => load()[name] }));`;
}

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
    onLoad({ filter: LATE, namespace: 'late' }, ({ path }) => ({ contents: standIn(path) }));
  },
};

/** iconv-lite loads Node's streams for an interface that is not used here; loading them takes a tenth of an idle run. */
const withoutStreams = {
  name: 'without-streams',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^stream$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/iconv-lite/') ? { path, namespace: 'nothing' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'nothing' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** winston brings a copy of Node's streams, which a run that writes log lines has loaded already for its sockets. */
const nativeStreams = {
  name: 'native-streams',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^readable-stream(\/|$)/ }, ({ path }) => ({ path, namespace: 'native-streams' }));
    onLoad({ filter: /./, namespace: 'native-streams' }, ({ path }) => ({
      contents: `module.exports = require('stream')${path.endsWith('_stream_writable.js') ? '.Writable' : ''};`,
    }));
  },
};

/** Packages that have a file of their own, so that a start reads only what every run needs. */
const APART = [
  'dns-packet',
  'iconv-lite',
  'nodemailer/lib/mime-node',
  'pg',
  'postal-mime',
  'smtp-server',
  'yargs',
];

const apart = {
  name: 'apart',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(?:${APART.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'apart' ? undefined : { path, namespace: 'apart' },
    );
    onLoad({ filter: /./, namespace: 'apart' }, ({ path }) => ({
      // The others are imported where they are needed, or are functions, for which nothing can stand.
      contents:
        path === 'iconv-lite' ? standIn(apartFile(path)) : `module.exports = require('${apartFile(path)}');`,
    }));
    onResolve({ filter: /^\.\/packages\// }, ({ path }) => ({ path, external: true }));
  },
};

/** iconv-lite's tables of Chinese, Japanese and Korean characters are most of it, and are loaded when they are used. */
const tables = {
  name: 'tables',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/tables\/.*\.json$/ }, ({ path, resolveDir }) => {
      copyFileSync(join(resolveDir, path), join(folder, 'packages', basename(path)));
      return { path: `./${basename(path)}`, external: true };
    });
  },
};

function apartFile(name) {
  return `./packages/${name.replaceAll('/', '-')}.cjs`;
}

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
  const all = readdirSync(folder).sort();
  const read = (file) => readFileSync(`${folder}/${file}`, 'utf8');
  const files = all.filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
  const texts = files.map((file) => read(file).trim());
  // Some have it in their README alone.
  for (const file of files.length > 0 ? [] : all.filter((name) => /^readme/i.test(name)))
    texts.push(
      /^#+ *licen[cs]e *\n([^#]*Permission is hereby granted[^#]*)/im.exec(read(file))?.[1].trim() ?? '',
    );
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
rmSync(`${folder}/packages`, { recursive: true, force: true });
mkdirSync(`${folder}/packages`, { recursive: true });

const COMMON = {
  // Names of modules, which are in the bundle, are those of the project wherever its packages really lie.
  preserveSymlinks: true,
  bundle: true,
  platform: 'node',
  target: 'node20',
  charset: 'ascii',
  minifyWhitespace: true,
  minifySyntax: true,
  // The whole texts are in the file of licences.
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};

const command = await build({
  ...COMMON,
  entryPoints: ['src/cli/shell/start.ts'],
  format: 'esm',
  splitting: true,
  write: false,
  outdir: folder,
  define: {
    SPOOLROOM_VERSION: JSON.stringify(version),
    'import.meta.dirname': 'sourceFolder',
    // winston's tracing of itself, with all that it loads, is for those who develop winston.
    'process.env.NODE_ENV': '"production"',
  },
  plugins: [begins, nativeStreams, late, apart],
});
const { outputs } = command.metafile;
const texts = new Map(Object.keys(outputs).map((output, index) => [output, command.outputFiles[index].text]));
// The bundle finds the demo's fixtures as the source does.
const HEAD_OF_PART = "const sourceFolder = __dirname + '/../src/cli/shell';";
for (const [part, text] of cut(outputs, texts, HEAD_OF_PART)) writeFileSync(`${folder}/${part}.cjs`, text);
const packages = await Promise.all(
  APART.map((name) =>
    build({
      ...COMMON,
      stdin: { contents: `module.exports = require('${name}');`, resolveDir: '.' },
      outfile: join(folder, apartFile(name)),
      format: 'cjs',
      plugins: [withoutStreams, late, tables],
    }),
  ),
);
const metafiles = [command, ...packages].map(({ metafile }) => metafile);
const metafile = {
  inputs: Object.assign({}, ...metafiles.map(({ inputs }) => inputs)),
  outputs: Object.assign({}, ...metafiles.map(({ outputs }) => outputs)),
};
const notices = [HEAD, ...bundledPackages(metafile).map(notice)].join(RULE);
writeFileSync(`${folder}/spoolroom.LICENSES.txt`, `${notices}\n`);
writeFileSync(`${folder}/spoolroom.meta.json`, JSON.stringify(metafile));

if (folder === 'bin') execFileSync(process.execPath, ['bin/make-cache.js'], { stdio: 'inherit' });
