/** Random conversations of a client with the intake, lock-step or sent ahead, and what must hold for each of them. */
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { INTAKE_DEFAULTS, Intake } from '../../src/intake/listener.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { memoryRoom } from './intake.ts';

/** What a client says before it waits for a reply; one character per byte. */
export type Dialogue = readonly string[];

export const HOSTNAME = 'queue.example';
/** Largest message, bytes. */
export const SIZE = 10_000;

/** By weight: a dialogue that never gets beyond MAIL shows little. */
const COMMANDS: readonly (readonly [weight: number, line: string])[] = [
  [6, 'EHLO client.example'],
  [2, 'HELO client.example'],
  [1, 'LHLO client.example'],
  [1, 'EHLO'],
  [8, 'MAIL FROM:<alice@citadel.example>'],
  [2, 'MAIL FROM:<>'],
  [2, 'MAIL FROM:<alice@citadel.example> SIZE=100'],
  [1, 'MAIL FROM:<alice@citadel.example> SIZE=20000'],
  [1, 'MAIL FROM:<alice@citadel.example> SIZE=x'],
  [1, 'MAIL FROM:<alice@citadel.example> BODY=8BITMIME'],
  [1, 'MAIL FROM:<alice@citadel.example> BODY=9BIT'],
  [1, 'MAIL FROM:<alice@citadel.example> RET=HDRS'],
  [1, 'MAIL FROM:<alice@citadel.example> XPARAMETER=1'],
  [1, 'MAIL FROM:<alice>'],
  [1, 'MAIL FROM:alice@citadel.example'],
  [1, 'MAIL FROM: <alice@citadel.example>'],
  [1, 'MAIL FROM:<caf\xc3\xa9@citadel.example> SMTPUTF8'],
  [10, 'RCPT TO:<bob@one.example>'],
  [2, 'RCPT TO:<Postmaster>'],
  [1, 'RCPT TO:<>'],
  [1, 'RCPT TO:<bob>'],
  [1, 'RCPT TO:bob@one.example'],
  [1, 'RCPT TO:<@relay.example:bob@one.example>'],
  [1, 'RCPT TO:<"bob b"@one.example>'],
  [1, 'RCPT TO:<bob@[192.0.2.1]>'],
  [1, 'RCPT TO:<a|b@one.example>'],
  [1, 'RCPT TO:<bob@one.example> NOTIFY=NEVER'],
  [8, 'DATA'],
  [1, 'DATA now'],
  [3, 'BDAT 5\r\nhallo'],
  [3, 'BDAT 6 LAST\r\nhallo\n'],
  [2, 'BDAT 0 LAST'],
  [1, 'BDAT x'],
  [2, 'RSET'],
  [2, 'NOOP'],
  [1, 'NOOP with words'],
  [1, 'VRFY bob@one.example'],
  [1, 'VRFY'],
  [1, 'HELP'],
  [1, 'QUIT'],
  [1, 'STARTTLS'],
  [1, 'AUTH PLAIN AGEAYg=='],
  [1, 'XFOO bar'],
  [1, ''],
  [1, 'GET / HTTP/1.1'],
];
const WEIGHTED = COMMANDS.flatMap(([weight, line]) => Array<string>(weight).fill(line));

const ODD = ['\0', '\t', ' ', '  ', '\r', '\xff', '<', '>', '"', ':', '@', '\\', '=', '.', 'A'];
const TEXT = [
  'Subject: x\r\n',
  '\r\n',
  'text',
  '.',
  '..',
  '\r\n.',
  '\r\n..',
  '\n',
  '\n.',
  '\r',
  '\r.',
  ' ',
  '\xe4',
];

export type Random = () => number;

function pick<T>(from: readonly [T, ...T[]] | readonly T[], random: Random): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error('nothing to choose from');
  return one;
}

function mutated(line: string, random: Random): string {
  if (random() < 0.15) return line.toLowerCase();
  if (random() > 0.1) return line;
  const at = Math.floor(random() * (line.length + 1));
  return line.slice(0, at) + pick(ODD, random) + line.slice(at + (random() < 0.5 ? 1 : 0));
}

/** Text of a message with its end; nothing within it is CRLF.CRLF. */
function messageText(random: Random): string {
  const parts = Array.from({ length: Math.floor(random() * 12) }, () => pick(TEXT, random));
  if (random() < 0.03) parts.push('a long line of a large message\r\n'.repeat(400));
  const text = parts.join('').replace(/(?<=^|\r\n)\.(?=\r\n)/g, '..');
  return `${text}${text.endsWith('\r\n') || text === '' ? '' : '\r\n'}.\r\n`;
}

