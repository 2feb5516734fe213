/**
 * `npm run fuzz -- --seed N --runs M`: mutated vectors through the readers and writers of lists, addresses and relay
 * entries. What must hold for any bytes: nothing throws, nothing takes long, one pass settles a text, and nothing
 * unsafe comes out. Prints the seed and, on a finding, the input as base64; exit status 1 then.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isDeliveryList, stripHeader } from '../../src/delivery-list/header.ts';
import type { Dialect } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';
import type { ByteString } from '../../src/platform/bytes.ts';
import { isDue } from '../../src/queue/due.ts';
import { mergeLists } from '../../src/queue/merge.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { recipientAddress } from '../../src/routing/address.ts';
import { parseInternetConfig } from '../../src/routing/relays.ts';
import { FIXTURES } from './run.ts';
import { bytes, readRows } from './vectors.ts';

/** Uniform in [0, 1), the same sequence for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES = [
  '\n',
  '\r',
  '\r\n',
  '\0',
  '|',
  '||',
  ' ',
  '\t',
  '\xff',
  '\xc3\xb6',
  '@',
  '<',
  '>',
  '"',
  '(',
  ')',
  '\\',
  ':',
  '[',
  ']',
];
const WORDS = [
  'msgid|',
  'submitted',
  'retry|',
  'attempted|',
  'remote|',
  '\nremote|a@b|4|t',
  'REMOTE|',
  '99999999999',
  '-1',
];
const MATERIAL = [...PIECES, ...WORDS];

function mutated(source: ByteString, other: ByteString, random: () => number): ByteString {
  const below = (limit: number) => Math.floor(random() * limit);
  let text = source;
  for (let change = below(6); change >= 0; change--) {
    const from = below(text.length + 1);
    const to = Math.min(text.length, from + below(8));
    const insert = [
      () => MATERIAL[below(MATERIAL.length)] ?? '',
      () => String.fromCharCode(below(256)),
      () => '',
      () => text.slice(from, to).repeat(2 + below(4)),
      () => other.slice(below(other.length + 1)),
    ][below(5)];
    text = text.slice(0, from) + (insert?.() ?? '') + text.slice(to);
  }
  return text.slice(0, 200_000);
}

const CORPUS: Readonly<Record<string, string>> = {
  parse: 'body',
  strip: 'stored',
  addr: 'address',
  url: 'entry',
};

function corpus(): readonly ByteString[] {
  const rows = Object.entries(CORPUS).flatMap(([name, key]) =>
    (readRows(FIXTURES, name) ?? []).map((row) => bytes(row, key) ?? bytes(row, 'inetcfg') ?? ''),
  );
  return rows.filter((text) => text.length < 20_000);
}

/** A finding, or null. */
type Check = (text: ByteString) => string | null;

const ERAS: readonly Dialect[] = ['2012', '2017'];

const settles: Check = (text) => {
  for (const dialect of ERAS) {
    const once = pass(text, dialect);
    const twice = once && pass(once, dialect);
    if (once === null) continue;
    if (twice === null) return `${dialect}: a written list cannot be read`;
    // 2012 doubles the retry span in each pass: all else must stay.
    const still = (list: ByteString) => list.replace(/\nretry\|.*\nattempted\|.*\n/, '\n');
    if (still(twice) !== still(once)) return `${dialect}: a second pass changes the text`;
  }
  return null;
};

function pass(text: ByteString, dialect: Dialect): ByteString | null {
  const { instructions } = stripHeader(text);
  const parsed = parseDeliveryList(instructions, { dialect, fallback: dialect });
  if (parsed.kind === 'unreadable') return null;
  isDue(parsed.job, 1_400_000_000, { schedule: SCHEDULE, force: false });
  return serialiseJob(parsed.job, dialect, 1_400_000_000);
}

const staysOneList: Check = (text) => {
  const written = pass(text, '2012');
  if (written === null) return null;
  const parsed = parseDeliveryList(stripHeader(text).instructions, { dialect: '2012', fallback: '2012' });
  const lines = written.split('\nremote|').length - 1;
  if (parsed.kind !== 'list' || lines !== parsed.job.recipients.length)
    return 'recipients were added or lost';
  if (!isDeliveryList(written)) return 'a written list is not recognised';
  const merged = mergeLists([parsed.job, parsed.job]);
  return merged.length === lines && merged.every(({ places }) => places.length === 2)
    ? null
    : 'merge lost a place';
};

const safeCommand: Check = (text) => {
  const address = recipientAddress(text);
  if (address.kind === 'unusable') return null;
  const { command, local, domain } = address;
  const outsideQuotes = command.replace(/^"(?:[^"\\]|\\.)*"/, '');
  if (/[\x00-\x1f\x7f]/.test(command)) return 'a control byte in the command';
  if (/[\s<>(),;"\\]/.test(outsideQuotes)) return 'a blank or bracket in the command';
  return command === `${local}@${domain}` && local !== '' && domain !== '' ? null : 'an incomplete address';
};

const relaysReadable: Check = (text) => {
  const { relays } = parseInternetConfig(`${text}|smarthost\n${text}`);
  const bad = relays.find(({ host, port }) => /[^\x21-\x7e]/.test(host) || port < 1 || port > 65_535);
  if (bad !== undefined) return `an impossible relay: ${bad.host}:${bad.port}`;
  const leaking = relays.find(
    ({ credentials, shown }) => credentials && shown.includes(`:${credentials.password}@`),
  );
  return leaking === undefined ? null : 'a password is shown';
};

const CHECKS: readonly Check[] = [settles, staysOneList, safeCommand, relaysReadable];

/** Milliseconds that no input of this size may take, on a slow and busy machine. */
const LONGEST = 3_000;

function finding(text: ByteString): string | null {
  const started = performance.now();
  for (const check of CHECKS) {
    try {
      const found = check(text);
      if (found !== null) return found;
    } catch (error) {
      return `thrown: ${error}`;
    }
  }
  return performance.now() - started > LONGEST ? 'it takes too long' : null;
}

export interface Finding {
  readonly run: number;
  readonly what: string;
  readonly base64: string;
}

/** The first finding in `runs` mutations, or null. */
export function fuzz(seed: number, runs: number): Finding | null {
  const random = seeded(seed);
  const sources = corpus();
  const pick = () => sources[Math.floor(random() * sources.length)] ?? '';
  for (let run = 0; run < runs; run++) {
    const text = mutated(pick(), pick(), random);
    const what = finding(text);
    if (what !== null) return { run, what, base64: Buffer.from(text, 'latin1').toString('base64') };
  }
  return null;
}

function main(): number {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string' } } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const runs = Number(values.runs ?? 100_000);
  console.log(`seed ${seed}, ${runs} runs`);
  const found = fuzz(seed, runs);
  console.log(found === null ? 'nothing found' : `run ${found.run}: ${found.what}\n${found.base64}`);
  return found === null ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main();
