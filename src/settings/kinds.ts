/** The kinds of values a setting can have, and how they are read from text or JSON. A bad value is a problem, never an exception. */

import { didYouMean } from '../platform/suggest.ts';
import { redactEntry, redactReturn } from './redact.ts';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

export interface Kind<T> {
  /** for help and documentation: `NUMBER`, `none|require` */
  readonly hint: string;
  /** the setting may be given several times */
  readonly many: boolean;
  /** a switch without a value */
  readonly flag: boolean;
  /** a password may be anywhere in it where it is wrong: no error quotes it */
  readonly secret?: true;
  /** What is shown of a value that may hold a password, as it was given. Absent: none does. */
  redact?(given: unknown): unknown;
  /** `given` comes from the command line, the environment or a JSON file */
  read(given: unknown): Read<T>;
}

const good = <T>(value: T): Read<T> => ({ ok: true, value });
const bad = (problem: string): { readonly ok: false; readonly problem: string } => ({ ok: false, problem });

function one<T>(hint: string, read: (text: string) => Read<T>): Kind<T> {
  return {
    hint,
    many: false,
    flag: false,
    read: (given) =>
      typeof given === 'string' || typeof given === 'number'
        ? read(String(given).trim())
        : bad(`is ${Array.isArray(given) ? 'given more than once' : 'not a single value'}`),
  };
}

export function list<T>(kind: Kind<T>): Kind<readonly T[]> {
  const { redact } = kind;
  return {
    hint: kind.hint,
    many: true,
    flag: false,
    read: (given) => {
      const values: T[] = [];
      for (const each of Array.isArray(given) ? given : [given]) {
        const read = kind.read(each);
        if (!read.ok) return read;
        values.push(read.value);
      }
      return good(values);
    },
    ...(redact === undefined
      ? {}
      : { redact: (given) => (Array.isArray(given) ? given.map(redact) : redact(given)) }),
  };
}

export const text: Kind<string> = one('TEXT', good);
/** A relay, which may have a password in it. */
export const relayEntry: Kind<string> = {
  ...text,
  redact: (given) => (typeof given === 'string' ? redactEntry(given) : given),
};
/** Where reports go: a server without credentials, but somebody may write some. */
export const reportPath: Kind<string> = {
  ...text,
  redact: (given) => (typeof given === 'string' ? redactReturn(given) : given),
};
/** The address of a database, which may have a password in it. */
export const databaseAddress: Kind<string> = {
  ...relayEntry,
  hint: 'postgres://HOST/DATABASE',
  secret: true,
  read: (given) =>
    typeof given === 'string' && /^postgres(?:ql)?:\/\//.test(given.trim())
      ? good(given.trim())
      : bad('is not postgres://[USER@]HOST[:PORT][,HOST...]/DATABASE'),
};
export const path: Kind<string> = one('PATH', (given) => (given === '' ? bad('is empty') : good(given)));

/** A file with passwords. Whoever gives a user and a password themselves is told so, without them. */
export const passwordFile: Kind<string> = {
  ...path,
  secret: true,
  read: (given) =>
    typeof given === 'string' && /^[^/]*[:\s]/.test(given.trim())
      ? bad('is no path of a file; write ./ before a name with a colon or a blank')
      : path.read(given),
};

/** Text of a given form; `what` completes "is not ...". */
export function shaped(hint: string, shape: RegExp, what: string): Kind<string> {
  return one(hint, (given) => (shape.test(given) ? good(given) : bad(`is not ${what}`)));
}

export const hostName = shaped('NAME', /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/, 'a host name');
export const mailbox = shaped(
  'ADDRESS',
  /^[^\s\x00-\x1f\x7f<>@]+@[^\s\x00-\x1f\x7f<>@]+$/,
  'an address like postmaster@example.org',
);

