/**
 * `npm run test:peers`: deliver to Postfix, Exim and OpenSMTPD as they come from Debian, with TLS and AUTH where they
 * can, and compare what arrives byte for byte; then let Exim hand mail to the intake. They cannot be installed together; a missing one
 * is named and left out. Exit status 1 when something arrived differently than it was sent, 69 when no peer is installed.
 */
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { testCa } from '../support/certificates.ts';
import { CLIENTS, type Client } from './clients.ts';
import { DOMAIN, isInstalled, LOGIN, PEERS, type Peer, type Site } from './peers.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));
const TIMEOUT = 60_000;

interface Message {
  readonly name: string;
  /** LF line ends */
  readonly body: string;
  readonly recipients: number;
}

const MESSAGES: readonly Message[] = [
  { name: 'one recipient', body: 'Hello.\n', recipients: 1 },
  { name: 'fifty recipients', body: 'Hello all.\n', recipients: 50 },
  { name: '8-bit', body: 'Gr\xc3\xbc\xc3\x9fe, na\xefve Latin-1, \x80\xff\n', recipients: 1 },
  { name: 'dots', body: '.\n..\n...\n.hidden\n\n.\nend.\n.\n', recipients: 1 },
  { name: 'long lines', body: `${'x'.repeat(998)}\n.${'y'.repeat(997)}\n`, recipients: 1 },
  { name: 'blank lines and blanks', body: '\n\n  \t\n trailing \t \n\n\n', recipients: 1 },
  { name: '20 MB', body: `${'0123456789abcdef'.repeat(4)}\n`.repeat(307_693), recipients: 1 },
];

function textOf({ name, body }: Message): string {
  return `From: sender@${DOMAIN}\nTo: all@${DOMAIN}\nSubject: ${name}\nMessage-ID: <${name.replaceAll(' ', '-')}@${DOMAIN}>\nDate: Sat, 14 Jul 2012 12:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n${body}`;
}

function fillSpool(spool: string): void {
  for (const [index, mail] of MESSAGES.entries()) {
    const msgid = 2 * index + 1;
    writeFileSync(join(spool, String(msgid)), textOf(mail), 'latin1');
    const list = newControlText({
      msgid,
      submitted: Math.floor(Date.now() / 1000),
      bounceto: `sender@${DOMAIN}`,
      envelopeFrom: `sender@${DOMAIN}`,
      sourceRoom: null,
      recipients: Array.from({ length: mail.recipients }, (_, n) => `r${n}@${DOMAIN}`),
    });
    writeFileSync(join(spool, String(msgid + 1)), list);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/** Polls until `done` returns true. */
async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + TIMEOUT;
  while (!(await done())) {
    if (performance.now() > end) throw new Error(`${what} did not happen in ${TIMEOUT / 1000} seconds`);
    await pause(100);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 });
    socket.on('timeout', () => socket.destroy());
    socket.on('data', () => {
      socket.end('QUIT\r\n');
      resolve(true);
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}

function arrivedIn(site: Site): readonly string[] {
  return readdirSync(join(site.mailbox, 'new')).map((name) =>
    readFileSync(join(site.mailbox, 'new', name), 'latin1'),
  );
}

/** The message without the fields that servers put in front. */
function asSent(stored: string): string {
  return stored.slice(Math.max(0, stored.indexOf(`From: sender@${DOMAIN}`)));
}

/** The differences, one sentence each. */
function differences(stored: readonly string[]): readonly string[] {
  const texts = stored.map(asSent);
  return MESSAGES.flatMap((mail) => {
    const copies = texts.filter((text) => text.includes(`\nSubject: ${mail.name}\n`));
    const right = copies.filter((text) => text === textOf(mail)).length;
    return copies.length === mail.recipients && right === mail.recipients
      ? []
      : [`${mail.name}: ${copies.length} of ${mail.recipients} arrived, ${right} as they were sent`];
  });
}

/** Resolves to the output. Not synchronous, because this process answers for one of the peers. */
function spoolroom(words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...words], { timeout: TIMEOUT }, (_, out, output) =>
      resolve(out + output),
    );
  });
}

