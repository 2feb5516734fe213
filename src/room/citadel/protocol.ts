/**
 * Citadel's client protocol: what a reply is made of, and the texts of the commands the live room uses. Called by
 * session.ts, and by the tests with the recorded sessions of three eras. Pure: gets bytes, gives pieces.
 *
 * Lines end in LF. The first digit of a reply says what follows it: 1 a listing up to a line that is exactly `000`,
 * 6 as many bytes as its first number says, 8 (after our text) a listing, 9 a message between others. Nothing is
 * stuffed; but a line `000` of a message comes with CRLF (MSG2), so that only `000` LF ends the listing.
 */
import type { ByteString } from '../../control/job.ts';
import type { MessageNumber } from '../room.ts';

export const QUEUE_ROOM = '__CitadelSMTPspoolout__';

export type Piece =
  | { readonly kind: 'status'; readonly code: number; readonly text: ByteString }
  /** part of a listing or of a binary answer, line ends as sent; valid until the next feed */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  /** the answer is complete */
  | { readonly kind: 'end' }
  /** this is not the protocol; nothing more can be understood */
  | { readonly kind: 'broken'; readonly reason: string };

export interface Decoder {
  feed(bytes: Buffer): Piece[];
}

/** No status line of any era is longer. */
const LONGEST_STATUS = 65_536;
const LF = 0x0a;
const END_OF_LISTING = Buffer.from('000\n');

type State =
  | { readonly reading: 'status' }
  /** `lineStart`: the next byte is the first of a line */
  | { readonly reading: 'listing'; readonly lineStart: boolean }
  | { readonly reading: 'binary'; readonly left: number };

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

  /** One piece from the front of `rest`, or null when more bytes are needed. */
  function next(): Piece | null {
    switch (state.reading) {
      case 'status':
        return nextStatus();
      case 'listing':
        return nextOfListing(state.lineStart);
      case 'binary':
        return nextOfBinary(state.left);
    }
  }

  function take(length: number): Buffer {
    const bytes = rest.subarray(0, length);
    rest = rest.subarray(length);
    return bytes;
  }

  function end(): Piece {
    state = { reading: 'status' };
    return { kind: 'end' };
  }

  function nextStatus(): Piece | null {
    const feed = rest.indexOf(LF);
    if (feed < 0) {
      return rest.length > LONGEST_STATUS ? { kind: 'broken', reason: 'a status line without an end' } : null;
    }
    const line = take(feed + 1).toString('latin1', 0, feed);
    const [, digits, text = ''] = /^(\d{3})(?:[ *](.*?))?\r?$/.exec(line) ?? [];
    if (digits === undefined) return { kind: 'broken', reason: 'a status line without its three digits' };
    const code = Number(digits);
    if (code >= 900) return next();
    const follows = after(code, text);
    if (follows?.reading === 'binary' && !(follows.left >= 0 && Number.isSafeInteger(follows.left)))
      return { kind: 'broken', reason: 'a binary answer without a length' };
    // A status with nothing behind it ends by itself: length 0 says so in the same words.
    state = follows ?? { reading: 'binary', left: 0 };
    return { kind: 'status', code, text };
  }

  function nextOfListing(lineStart: boolean): Piece | null {
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

  function nextOfBinary(left: number): Piece | null {
    if (left === 0) return end();
    if (rest.length === 0) return null;
    const bytes = take(Math.min(left, rest.length));
    state = { reading: 'binary', left: left - bytes.length };
    return { kind: 'data', bytes };
  }

  return {
    feed(bytes) {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      const pieces: Piece[] = [];
      for (let piece = next(); piece !== null; piece = next()) {
        pieces.push(piece);
        if (piece.kind === 'broken') break;
      }
      // The caller's buffer is used again for the next read.
      rest = Buffer.from(rest);
      return pieces;
    },
  };
}

/** Whether this text can be sent to the server as it is: a line `000` of its own would end it early. */
export function isSendable(text: ByteString): boolean {
  return !/(?:^|\n)000\r?(?:\n|$)/.test(text) && !text.includes('\0');
}

/** Whether this can be said in a command: no line end, no NUL. */
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
  startTls: 'STLS',
  quit: 'QUIT',
  /** the exact text of a delivery list */
  part: (number: MessageNumber) => `DLAT ${number}|1`,
  /** the serialized message (servers until 2018, admin socket) */
  native: (number: MessageNumber) => `MSG3 ${number}`,
  rfc822: (number: MessageNumber) => `MSG2 ${number}`,
  remove: (numbers: readonly MessageNumber[]) => `DELE ${numbers.join(',')}`,
  user: (name: string) => `USER ${name}`,
  password: (password: string) => `PASS ${password}`,
} as const;

/** The numbers of a listing; lines that are none are left out. */
export function numbersIn(listing: ByteString): MessageNumber[] {
  return listing
    .split('\n')
    .filter((line) => /^[1-9]\d{0,14}$/.test(line))
    .map(Number);
}

/** Content type of a part, from the status line of DLAT: `length|-1|file|type|charset`. */
export function partType(status: ByteString): string {
  return (status.split('|')[3] ?? '').toLowerCase();
}

/** Access level in the reply to PASS: `name|level|...`; 6 is an admin (Aide). */
export function accessLevel(status: ByteString): number {
  return Number(status.split('|')[1] ?? 0);
}
