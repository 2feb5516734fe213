/**
 * Bundles the command into one file, bin/spoolroom.cjs, and makes V8's code cache for it. Modules that are imported
 * dynamically stay lazy inside the bundle.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

/**
 * yargs asks standard output for its width and loads `assert` at every start: either makes a stream, and loads all of the
 * network for it. The lines of help are broken where they are printed, and two comparisons need no module.
 */
const ASSERT = /import \{ notStrictEqual, strictEqual \} from 'assert'/;
const COMPARISONS = `
function strictEqual(a, b, message) { if (!Object.is(a, b)) throw new Error(message); }
function notStrictEqual(a, b, message) { if (Object.is(a, b)) throw new Error(message); }`;

const frugal = {
  name: 'frugal',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules\/(yargs|cliui)\/.*\.m?js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('process.stdout', '({})').replace(ASSERT, COMPARISONS),
    }));
  },
};

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

await build({
  entryPoints: ['src/cli/shell/start.ts'],
  outfile: 'bin/spoolroom.cjs',
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
  plugins: [late, frugal],
  legalComments: 'none',
  logLevel: 'warning',
});

// The cache holds what an ordinary start compiles: a run over an empty spool.
const warmUp = `
  const { compile, run } = require('./bin/compile.js');
  const script = compile();
  process.on('exit', () => require('node:fs').writeFileSync('bin/spoolroom.cache', script.createCachedData()));
  run(script);
`;
rmSync('bin/spoolroom.cache', { force: true });
const spool = mkdtempSync(join(tmpdir(), 'spoolroom-build-'));
try {
  execFileSync(process.execPath, ['-e', warmUp, 'spoolroom', 'run', '--spool', spool], { stdio: 'inherit' });
} finally {
  rmSync(spool, { recursive: true });
}
