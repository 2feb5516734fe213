/** Where a start keeps what makes the next one quicker, and which of that may be trusted. */
'use strict';
const {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} = require('node:fs');
const { join } = require('node:path');

/** Beside the bundle; and where a user who may not write there keeps it (systemd names the folder, CacheDirectory=). */
exports.FOLDERS = [__dirname, process.env.CACHE_DIRECTORY || '/var/cache/spoolroom'];

/** Not through a link, and without waiting for the writer of a pipe. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Others than root, us and `owner` could not have written it. */
function isOurs({ uid, mode }, owner) {
  return (uid === 0 || uid === process.geteuid?.() || uid === owner) && (mode & 0o022) === 0;
}

/** Undefined: there is none, or none that we may read and trust. */
exports.read = (folder, name, owner) => {
  try {
    if (!isOurs(statSync(folder), owner)) return undefined;
    const file = openSync(join(folder, name), READ);
    try {
      const status = fstatSync(file);
      return status.isFile() && isOurs(status, owner) ? readFileSync(file) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
};

exports.isWritable = (folder) => {
  try {
    accessSync(folder, constants.W_OK);
    return isOurs(statSync(folder));
  } catch {
    return false;
  }
};

/** Nobody misses what cannot be written. */
exports.store = (folder, name, content) => {
  const temporary = join(folder, `${name}.${process.pid}`);
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode: 0o644 });
    renameSync(temporary, join(folder, name));
  } catch {
    // The disk is full.
  }
};
