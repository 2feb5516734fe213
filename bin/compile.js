/**
 * Compiles the bundle with V8's code cache, which saves more than half of the start-up time.
 *
 * A cache never outranks the script: it begins with a copy of the bundle it was made from, which must be the same to the byte, it
 * has its end, its name carries the version of Node, and V8 refuses what was made with other flags. It is made on this machine, at install
 * (make-cache.js), and where a new version of Node finds none, by the first `run` that had nothing to do. A file or a folder
 * that others than its owner can write, or that belongs to another user than root, us or the owner of the bundle, is not used.
 */
'use strict';
const { readFileSync, statSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');
const { FOLDERS, isWritable, read, store } = require('./cache-folder.js');

/** Parts of the bundle, by the names of their files: of every run, of runs with mail, and of the rest (esbuild.parts.mjs). */
const PARTS = ['spoolroom', 'spoolroom.delivery', 'spoolroom.rest'];
const VERSION = `${process.version}-${process.arch}`;

/** Of a cache: without it, it was never written whole, as when power failed. V8 would not notice, and break off. */
const END = Buffer.from(VERSION);

const fileOf = (part) => join(__dirname, `${part}.cjs`);

/** What V8 left for exactly this part; undefined when there is nothing, or nothing we may trust. */
function cached(folder, part, bytes, owner) {
  const content = read(folder, `${part}.${VERSION}.cache`, owner);
  if (content === undefined || !bytes.equals(content.subarray(0, bytes.length))) return undefined;
  return END.equals(content.subarray(-END.length)) ? content.subarray(bytes.length, -END.length) : undefined;
}

/** By part. */
const compiled = new Map();

/** The part as a script that evaluates to a function. It is plain ASCII. */
function compile(part) {
  const filename = fileOf(part);
  const bytes = readFileSync(filename);
  const source = bytes.latin1Slice();
  const { uid } = statSync(filename);
  let script;
  for (const folder of FOLDERS) {
    const cachedData = cached(folder, part, bytes, uid);
    if (cachedData === undefined) continue;
    script = new Script(source, { filename, cachedData });
    if (!script.cachedDataRejected) break;
  }
  if (script?.cachedDataRejected !== false) storeAtExit();
  script ??= new Script(source, { filename });
  compiled.set(part, { script, bytes });
  return script;
}

let willStore = false;

/**
 * At the end of a start, with all that it has compiled: of a run, because other commands compile little of what a run needs, and
 * only if V8 has the flags that it will have at the next start (a run with mail changes them).
 */
function storeAtExit() {
  if (willStore || process.argv[2] !== 'run' || process.execArgv.length > 0 || process.env.NODE_OPTIONS)
    return;
  willStore = true;
  const { cachedDataVersionTag } = require('node:v8');
  const tag = cachedDataVersionTag();
  process.once('exit', (code) => {
    const folder = FOLDERS.find(isWritable);
    if (folder === undefined || code !== 0 || cachedDataVersionTag() !== tag) return;
    for (const part of PARTS) {
      functionsOf(part);
      const { script, bytes } = compiled.get(part);
      store(folder, `${part}.${VERSION}.cache`, Buffer.concat([bytes, script.createCachedData(), END]));
    }
  });
}

/** By part: functions, and in the place of those that were called, what their chunks export. */
const chunks = {};

function functionsOf(part) {
  chunks[part] ??= compile(part).runInThisContext()(__dirname);
  return chunks[part];
}

function chunk(part, name) {
  const functions = functionsOf(part);
  const found = functions[name];
  if (typeof found === 'function') functions[name] = found(chunk, require);
  return functions[name];
}

/** The file whose state tells whether the program is still the same. */
exports.bundle = fileOf('spoolroom');

/** Starts the program. */
exports.run = () => chunk('spoolroom', 'start');
