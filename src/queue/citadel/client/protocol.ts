/**
 * Citadel's client protocol: the parts of a reply, and the commands we use. Pure: bytes in, tokens out.
 *
 * Lines end with LF. The first digit of a reply tells what follows it: 1 a listing up to a line that is exactly `000`,
 * 6 as many bytes as its first number says, 8 (after our text) a listing, 9 an asynchronous message. Nothing is
 * stuffed. A line `000` in a message is sent with CRLF (MSG2), so only `000` LF ends the listing; but a text without a final
 * line end runs into it (2012). So where users wrote the text, an ECHO of a random word follows the command, and the listing
 * ends right before the answer to it.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { ByteString } from '../../../platform/bytes.ts';

export const QUEUE_ROOM = '__CitadelSMTPspoolout__';

export type ProtocolToken =
  | { readonly kind: 'status'; readonly code: number; readonly text: ByteString }
  /** part of a listing or of a binary answer, line ends as sent; valid until the next feed */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  /** the answer is complete */
  | { readonly kind: 'end' }
  /** a protocol error; nothing after it can be understood */
  | { readonly kind: 'broken'; readonly reason: string };

export interface Decoder {
  feed(bytes: Buffer): ProtocolToken[];
  /** The next answer is followed by the answer to an ECHO of this word. */
  guard(word: string): void;
  /** whether no part of a line or of an answer is left over */
  isClear(): boolean;
}

/** No status line of any era is longer. */
const LONGEST_STATUS = 65_536;
const LF = 0x0a;
const END_OF_LISTING = Buffer.from('000\n');
/** what precedes the word of the ECHO at the end of a listing */
const GUARDED_END = /^000\n200[ *]$/;
const GUARDED_END_LENGTH = 8;

type State =
  | { readonly reading: 'status' }
  /** `lineStart`: the next byte is the first of a line */
  | { readonly reading: 'listing'; readonly lineStart: boolean }
  | { readonly reading: 'binary'; readonly left: number }
  /** a listing whose end is marked by the answer to ECHO */
  | { readonly reading: 'guarded'; readonly word: string }
  /** the answer to ECHO after an answer that is not a listing */
  | { readonly reading: 'echo'; readonly word: string };

/** What follows a status line; null when the next one does. */
function after(code: number, text: ByteString): State | null {
  switch (Math.floor(code / 100)) {
    case 1:
    case 8:
      return { reading: 'listing', lineStart: true };
    case 6:
      return { reading: 'binary', left: Number.parseInt(text, 10) };
  }
  return null;
}

/** A decoder for one connection. */
export function createDecoder(): Decoder {
  let state: State = { reading: 'status' };
  let rest: Buffer = Buffer.alloc(0);
  let guard: string | null = null;

  /** One token from the front of `rest`, or null when more bytes are needed. */
  function next(): ProtocolToken | null {
    switch (state.reading) {
      case 'status':
        return nextStatus();
      case 'listing':
        return nextOfListing(state.lineStart);
      case 'binary':
        return nextOfBinary(state.left);
      case 'guarded':
        return nextOfGuarded(state.word);
      case 'echo':
        return nextEcho(state.word);
    }
  }

  function take(length: number): Buffer {
    const bytes = rest.subarray(0, length);
    rest = rest.subarray(length);
    return bytes;
  }

  function end(): ProtocolToken {
    state = { reading: 'status' };
    return { kind: 'end' };
  }

  /** A status line, skipping asynchronous messages (9xx). Null: its end has not arrived. */
  function nextLine(): { readonly code: number; readonly text: ByteString } | 'broken' | null {
    for (;;) {
      const feed = rest.indexOf(LF);
      if (feed < 0) return rest.length > LONGEST_STATUS ? 'broken' : null;
      const line = take(feed + 1).toString('latin1', 0, feed);
      const [, digits, text = ''] = /^(\d{3})(?:[ *]([\s\S]*?))?\r?$/.exec(line) ?? [];
      if (digits === undefined) return 'broken';
      if (Number(digits) < 900) return { code: Number(digits), text };
    }
  }

  function nextStatus(): ProtocolToken | null {
    const line = nextLine();
    if (line === null) return null;
    if (line === 'broken') return { kind: 'broken', reason: 'something other than a status line' };
    const follows = after(line.code, line.text);
    if (follows?.reading === 'binary' && !(follows.left >= 0 && Number.isSafeInteger(follows.left)))
      return { kind: 'broken', reason: 'a binary answer without a length' };
    // A status with nothing after it is treated as a binary answer of length 0.
    state = follows ?? { reading: 'binary', left: 0 };
    if (guard !== null) state = { reading: state.reading === 'listing' ? 'guarded' : 'echo', word: guard };
    guard = null;
    return { kind: 'status', ...line };
  }

  function nextOfListing(lineStart: boolean): ProtocolToken | null {
    if (lineStart && END_OF_LISTING.subarray(0, rest.length).equals(rest.subarray(0, 4))) {
      if (rest.length < END_OF_LISTING.length) return null;
      take(END_OF_LISTING.length);
      return end();
    }
    if (rest.length === 0) return null;
    const feed = rest.indexOf(LF);
    state = { reading: 'listing', lineStart: feed >= 0 };
    return { kind: 'data', bytes: take(feed < 0 ? rest.length : feed + 1) };
  }

  function nextOfBinary(left: number): ProtocolToken | null {
    if (left === 0) return end();
    if (rest.length === 0) return null;
    const bytes = take(Math.min(left, rest.length));
    state = { reading: 'binary', left: left - bytes.length };
    return { kind: 'data', bytes };
  }

  /** Bytes that cannot be part of the end mark are passed on, even from the middle of a line. */
  function nextOfGuarded(word: string): ProtocolToken | null {
    const at = rest.indexOf(`${word}\n`);
    if (at < 0) {
      const safe = rest.length - (GUARDED_END_LENGTH + word.length);
      return safe > 0 ? { kind: 'data', bytes: take(safe) } : null;
    }
    const from = at - GUARDED_END_LENGTH;
    if (!GUARDED_END.test(rest.toString('latin1', Math.max(0, from), at)))
      return { kind: 'broken', reason: 'a listing without its end' };
    if (from > 0) return { kind: 'data', bytes: take(from) };
    take(GUARDED_END_LENGTH + word.length + 1);
    return end();
  }

  function nextEcho(word: string): ProtocolToken | null {
    const line = nextLine();
    if (line === null) return null;
    if (line === 'broken' || line.code !== 200 || line.text !== word)
      return { kind: 'broken', reason: 'a wrong answer to ECHO' };
    return end();
  }

  return {
    guard(word) {
      guard = word;
    },
    isClear: () => rest.length === 0 && state.reading === 'status',
    feed(bytes) {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      const tokens: ProtocolToken[] = [];
      for (let token = next(); token !== null; token = next()) {
        tokens.push(token);
        if (token.kind === 'broken') break;
      }
      // The caller reuses its buffer for the next read.
      rest = Buffer.from(rest);
      return tokens;
    },
  };
}