async function deliverTo(peer: Peer, site: Site): Promise<readonly string[]> {
  const spool = join(site.directory, 'spoolroom');
  const ca = join(site.directory, 'ca.crt');
  mkdirSync(spool);
  fillSpool(spool);
  writeFileSync(ca, testCa);
  await until(`the start of ${peer.name}`, () => answers(site.port));
  const login = peer.secure ? `${LOGIN.user}:${encodeURIComponent(LOGIN.password)}@` : '';
  const relay = `${login}localhost:${site.port}`;
  const words = [
    'run',
    '--spool',
    spool,
    '--smarthost',
    relay,
    '--tls-ca',
    ca,
    '--hostname',
    'queue.example',
  ];
  const output = await spoolroom(words);
  const left = readdirSync(spool).filter((name) => /^\d+$/.test(name));
  if (left.length > 0) return [`spoolroom left ${left.length} files: ${output}`];
  const expected = MESSAGES.reduce((sum, { recipients }) => sum + recipients, 0);
  await until(`the arrival of ${expected} messages`, () => arrivedIn(site).length >= expected);
  return differences(arrivedIn(site));
}

async function tryPeer(peer: Peer): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'spoolroom-peer-'));
  const site = { directory, mailbox: join(directory, 'mail'), port: await freePort() };
  const stop = await peer.start(site);
  try {
    return await deliverTo(peer, site);
  } finally {
    stop();
    await until(`the end of ${peer.name}`, async () => !(await answers(site.port)));
    rmSync(directory, { recursive: true });
  }
}

/** What is wrong in a spool after a client submitted all messages, one sentence each. */
async function takeFrom(client: Client): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'spoolroom-peer-'));
  chmodSync(directory, 0o755);
  const spool = join(directory, 'spool');
  mkdirSync(spool);
  const port = await freePort();
  const words = ['intake', '--spool', spool, '--hostname', 'queue.example', '--log.level', 'error'];
  const intake = spawn(process.execPath, [PROGRAM, ...words, '--intake.listen', `127.0.0.1:${port}`]);
  try {
    await until('the start of the intake', () => answers(port));
    for (const mail of MESSAGES) {
      const recipients = Array.from({ length: mail.recipients }, (_, n) => `r${n}@${DOMAIN}`);
      client.submit(directory, port, `sender@${DOMAIN}`, recipients, textOf(mail));
    }
    const texts = readdirSync(spool)
      .filter((name) => /^\d+$/.test(name))
      .map((name) => asSent(readFileSync(join(spool, name), 'latin1')));
    return MESSAGES.flatMap((mail) => {
      const right = texts.filter((text) => text === textOf(mail).replaceAll('\n', '\r\n')).length;
      return right === 1 ? [] : [`${mail.name}: ${right} times in the spool as it was submitted, not once`];
    });
  } finally {
    intake.kill();
    rmSync(directory, { recursive: true });
  }
}

let tried = 0;
for (const peer of PEERS) {
  if (!isInstalled(peer)) {
    console.log(`${peer.name}: not installed here (apt-get install ${peer.package}), left out`);
    continue;
  }
  tried++;
  const wrong = await tryPeer(peer);
  const how = peer.secure ? 'with TLS and AUTH' : 'in clear';
  const good = `${MESSAGES.length} messages ${how}, all copies byte for byte as sent`;
  console.log(`${peer.name} ${peer.version()}: ${wrong.length === 0 ? good : wrong.join('; ')}`);
  if (wrong.length > 0) process.exitCode = 1;
}
for (const client of CLIENTS.filter(({ program }) => existsSync(program))) {
  const wrong = await takeFrom(client);
  const good = `${MESSAGES.length} messages submitted to the intake, each once and byte for byte`;
  console.log(`${client.name}: ${wrong.length === 0 ? good : wrong.join('; ')}`);
  if (wrong.length > 0) process.exitCode = 1;
}
if (tried === 0) process.exitCode = 69;
