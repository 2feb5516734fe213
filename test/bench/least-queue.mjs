/**
 * `node least-queue.mjs SPOOL PORT`: the least that a program of Node does for mail that waits in a spool, when no message may be
 * lost: it reads both files of a job, sends over 20 sessions that pipeline, puts each outcome into a journal that is synced for
 * all that arrived meanwhile, and removes the files. It takes every reply for a success, keeps no deadline, logs nothing and
 * understands one form of list. What spoolroom takes beyond this is the price of all that a queue is for.
 */
import * as fs from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';

const SESSIONS = 20;
const [spool, port] = process.argv.slice(2);
const sync = promisify(fs.fdatasync);
const pathOf = (number) => `${spool}/${number}`;

const controls = fs
  .readdirSync(spool)
  .map(Number)
  .filter((number) => number > 0 && number % 2 === 0)
  .sort((a, b) => a - b);
const journal = fs.openSync(`${spool}/.journal`, 'a');
/** sent, and not in the journal yet */
let unwritten = [];
/** payloads whose control messages are gone */
const finished = [];
let isWriting = false;
let left = controls.length;

const read = (number) => fs.readFileSync(pathOf(number), 'latin1');

function nextJob() {
  const control = controls.shift();
  if (control === undefined) return null;
  const list = read(control);
  const [, payload] = /^msgid\|(\d+)/m.exec(list);
  const [, sender] = /^envelope_from\|(.*)/m.exec(list);
  const recipients = [...list.matchAll(/^remote\|([^|]*)/gm)].map(([, address]) => address);
  const rcpt = recipients.map((address) => `RCPT TO:<${address}>\r\n`).join('');
  const body = read(payload).replaceAll(/\r?\n/g, '\r\n').replaceAll(/^\./gm, '..');
  const envelope = `MAIL FROM:<${sender}>\r\n${rcpt}DATA\r\n`;
  return { control, payload, recipients, envelope, body: `${body}.\r\n` };
}

async function writeJournal() {
  if (isWriting) return;
  isWriting = true;
  while (unwritten.length > 0) {
    const jobs = unwritten;
    unwritten = [];
    const lines = jobs.map(({ control, payload, recipients, text }) => {
      const changes = recipients.map((address, index) => ({ index, address, status: 2, text }));
      return `${JSON.stringify({ control, payload, changes })}\n`;
    });
    fs.writeSync(journal, lines.join(''));
    await sync(journal);
    for (const { control, payload } of jobs) {
      fs.unlinkSync(pathOf(control));
      finished.push(payload);
    }
    left -= jobs.length;
  }
  isWriting = false;
  if (left === 0) removePayloads();
}

function removePayloads() {
  const folder = fs.openSync(spool, 'r');
  fs.fsyncSync(folder);
  for (const payload of finished) fs.unlinkSync(pathOf(payload));
  fs.fsyncSync(folder);
}

function session() {
  const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  let state = 'greeting';
  let job = null;
  let following = null;
  /** replies to the envelope of `job` that are still to come */
  let awaited = 0;
  let input = '';

  const begin = (next) => {
    job = next;
    state = 'envelope';
    awaited = job.recipients.length + 2;
  };
  const beginOrQuit = (next, envelope) => {
    if (next !== null) begin(next);
    if (envelope) socket.write(next === null ? 'QUIT\r\n' : next.envelope, 'latin1');
    if (next === null) state = 'end';
  };
  const reply = (text) => {
    if (state === 'greeting') {
      socket.write('EHLO bench.example\r\n');
      state = 'ehlo';
    } else if (state === 'ehlo') beginOrQuit(nextJob(), true);
    else if (state === 'envelope' && --awaited === 0) {
      following = nextJob();
      socket.write(job.body + (following === null ? 'QUIT\r\n' : following.envelope), 'latin1');
      state = 'dot';
    } else if (state === 'dot') {
      unwritten.push({ ...job, text });
      queueMicrotask(writeJournal);
      beginOrQuit(following, false);
    }
  };
  socket.on('data', (chunk) => {
    input += chunk.latin1Slice();
    for (let end = input.indexOf('\r\n'); end >= 0; end = input.indexOf('\r\n')) {
      const line = input.slice(0, end);
      input = input.slice(end + 2);
      if (line[3] !== '-') reply(line.slice(4));
    }
  });
}

for (let n = 0; n < SESSIONS; n++) session();
