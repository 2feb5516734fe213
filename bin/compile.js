/**
 * Compiles the bundle with V8's code cache, which saves more than half of the start-up time.
 *
 * A cache never outranks the script: it begins with a copy of the bundle it was made from, which must be the same to the byte,
 * its name carries the version of Node, and V8 refuses what was made with other flags. It is made on this machine, at install
 * (make-cache.js), and where a new version of Node finds none, by the first `run` that had nothing to do. A file or a folder
 * that others than its owner can write, or that belongs to another user than root, us or the owner of the bundle, is not used.
 */
'use strict';
const { readFileSync, statSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');
const { FOLDERS, isWritable, read, store } = require('./cache-folder.js');

const bundle = join(__dirname, 'spoolroom.cjs');
const NAME = `spoolroom.${process.version}-${process.arch}.cache`;

/** What V8 left for exactly this bundle; undefined when there is nothing, or nothing we may trust. */
function cached(folder, bytes, owner) {
  const content = read(folder, NAME, owner);
  if (content === undefined || !bytes.equals(content.subarray(0, bytes.length))) return undefined;
  return content.subarray(bytes.length);
}

/**
 * At the end of a start, with all that it has compiled: of a run, because other commands compile little of what a run needs, and
 * only if V8 has the flags that it will have at the next start (a run with mail changes them).
 */
function storeAtExit(script, bytes) {
  if (process.argv[2] !== 'run' || process.execArgv.length > 0 || process.env.NODE_OPTIONS) return;
  const { cachedDataVersionTag } = require('node:v8');
  const tag = cachedDataVersionTag();
  process.once('exit', (code) => {
    const folder = FOLDERS.find(isWritable);
    if (folder === undefined || code !== 0 || cachedDataVersionTag() !== tag) return;
    store(folder, NAME, Buffer.concat([bytes, script.createCachedData()]));
  });
}

exports.bundle = bundle;

/** The bundle as a script that evaluates to a CommonJS module function. The bundle is plain ASCII. */
exports.compile = () => {
  const bytes = readFileSync(bundle);
  const source = `(function (exports, require, module, __filename, __dirname) {${bytes.latin1Slice()}\n})`;
  const { uid } = statSync(bundle);
  let script;
  for (const folder of FOLDERS) {
    const cachedData = cached(folder, bytes, uid);
    if (cachedData === undefined) continue;
    script = new Script(source, { filename: bundle, cachedData });
    if (!script.cachedDataRejected) return script;
  }
  script ??= new Script(source, { filename: bundle });
  storeAtExit(script, bytes);
  return script;
};

exports.run = (script) => {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, bundle, __dirname);
  return module.exports;
};
