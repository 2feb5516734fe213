/**
 * Compiles the bundle with V8's code cache, which saves a third of the start-up time; a cache from another version of
 * Node is not used. Called by bin/spoolroom, and by the build, which makes the cache.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

// A queue of 10,000 jobs fits a small machine: the heap is collected when it has doubled, not when it has quadrupled.
setFlagsFromString('--heap-growing-percent=100');

const bundle = join(__dirname, 'spoolroom.cjs');
const cache = join(__dirname, 'spoolroom.cache');

function cached() {
  try {
    return readFileSync(cache);
  } catch {
    return undefined;
  }
}

/** The bundle as a script that evaluates to a CommonJS module function. The bundle is plain ASCII. */
exports.compile = () =>
  new Script(
    `(function (exports, require, module, __filename, __dirname) {${readFileSync(bundle, 'latin1')}\n})`,
    {
      filename: bundle,
      cachedData: cached(),
    },
  );

exports.run = (script) => {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, bundle, __dirname);
};
