/**
 * The built-in worlds, and the reader of world files. techdoc/worlds.md describes the format; a file in any other format is
 * refused with the place and the reason.
 */
import { duration } from '../../settings/kinds.ts';
import { tlsaFromText } from '../../tls-policy/tlsa.ts';
import { FRIENDLY_EHLO } from './server.ts';
import type { WorldScript } from './world.ts';

/** Every domain has one MX host, `mx.` before its name, and every address this server. */
function everywhere(server: WorldScript['servers'][string]): WorldScript {
  return {
    names: { '*': { mx: [[10, 'mx.$']], a: ['192.0.2.25'], aaaa: 'no-data' } },
    servers: { '*': server },
  };
}

export const WORLDS = {
  accept: everywhere({}),
  greylist: everywhere({
    rcpt: { '*': ['451 4.7.1 Greylisted, please try again in five minutes', '250 2.1.5 recipient ok'] },
  }),
  'refuse-rcpt': everywhere({ rcpt: { '*': '550 5.1.1 no such user here' } }),
  'refuse-all': everywhere({ greeting: '554 5.7.1 no mail from your address' }),
  'drop-after-data': everywhere({ dot: 'reset' }),
  silent: everywhere({ greeting: 'silence' }),
  'tls-broken': everywhere({
    ehlo: FRIENDLY_EHLO.replace('250-PIPELINING', '250-STARTTLS\n250-PIPELINING'),
    tlsBroken: true,
  }),
} as const satisfies { readonly [name: string]: WorldScript };

export type WorldRead =
  | { readonly kind: 'world'; readonly world: WorldScript }
  /** `reason` says where in the file, and why */
  | { readonly kind: 'unusable'; readonly reason: string };

export function readWorld(text: string): WorldRead {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: 'unusable', reason: `invalid JSON: ${error instanceof Error ? error.message : error}` };
  }
  const reason = WORLD(value, '');
  return reason === null ? { kind: 'world', world: value as WorldScript } : { kind: 'unusable', reason };
}

/** Says what is wrong with a value; null when it is right. `at` is its place in the file. */
type Shape = (value: unknown, at: string) => string | null;

function wrong(at: string, wanted: string): string {
  return `${at === '' ? 'the file' : at} must be ${wanted}`;
}

function test(wanted: string, holds: (value: unknown) => boolean): Shape {
  return (value, at) => (holds(value) ? null : wrong(at, wanted));
}

function listOf(each: Shape): Shape {
  return (value, at) => {
    if (!Array.isArray(value) || value.length === 0) return wrong(at, 'a non-empty list');
    for (const [index, item] of value.entries()) {
      const reason = each(item, `${at}[${index}]`);
      if (reason !== null) return reason;
    }
    return null;
  };
}

function either(first: Shape, isFirst: (value: unknown) => boolean, second: Shape): Shape {
  return (value, at) => (isFirst(value) ? first : second)(value, at);
}

/** An object with any keys. */
function mapOf(each: Shape): Shape {
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object');
    for (const [key, item] of Object.entries(value)) {
      const reason = each(item, at === '' ? key : `${at}.${key}`);
      if (reason !== null) return reason;
    }
    return null;
  };
}

/** An object with these keys and no others: a misspelt key must not be ignored. */
function objectOf(shapes: { readonly [key: string]: Shape }, needed: readonly string[] = []): Shape {
  const known = Object.keys(shapes).join(', ');
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object');
    const missing = needed.find((key) => !(key in value));
    if (missing !== undefined) return `${at === '' ? 'the file' : at} has no "${missing}"`;
    return mapOf((item, place) => {
      const shape = shapes[place.slice(at === '' ? 0 : at.length + 1)];
      return shape === undefined ? `${place} is not a known key; known keys: ${known}` : shape(item, place);
    })(value, at);
  };
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isString = (value: unknown): value is string => typeof value === 'string';
const oneOf = (...words: readonly string[]): Shape =>
  test(`one of ${words.join(', ')}`, (value) => isString(value) && words.includes(value));

const DURATION = test('a span of time like 40s', (value) => isString(value) && duration.read(value).ok);
const FAULT = oneOf(
  'no-domain',
  'no-data',
  'server-failure',
  'refused',
  'timeout',
  'bad-answer',
  'local-fault',
);
const REPLY = test('a reply like "250 ok" (lines joined by \\n), or silence, close or reset', (value) =>
  isString(value) &&
  /^(?:\d{3}[^\r\n]*(?:\n\d{3}[^\r\n]*)*(?: then (?:silence|close|reset))?|silence|close|reset)$/.test(
    value,
  ));
const SCRIPTED = either(
  REPLY,
  isString,
  objectOf({ say: REPLY, after: DURATION, end: oneOf('silence', 'close', 'reset') }),
);
const REPLIES = either(listOf(SCRIPTED), Array.isArray, SCRIPTED);
const ADDRESSES = either(FAULT, isString, listOf(test('an IP address', isString)));
const MX = either(
  FAULT,
  isString,
  listOf(
    test('[preference, "host"]', (value) =>
      Array.isArray(value) && Number.isInteger(value[0]) && isString(value[1])),
  ),
);
const TLSA = test('like "3 1 1 0123abcd..."', (value) => isString(value) && tlsaFromText(value) !== null);
const QUESTION = oneOf('mx', 'a', 'aaaa', 'tlsa');
const isBoolean = (value: unknown): boolean => typeof value === 'boolean';

const WORLD = objectOf(
  {
    names: mapOf(
      objectOf({
        mx: MX,
        a: ADDRESSES,
        aaaa: ADDRESSES,
        tlsa: either(FAULT, isString, listOf(TLSA)),
        sts: either(
          FAULT,
          isString,
          objectOf({ mode: oneOf('enforce', 'testing', 'none'), mx: listOf(test('a host name', isString)) }, [
            'mode',
            'mx',
          ]),
        ),
        secure: either(
          test('true', (value) => value === true),
          isBoolean,
          listOf(QUESTION),
        ),
        canonical: test('a host name', isString),
        after: DURATION,
      }),
    ),
    servers: mapOf(
      objectOf({
        greeting: REPLIES,
        ehlo: REPLIES,
        helo: REPLIES,
        starttls: REPLIES,
        auth: REPLIES,
        mail: REPLIES,
        rcpt: mapOf(REPLIES),
        data: REPLIES,
        dot: REPLIES,
        rset: REPLIES,
        quit: SCRIPTED,
        certificate: oneOf('wrong'),
        tlsBroken: test('true or false', (value) => typeof value === 'boolean'),
        connect: oneOf('refused', 'silence', 'unreachable'),
        connectAfter: DURATION,
        handshakeAfter: DURATION,
      }),
    ),
    latency: test('a number of milliseconds', (value) => typeof value === 'number' && value >= 0),
    recorded: test('true or false', (value) => typeof value === 'boolean'),
  },
  ['names', 'servers'],
);