/** Whether this text can be sent to the server as it is: a line `000` in it would end it early. */
export function isSendable(text: ByteString): boolean {
  return !/(?:^|\n)000\r?(?:\n|$)/.test(text) && !text.includes('\0');
}

/** Whether this can be part of a command: no line end, no NUL. */
export function isOneLine(text: string): boolean {
  return !/[\r\n\0]/.test(text);
}

export const COMMANDS = {
  goto: `GOTO ${QUEUE_ROOM}`,
  list: 'MSGS ALL',
  /** format 4: the text carries its own content type; confirm 1: the new number comes back */
  post: 'ENT0 1||0|4|QMSG||1',
  internetConfig: 'CONF GETSYS|application/x-citadel-internet-config',
  fqdn: 'CONF GETVAL|c_fqdn',
  /** all settings by position, for servers before 2015 */
  settings: 'CONF GET',
  /** of the server's own SMTP module until March 2017; does nothing without a parameter */
  smtp: 'SMTP',
  startTls: 'STLS',
  quit: 'QUIT',
  /** the exact text of a delivery list */
  part: (number: MessageNumber) => `DLAT ${number}|1`,
  /** the serialized message (servers until 2018, admin socket) */
  native: (number: MessageNumber) => `MSG3 ${number}`,
  rfc822: (number: MessageNumber) => `MSG2 ${number}`,
  /** the fields of a message and the types of its parts, without its text */
  fields: (number: MessageNumber) => `MSG0 ${number}|1`,
  remove: (numbers: readonly MessageNumber[]) => `DELE ${numbers.join(',')}`,
  user: (name: string) => `USER ${name}`,
  password: (password: string) => `PASS ${password}`,
} as const;

/** The numbers in a listing; other lines are ignored. */
export function numbersIn(listing: ByteString): MessageNumber[] {
  return listing
    .split('\n')
    .filter((line) => /^[1-9]\d{0,14}$/.test(line))
    .map(Number);
}

/** Whether a refusal means that there is no such message, here or at all. Other refusals may be temporary. */
export function isAbsence(code: number): boolean {
  return code === 550 || code === 560 || (code >= 570 && code < 580);
}

/** Shutting down, too many sessions, busy: the server may do it in a minute. */
export function isTemporary(code: number): boolean {
  return code === 531 || code === 551 || code === 552;
}

/** Content type of a part, from the status line of DLAT: `length|-1|file|type|charset`. */
export function partType(status: ByteString): string {
  return (status.split('|')[3] ?? '').toLowerCase();
}

/** Access level in the reply to PASS: `name|level|...`; 6 is an admin (Aide). */
export function accessLevel(status: ByteString): number {
  return Number(status.split('|')[1] ?? 0);
}