const IPV4 = '\\d{1,3}(?:\\.\\d{1,3}){3}';
const IPV6 = '[0-9A-Fa-f]*:[0-9A-Fa-f:.]+';
export const ipAddress = shaped('ADDRESS', new RegExp(`^(?:${IPV4}|${IPV6})$`), 'an IP address');
export const nameServer = shaped(
  'ADDRESS[:PORT]',
  new RegExp(`^(?:${IPV4}(?::\\d{1,5})?|${IPV6}|\\[${IPV6}\\](?::\\d{1,5})?)$`),
  'ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6)',
);
export const pin = shaped(
  'HOST=SHA256',
  /^[^\s=]+=[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$/,
  'HOST=FINGERPRINT with the 64 hexadecimal digits of SHA-256',
);

export const httpsOrigin = shaped(
  'https://HOST[:PORT]',
  /^https:\/\/[a-z\d]([a-z\d.-]*[a-z\d])?(:\d{1,5})?$/,
  'https://HOST or https://HOST:PORT in lower case, without a path',
);

export const hostTls = shaped(
  'HOST=POLICY',
  /^[^\s=]+=(?:none|opportunistic|require)$/,
  'HOST=none, HOST=opportunistic or HOST=require',
);

/** Those of smtp/mechanisms.ts. */
export const MECHANISM_NAMES = [
  ...(['SCRAM-SHA-256', 'SCRAM-SHA-1', 'CRAM-MD5', 'PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2'] as const),
] as const;

/** The keywords of smtp/capabilities.ts. */
export const EXTENSION_NAMES = [
  ...([
    'STARTTLS',
    'PIPELINING',
    'CHUNKING',
    '8BITMIME',
    'SMTPUTF8',
    'DSN',
    'SIZE',
    'AUTH',
    'LIMITS',
    'REQUIRETLS',
  ] as const),
] as const;

export const hostMechanism = hostWord('MECHANISM', MECHANISM_NAMES);
export const hostExtension = hostWord('KEYWORD', EXTENSION_NAMES);

function hostWord(what: string, words: readonly string[]): Kind<string> {
  const named = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return shaped(
    `HOST=${what}`,
    new RegExp(`^[^\\s=]+=(?:${words.join('|')})$`),
    `HOST=${what}; ${what} is ${named}`,
  );
}

export const flag: Kind<boolean> = {
  hint: '',
  many: false,
  flag: true,
  read: (given) => {
    if (given === true || given === 'true' || given === '1' || given === '') return good(true);
    if (given === false || given === 'false' || given === '0') return good(false);
    return bad('is neither true nor false');
  },
};

export function choice<const T extends string>(...choices: readonly T[]): Kind<T> {
  return one(choices.join('|'), (given) => {
    const found = choices.find((each) => each === given);
    return found === undefined
      ? bad(`is not one of ${choices.join(', ')}${didYouMean(given, choices)}`)
      : good(found);
  });
}

export function count(least: number, most: number): Kind<number> {
  return one('NUMBER', (given) => {
    const value = Number(given);
    return /^\d+$/.test(given) && value >= least && value <= most
      ? good(value)
      : bad(`is not a whole number from ${least} to ${most}`);
  });
}

const UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest duration. */
const LONGEST_DAYS = 10_000;

/** Milliseconds. A bare number is seconds. */
export const duration: Kind<number> = one('DURATION', (given) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(given);
  const unit = UNITS[match?.[2] ?? 's'];
  if (match === null || unit === undefined) return bad('is not a duration like 30s, 5m, 12h or 5d');
  const span = Number(match[1]) * unit;
  return span > LONGEST_DAYS * 86_400_000 ? bad(`is longer than ${LONGEST_DAYS} days`) : good(span);
});

/** A duration that would stop everything, or never pause, if it were shorter than so many milliseconds. */
function noShorterThan(least: number, words: string): Kind<number> {
  return {
    ...duration,
    read: (given) => {
      const read = duration.read(given);
      return read.ok && read.value < least ? bad(`is shorter than ${words}`) : read;
    },
  };
}

/** For a server to answer. */
export const patience: Kind<number> = noShorterThan(1, '1ms');
/** Of what a process has claimed: three renewals and a reply fit into it. */
export const lease: Kind<number> = noShorterThan(1000, '1s');
/** Between two scans. */
export const interval: Kind<number> = noShorterThan(100, '100ms');
/** Between two attempts. */
export const wait: Kind<number> = noShorterThan(1000, '1s');

/** A point in time as Unix seconds, or as a duration from now: `+3h`, `-10m` (milliseconds). */
export type Moment = { readonly at: number } | { readonly shift: number };

export const moment: Kind<Moment> = one<Moment>('SECONDS|+3h', (given) => {
  if (/^\d{1,12}$/.test(given)) return good({ at: Number(given) });
  const sign = given[0] === '-' ? -1 : given[0] === '+' ? 1 : 0;
  const span = sign === 0 ? null : duration.read(given.slice(1));
  return span?.ok === true
    ? good({ shift: sign * span.value })
    : bad('is neither Unix seconds nor a duration like +3h');
});
