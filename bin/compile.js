/**
 * Compiles the bundle with V8's code cache, which saves a third of the start-up time.
 *
 * A cache never outranks the script: it begins with a copy of the bundle it was made from, which must be the same to the byte,
 * its name carries the version of Node, and it is made on this machine, at the first start that may write beside the bundle.
 * One that others than its owner could have written, or that belongs to another user than root, us or the owner of the
 * bundle, is not used.
 */
'use strict';
const {
  openSync,
  fstatSync,
  readFileSync,
  closeSync,
  statSync,
  writeFileSync,
  renameSync,
} = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const bundle = join(__dirname, 'spoolroom.cjs');
const self = process.geteuid?.() ?? 0;

/** Others could not have written it. */
function isOurs({ uid, mode }, owner) {
  return (uid === 0 || uid === self || uid === owner) && (mode & 0o022) === 0;
}

/** What V8 left for exactly this bundle; undefined when there is nothing, or nothing we may trust. */
function cached(cache, bytes, owner) {
  try {
    const file = openSync(cache, 'r');
    try {
      if (!isOurs(fstatSync(file), owner)) return undefined;
      const content = readFileSync(file);
      return bytes.equals(content.subarray(0, bytes.length)) ? content.subarray(bytes.length) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    // There is none, or none we may read.
    return undefined;
  }
}

/** At the end of a start, with all that it has compiled. Nobody misses a cache that cannot be written. */
function store(script, cache, bytes) {
  try {
    if (!isOurs(statSync(__dirname), self)) return;
    const temporary = `${cache}.${process.pid}`;
    writeFileSync(temporary, Buffer.concat([bytes, script.createCachedData()]), { flag: 'wx', mode: 0o644 });
    renameSync(temporary, cache);
  } catch {
    // A read-only folder, or one of somebody else.
  }
}

/** The bundle as a script that evaluates to a CommonJS module function. The bundle is plain ASCII. */
exports.compile = () => {
  const bytes = readFileSync(bundle);
  const cache = join(__dirname, `spoolroom.${process.version}-${process.arch}.cache`);
  const cachedData = cached(cache, bytes, statSync(bundle).uid);
  const script = new Script(
    `(function (exports, require, module, __filename, __dirname) {${bytes.latin1Slice()}\n})`,
    { filename: bundle, cachedData },
  );
  if (cachedData === undefined || script.cachedDataRejected === true)
    process.once('exit', () => store(script, cache, bytes));
  return script;
};

exports.run = (script) => {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, bundle, __dirname);
};