/**
 * A conversation of up to `most` commands. What stands behind a command that may begin a message is its text; where the
 * command was refused, a lock-step client leaves it out.
 */
export function randomDialogue(random: Random, most: number): Dialogue {
  const said: string[] = random() < 0.8 ? ['EHLO client.example\r\n'] : [];
  if (random() < 0.6) said.push('MAIL FROM:<alice@citadel.example>\r\n', 'RCPT TO:<bob@one.example>\r\n');
  while (said.length < most) {
    const given = mutated(pick(WEIGHTED, random), random);
    const line = /^BDAT/i.test(given) ? given : (given.split('\r\n')[0] ?? '');
    const end = /^BDAT \d+(?: LAST)?\r\n/i.test(line) ? '' : random() < 0.03 ? '\n' : '\r\n';
    said.push(line + end);
    if (/^DATA\r?\n?$/i.test(line)) said.push(messageText(random));
  }
  return said;
}

const CHUNK = /^[ \t]*BDAT[ \t]+(\d+)(?:[ \t]+LAST)?[ \t]*\r?\n/i;

/**
 * The dialogue as a server reads it, one command in each step: what is left behind a chunk begins the next command, or is one
 * itself. Without this a lock-step client takes the reply to what was left for that to its next line, and so on.
 */
export function steps(dialogue: Dialogue): Dialogue {
  const said: string[] = [];
  let left = '';
  for (const [index, entry] of dialogue.entries()) {
    // The text of a message whose DATA is another word now.
    if (/^DATA\r?\n?$/i.test(dialogue[index - 1] ?? '') && !/^DATA\r?\n?$/i.test(said.at(-1) ?? '')) continue;
    const text = left + entry;
    // Behind what was left of a chunk, an entry is no longer one command, or the text of a message.
    const [command = left === '' ? text : '', size = '0'] = CHUNK.exec(text) ?? [];
    const end = command.length + Number(size);
    if (end > 0) said.push(text.slice(0, end));
    const lines = text.slice(end).split(/(?<=\n)/);
    left = lines.at(-1)?.endsWith('\n') === false ? (lines.pop() ?? '') : '';
    said.push(...lines.filter((line) => line !== ''));
  }
  return said;
}

export interface Outcome {
  /** all that the intake said */
  readonly heard: string;
  /** payloads without our Received field, in order */
  readonly messages: readonly string[];
}

/** The whole conversation sent ahead in these pieces, over a connection in memory. */
export async function converse(pieces: readonly string[], scratch: string): Promise<Outcome> {
  const room = memoryRoom();
  const events = { queued() {}, refused() {}, loginFailed() {}, warning() {} };
  const options = { ...INTAKE_DEFAULTS, hostname: HOSTNAME, size: SIZE, scratch };
  const intake = new Intake(options, { queue: room, clock: systemClock, events });
  let heard = '';
  const wire = new MemorySocket((bytes) => {
    heard += bytes;
  });
  intake.accept(wire.socket);
  for (const piece of pieces) {
    if (wire.writableEnded) break;
    wire.say(piece);
    if (pieces.length < 1000) await setImmediate();
  }
  wire.hangUp();
  await finished(wire, { readable: false }).catch(() => {});
  wire.destroy();
  await intake.close();
  const messages = room.jobs.map(({ payload }) => payload.replace(/^Received: (?:.*\r\n\t)*.*\r\n/, ''));
  return { heard: heard.replaceAll(/job \d+, mail \d+/g, 'a job'), messages };
}

/** What is wrong with a conversation, whoever the client is; null: nothing. */
export function violation(whole: Outcome, cut: Outcome): string | null {
  const lines = whole.heard.split('\r\n');
  if (lines.pop() !== '') return 'the last reply has no line end';
  const odd = lines.find((line) => !/^[2345]\d\d[ -][ -~]*$/.test(line));
  if (odd !== undefined) return `a line that is not a reply: ${JSON.stringify(odd)}`;
  const queued = lines.filter((line) => line.startsWith('250 2.6.0 ')).length;
  if (queued !== whole.messages.length)
    return `${queued} messages acknowledged, ${whole.messages.length} in the queue`;
  if (whole.heard !== cut.heard) return 'cut into pieces it is another conversation';
  if (whole.messages.join('\0') !== cut.messages.join('\0'))
    return 'cut into pieces it brings other messages';
  return null;
}
