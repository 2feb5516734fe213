/**
 * Cron starts a run each minute, and most find an empty spool. Such a run leaves a note of what it looked at, and the next one with
 * the same words ends before anything is loaded, as long as the spool and the requests of administrators are empty and the
 * settings and the program have not changed. A note holds for a quarter of an hour, so that a file system that does not tell of
 * changes delays mail by that much at most.
 *
 * `run` says what it looked at (src/cli/setup/looked-at.ts). A note is trusted as the code cache is: bin/cache-folder.js.
 */
'use strict';
const { fstatSync, readdirSync, statSync } = require('node:fs');
const { FOLDERS, isWritable, read, store } = require('./cache-folder.js');

const NAME = 'spoolroom.idle';
const VALID = 15 * 60_000;
/** Milliseconds. A file that has changed so short a time before a run may change again without another time on it. */
const SETTLED = 2000;
/** Calls that are remembered: the ones made last. */
const MOST = 16;

const started = Date.now();

/** A terminal wants an answer. Of the devices, only those of memory (/dev/null) are none. */
function isAnswered(descriptor) {
  const status = fstatSync(descriptor, { throwIfNoEntry: false });
  return status?.isCharacterDevice() === true && status.rdev >> 8 !== 1;
}

/** Who calls, and how. */
function callOf() {
  const names = Object.keys(process.env).filter((name) => name.startsWith('SPOOLROOM_'));
  const settings = names.sort().map((name) => [name, process.env[name]]);
  const words = process.argv.slice(2);
  return JSON.stringify([words, process.cwd(), settings, process.geteuid?.() ?? 0, process.version]);
}

/** Messages and requests have numbers for names. */
const isEmpty = (folder) => !readdirSync(folder).some((name) => /^\d/.test(name));

/** Null: there is no such file. Undefined: a folder that is not empty; when others were last in it is of no interest. */
function stateOf(path) {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return null;
  const { dev, ino, size, mtimeMs, ctimeMs, mode, uid, gid } = status;
  if (!status.isDirectory()) return [dev, ino, size, mtimeMs, ctimeMs, mode, uid, gid].join();
  return isEmpty(path) ? [dev, ino, mode, uid, gid].join() : undefined;
}

/** By call: when it was made, and the state of each path. */
function notesIn(folder) {
  const content = read(folder, NAME);
  return content === undefined ? {} : JSON.parse(content.toString());
}

/** Whether this run would find what the last one found: nothing. */
exports.isSo = () => {
  if (process.argv[2] !== 'run') return false;
  try {
    if (isAnswered(1) || isAnswered(2)) return false;
    const call = callOf();
    return FOLDERS.some((folder) => {
      const { at = Number.NaN, seen = {} } = notesIn(folder)[call] ?? {};
      return (
        started >= at &&
        started < at + VALID &&
        Object.entries(seen).every(([path, state]) => stateOf(path) === state)
      );
    });
  } catch {
    // A note that is damaged, or files that cannot be seen: a run finds out.
    return false;
  }
};

/** At the end of a run that found nothing: `paths` is what it looked at. */
exports.keep = (paths) => {
  try {
    const isSettled = (path) => {
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined || status.isDirectory()) return true;
      return Math.max(status.mtimeMs, status.ctimeMs) < started - SETTLED;
    };
    const folder = FOLDERS.find(isWritable);
    const seen = Object.fromEntries(paths.map((path) => [path, stateOf(path)]));
    if (folder === undefined || !paths.every(isSettled) || Object.values(seen).includes(undefined)) return;
    const { [callOf()]: _, ...others } = notesIn(folder);
    const notes = [...Object.entries(others).slice(1 - MOST), [callOf(), { at: started, seen }]];
    store(folder, NAME, JSON.stringify(Object.fromEntries(notes)));
  } catch {
    // Then the next run looks as well.
  }
};
