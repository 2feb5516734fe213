/**
 * Real processes, killed at random times: `run` and `watch` deliver from a real directory to real servers, and what the
 * servers have received is compared with what they should have. What cannot be seen from outside, such as a
 * power failure, is left to the simulation (test/simulation).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { setTimeout as passed } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { stripHeader } from '../../src/delivery-list/header.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { seededRandom } from '../support/spool.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));

export interface TortureOptions {
  /** an empty directory */
  readonly spool: string;
  readonly kills: number;
  readonly seed: number;
}

export interface Tortured {
  /** what must not happen and did happen, in sentences */
  readonly violations: readonly string[];
  readonly messages: number;
  readonly accepted: number;
  /** second deliveries, each in the window that a kill opens */
  readonly twice: number;
  readonly reports: number;
  /** processes that found another one running */
  readonly busy: number;
}

/** Undisturbed runs after which nothing may be left. */
const LAST_RUNS = 5;
/** Milliseconds after its start at which a process may be killed. */
const EARLIEST = 40;
const LATEST = 350;

export async function torture({ spool, kills, seed }: TortureOptions): Promise<Tortured> {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const refuse: Record<string, { code: number; text: string }> = {};
  const server = await startSmtpServer({ refuse });
  const observed = new Observations();
  const violations: string[] = [];
  const recipients: string[] = [];
  let number = 0;
  let seen = 0;
  let busy = 0;

  function enqueue(): void {
    const subject = `m${number}`;
    const names = Array.from({ length: 1 + below(3) }, (_, n) => `${subject}.${n}@torture.example`);
    for (const name of names) if (below(15) === 0) refuse[name] = { code: 550, text: 'No such user' };
    recipients.push(...names);
    const msgid = ++number;
    putIntoPlace(
      spool,
      msgid,
      `From: me@me.example\nSubject: ${subject}\n\n${'so it goes\n'.repeat(below(500))}`,
    );
    const facts = { bounceto: 'me@me.example', envelopeFrom: 'me@me.example', sourceRoom: null };
    const submitted = Math.floor(Date.now() / 1000);
    putIntoPlace(spool, ++number, newControlText({ ...facts, msgid, submitted, recipients: names }));
  }

  function start(command: 'run' | 'watch', round: number): Process {
    const relay = `127.0.0.1:${server.port}`;
    const words = [
      '--spool',
      spool,
      '--smarthost',
      relay,
      '--return',
      `smtp://${relay}`,
      '--hostname',
      'me.example',
    ];
    const pace = command === 'run' ? ['--force'] : ['--poll', '1s'];
    const log = ['--log.level', 'info', '--log.format', 'json', '--limit.sessions', '4'];
    return new Process([command, ...words, ...pace, ...log], (line) => observed.readLog(line, round));
  }

  /** What the servers accepted since the last call was sent by this process, or by the one beside it. */
  function collect(round: number): void {
    for (const { recipients: to, sender, content } of server.accepted.slice(seen)) {
      if (sender === '') observed.reported(content.toString('latin1'));
      else for (const address of to) observed.accepted(address, round);
    }
    seen = server.accepted.length;
  }

  try {
    for (let round = 0; round < kills; round++) {
      for (let count = below(12); count >= 0; count--) enqueue();
      const first = start(below(3) === 0 ? 'watch' : 'run', round);
      const second = below(4) === 0 ? start('run', round) : null;
      await Promise.race([first.ended, passed(EARLIEST + below(LATEST - EARLIEST))]);
      first.kill();
      await first.ended;
      if (second !== null && (await second.ended) === 0 && second.isBusy) busy++;
      collect(round);
      violations.push(...brokenLists(spool));
    }
    for (let round = kills; round < kills + LAST_RUNS && messagesLeft(spool).length > 0; round++) {
      const code = await start('run', round).ended;
      if (code !== 0) violations.push(`an undisturbed run ended with ${code}`);
      collect(round);
    }
  } finally {
    await server.close();
  }
  violations.push(...observed.problems(recipients, new Set(Object.keys(refuse))));
  const left = messagesLeft(spool);
  if (left.length > 0) violations.push(`left over: ${left.join(' ')}`);
  const temporary = fs.readdirSync(`${spool}/.spoolroom/tmp`);
  if (temporary.length > 0) violations.push(`temporary files are left over: ${temporary.join(' ')}`);
  return { violations, messages: number / 2, busy, ...observed.counts };
}

