/**
 * What the peer offered in its EHLO reply (RFC 5321 4.1.1.1). Every line is read (R088); keywords are compared
 * without case; what we do not know is ignored. After HELO nothing is offered.
 */
import type { ByteString } from '../platform/bytes.ts';

export interface Capabilities {
  readonly starttls: boolean;
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  /** SIZE was offered; RFC 1870 */
  readonly size: boolean;
  /** largest message in bytes, 0 = no fixed limit */
  readonly maxSize: number;
  /** SASL mechanisms, upper case */
  readonly auth: readonly string[];
  /** RFC 9422: transactions in one session, recipients in one transaction; null = not said */
  readonly mailMax: number | null;
  readonly rcptMax: number | null;
}

export const NO_CAPABILITIES: Capabilities = {
  starttls: false,
  pipelining: false,
  chunking: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  size: false,
  maxSize: 0,
  auth: [],
  mailMax: null,
  rcptMax: null,
};

type Reader = (words: readonly string[], read: Capabilities) => Partial<Capabilities>;

const KEYWORDS: { readonly [keyword: string]: Reader } = {
  STARTTLS: () => ({ starttls: true }),
  PIPELINING: () => ({ pipelining: true }),
  CHUNKING: () => ({ chunking: true }),
  '8BITMIME': () => ({ eightBitMime: true }),
  SMTPUTF8: () => ({ smtpUtf8: true }),
  DSN: () => ({ dsn: true }),
  SIZE: ([limit]) => ({ size: true, maxSize: natural(limit) ?? 0 }),
  AUTH: (mechanisms, read) => ({ auth: [...read.auth, ...mechanisms] }),
  LIMITS: (words) => ({ mailMax: limitOf(words, 'MAILMAX'), rcptMax: limitOf(words, 'RCPTMAX') }),
};

/** Read the text of an EHLO reply: lines joined by LF, the first of which is the server's name. */
export function readCapabilities(text: ByteString): Capabilities {
  let read = NO_CAPABILITIES;
  for (const line of text.split('\n').slice(1)) {
    // Some servers still say `AUTH=LOGIN`, the form from before RFC 2554.
    const [keyword = '', ...words] = line
      .toUpperCase()
      .replace(/^AUTH=/, 'AUTH ')
      .trim()
      .split(/\s+/);
    const reader = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
    if (reader !== undefined) read = { ...read, ...reader(words, read) };
  }
  return read;
}

function limitOf(words: readonly string[], name: string): number | null {
  const word = words.find((each) => each.startsWith(`${name}=`));
  return word === undefined ? null : natural(word.slice(name.length + 1)) || null;
}

function natural(digits: string | undefined): number | null {
  return digits !== undefined && /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}
