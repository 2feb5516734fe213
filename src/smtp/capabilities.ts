/**
 * The capabilities a server lists in its reply to EHLO (RFC 5321 4.1.1.1). Keywords are compared case-insensitively, unknown
 * ones are ignored. After HELO there are none.
 */
import type { ByteString } from '../platform/bytes.ts';

export interface Capabilities {
  readonly starttls: boolean;
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  /** RFC 8689 */
  readonly requireTls: boolean;
  /** SIZE is offered (RFC 1870) */
  readonly size: boolean;
  /** largest message in bytes; 0: no fixed limit */
  readonly maxSize: number;
  /** SASL mechanisms, upper case */
  readonly auth: readonly string[];
  /** RFC 9422: transactions in one session, recipients in one transaction; null: no limit given */
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
  requireTls: false,
  size: false,
  maxSize: 0,
  auth: [],
  mailMax: null,
  rcptMax: null,
};

type Reader = (parameters: readonly string[], before: Capabilities) => Partial<Capabilities>;

const KEYWORDS = {
  STARTTLS: () => ({ starttls: true }),
  PIPELINING: () => ({ pipelining: true }),
  CHUNKING: () => ({ chunking: true }),
  '8BITMIME': () => ({ eightBitMime: true }),
  SMTPUTF8: () => ({ smtpUtf8: true }),
  DSN: () => ({ dsn: true }),
  REQUIRETLS: () => ({ requireTls: true }),
  SIZE: ([limit]) => ({ size: true, maxSize: natural(limit) ?? 0 }),
  AUTH: (mechanisms, before) => ({ auth: [...before.auth, ...mechanisms] }),
  LIMITS: (parameters) => ({
    mailMax: limitOf(parameters, 'MAILMAX'),
    rcptMax: limitOf(parameters, 'RCPTMAX'),
  }),
} as const satisfies { readonly [keyword: string]: Reader };

/** An extension by its keyword in the reply to EHLO. */
export type Extension = keyof typeof KEYWORDS;

/** So many recipients are taken in one transaction, as LIMITS would say it (RFC 9422): learned where a server ended the session at the next. */
export type RecipientLimit = `RCPTMAX ${number}`;

/** What a session can do without where a host cannot do it; without EHLO it says HELO. */
export type Refusable = Extension | RecipientLimit | 'EHLO';

export const EXTENSIONS = Object.keys(KEYWORDS) as readonly Extension[];

/**
 * Reads the text of a reply to EHLO: lines joined by LF. The first is the server's name and says nothing else. The extensions
 * `without` count as not offered.
 */
export function readCapabilities(text: ByteString, without: readonly string[] = []): Capabilities {
  let capabilities = NO_CAPABILITIES;
  for (const line of text.split('\n').slice(1)) {
    // Some servers still send `AUTH=LOGIN`, the form from before RFC 2554.
    const [keyword = '', ...parameters] = line
      .toUpperCase()
      .replace(/^AUTH=/, 'AUTH ')
      .trim()
      .split(/\s+/);
    if (!isExtension(keyword) || without.includes(keyword)) continue;
    capabilities = { ...capabilities, ...KEYWORDS[keyword](parameters, capabilities) };
  }
  return capabilities;
}

function isExtension(keyword: string): keyword is Extension {
  return Object.hasOwn(KEYWORDS, keyword);
}

function limitOf(parameters: readonly string[], name: string): number | null {
  const parameter = parameters.find((each) => each.startsWith(`${name}=`));
  return parameter === undefined ? null : natural(parameter.slice(name.length + 1)) || null;
}

function natural(digits: string | undefined): number | null {
  return digits !== undefined && /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}