/** One process of the program. */
class Process {
  /** exit code; null when it was killed */
  readonly ended: Promise<number | null>;
  isBusy = false;
  readonly #child: ChildProcess;

  constructor(words: readonly string[], logged: (line: string) => void) {
    this.#child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    this.ended = once(this.#child, 'close').then(([code]) => {
      for (const line of text.split('\n')) logged(line);
      this.isBusy = text.includes('is already delivering from');
      return code;
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What servers and processes reported of each recipient. Rounds are numbered in the order in which they happened. */
class Observations {
  readonly #acceptances = new Map<string, number[]>();
  /** by recipient: the round in which its delivery was logged as durable */
  readonly #durable = new Map<string, number>();
  readonly #reports = new Map<string, number>();
  readonly #violations: string[] = [];

  readLog(line: string, round: number): void {
    if (line.includes('this is a bug in spoolroom')) this.#violations.push(`round ${round}: ${line}`);
    // The kill may have cut off the last line.
    if (!line.startsWith('{') || !line.endsWith('}')) return;
    const { event, recipient } = JSON.parse(line);
    if (event === 'delivered') this.#durable.set(recipient, round);
  }

  accepted(address: string, round: number): void {
    const durable = this.#durable.get(address) ?? round;
    if (durable < round)
      this.#violations.push(
        `${address} got its message in round ${round}, and again: delivery was durable in round ${durable}`,
      );
    this.#acceptances.set(address, [...(this.#acceptances.get(address) ?? []), round]);
  }

  reported(content: string): void {
    for (const [, address = ''] of content.matchAll(/^Final-Recipient: rfc822; ?(\S+)/gim))
      this.#reports.set(address, (this.#reports.get(address) ?? 0) + 1);
  }

  problems(recipients: readonly string[], refused: ReadonlySet<string>): readonly string[] {
    const lost = recipients.filter((each) => !refused.has(each) && !this.#acceptances.has(each));
    const unreported = recipients.filter((each) => refused.has(each) && !this.#reports.has(each));
    return [
      ...this.#violations,
      ...lost.map((each) => `${each} never got its message`),
      ...unreported.map((each) => `${each} was refused, and its sender was not told`),
    ];
  }

  get counts() {
    const rounds = [...this.#acceptances.values()];
    const accepted = rounds.reduce((sum, each) => sum + each.length, 0);
    const reports = [...this.#reports.values()].reduce((sum, each) => sum + each, 0);
    return { accepted, twice: accepted - rounds.length, reports };
  }
}

/** Atomically, as other programs do: under another name first. */
function putIntoPlace(spool: string, number: number, text: string): void {
  fs.writeFileSync(`${spool}/.new`, text, 'latin1');
  fs.renameSync(`${spool}/.new`, `${spool}/${number}`);
}

function messagesLeft(spool: string): readonly string[] {
  return fs.readdirSync(spool).filter((name) => /^\d+$/.test(name));
}

/** Delivery lists that are incomplete or unreadable; there must never be one. */
function brokenLists(spool: string): readonly string[] {
  return messagesLeft(spool).flatMap((name) => {
    const text = fs.readFileSync(`${spool}/${name}`, 'latin1');
    if (!text.startsWith('Content-type: application/x-citadel-delivery-list')) return [];
    const list = parseDeliveryList(stripHeader(text).instructions, { dialect: 'detect', fallback: '2012' });
    const whole = text.endsWith('\n') && list.kind === 'list' && list.job.recipients.length > 0;
    return whole ? [] : [`the list ${name} is broken: ${JSON.stringify(text)}`];
  });
}
