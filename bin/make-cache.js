/**
 * `node make-cache.js` makes V8's code cache beside the bundle anew: for the version of Node that runs it, by a run that delivers
 * one message to a server of this script, so that the cache has what such a run needs. Packages do that at install. Where
 * nothing may listen on loopback, the run has no message, and the cache lacks what delivers.
 */
'use strict';
const { spawn } = require('node:child_process');
const { mkdtempSync, readdirSync, rmSync } = require('node:fs');
const { createServer } = require('node:net');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const MESSAGE =
  'From: cache@cache.example\nTo: cache@cache.example\nSubject: a message\n\nIt is sent to make a cache.\n';

/** The first reply to each command; all others get 250. */
const REPLIES = {
  EHLO: '250-cache.example\r\n250-PIPELINING\r\n250 8BITMIME',
  DATA: '354 go on',
  QUIT: '221 bye',
};

/** Takes any message. A command is a line here, in whatever pieces the network brings it: they are small. */
function serve(socket) {
  let isText = false;
  socket.write('220 cache.example\r\n');
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    for (const line of bytes.latin1Slice().split('\r\n').slice(0, -1)) {
      if (isText && line !== '.') continue;
      socket.write(`${REPLIES[line.slice(0, 4)] ?? '250 ok'}\r\n`);
      isText = line === 'DATA';
    }
  });
}

/** Resolves to the code with which it ended. */
function start(words, input) {
  const child = spawn(process.execPath, words, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'inherit'],
    env: { SPOOLROOM_CONFIG: '' },
  });
  child.stdin?.end(input);
  return new Promise((resolve) => child.once('exit', resolve));
}

async function make(port) {
  for (const name of readdirSync(__dirname))
    if (/\.cache(?:\.\d+)?$/.test(name)) rmSync(join(__dirname, name));
  const folder = mkdtempSync(join(tmpdir(), 'spoolroom-cache-'));
  const common = ['--hostname', 'cache.example', '--spool', folder];
  try {
    if (port !== null)
      await start([join(__dirname, 'spoolroom'), 'enqueue', ...common, 'cache@cache.example'], MESSAGE);
    const relay = ['--smarthost', `127.0.0.1:${port ?? 25}`];
    process.exitCode = await start([
      __filename,
      'run',
      ...common,
      ...relay,
      '--log.target',
      join(folder, 'log'),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A cache holds for the flags of V8 with which it was made, and the next start has not changed them yet. */
function runUntuned() {
  require('node:v8').setFlagsFromString = () => {};
  require('./compile.js').run();
}

if (process.argv[2] === 'run') runUntuned();
else {
  const server = createServer(serve);
  const done = (port) => make(port).finally(() => server.close());
  server.once('error', () => done(null));
  server.listen(0, '127.0.0.1', () => done(server.address().port));
}
