/**
 * Makes a transcript fit for the test suite: every address, host name and IP address is replaced by an alias, the same one
 * everywhere, and what the machines do not need is left out. Texts of servers stay, with the names in them replaced.
 */

import type { Job } from '../../delivery-list/job.ts';
import { readSettings } from '../../settings/read.ts';
import { SETTINGS } from '../../settings/table.ts';
import { renumbered } from './renumber.ts';
import type { Transcript, TranscriptHeader } from './transcript.ts';
import { encode } from './transcript.ts';

/** The text of the fixture. */
export function redactTranscript(transcript: Transcript, keepAddresses: boolean): string {
  const rename = keepAddresses ? (text: string): string => text : aliases(transcript.header.hostname);
  const header = trimmed(transcript.header);
  const position = new Map(transcript.header.indices.map((id, index) => [id, index]));
  const lines = transcript.lines.map((line) => renumbered(line, position));
  const values = [keepAddresses ? header : { ...header, job: withoutNames(header.job) }, ...lines];
  return values.map((value) => encode(renamed(value, rename))).join('');
}

/** Keeps only the recipients of this delivery, and the settings that differ from the defaults. */
function trimmed(header: TranscriptHeader): TranscriptHeader {
  const { job, indices } = header;
  const recipients = indices.flatMap((index) => job.recipients[index] ?? []);
  const defaults = readSettings({});
  const standard = defaults.ok ? defaults.settings : {};
  const changed = Object.keys(SETTINGS).filter(
    (name) => !LOCAL.has(name) && !sameValue(standard, header.settings, name),
  );
  const kept = Object.fromEntries(changed.map((name) => [name, Reflect.get(header.settings, name)]));
  return {
    ...header,
    job: { ...job, recipients, unknownLines: [] },
    indices: recipients.map((_, index) => index),
    settings: kept as unknown as TranscriptHeader['settings'],
  };
}

/** Replaces names that are not addresses: users and rooms of the server. */
function withoutNames(job: Job): Job {
  const { bounceto, sourceRoom } = job;
  return {
    ...job,
    bounceto: bounceto === null || bounceto.includes('@') ? bounceto : 'a sender',
    sourceRoom: sourceRoom === null ? null : 'a room',
  };
}

/** Settings that only have a meaning on one machine. */
const LOCAL: ReadonlySet<string> = new Set([
  ...['spool', 'config', 'log.target', 'postmaster', 'json', 'dns'],
  ...['citadel', 'citadel-login', 'state'],
  ...Object.keys(SETTINGS).filter((name) => name.startsWith('intake.')),
]);

function sameValue(a: object, b: object, name: string): boolean {
  return JSON.stringify(Reflect.get(a, name)) === JSON.stringify(Reflect.get(b, name));
}

function renamed<T>(value: T, rename: (text: string) => string): T;
function renamed(value: unknown, rename: (text: string) => string): unknown {
  if (typeof value === 'string') return rename(value);
  if (Array.isArray(value)) return value.map((each) => renamed(each, rename));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, renamed(each, rename)]));
}

const OUR_NAME = 'us.example';

const ADDRESS = /[^\s<>@"|,;:()[\]]+@(?=[^\s<>@"|,;:()[\]])/.source;
const IPV4 = /\b(?:\d{1,3}\.){3}\d{1,3}\b/.source;
const IPV6 = /\b(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{0,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}:?){0,6}/
  .source;
const HOST = /\b(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]\b/.source;
const NAMES = new RegExp(`(${ADDRESS})|(${IPV4})|(${IPV6})|(${HOST})`, 'gi');

/**
 * Replaces every name by its alias; aliases are numbered in the order of first appearance, and case does not matter. Our own
 * name may have no dot, so it is recognised by its place in the text.
 */
function aliases(hostname: string): (text: string) => string {
  const known = new Map<string, string>();
  const counts = { user: 0, four: 0, six: 0, host: 0 };
  const alias = (name: string, kind: keyof typeof counts, make: (count: number) => string): string => {
    const key = `${kind} ${name.toLowerCase()}`;
    const given = known.get(key) ?? make(++counts[kind]);
    known.set(key, given);
    return given;
  };
  const withOurName = (text: string): string => {
    if (text === hostname) return OUR_NAME;
    const greeting = ['EHLO', 'HELO'].find((verb) => text === `${verb} ${hostname}\r\n`);
    return greeting === undefined ? text : `${greeting} ${OUR_NAME}\r\n`;
  };
  return (text) =>
    withOurName(text).replace(NAMES, (whole, local?: string, four?: string, six?: string) => {
      if (local !== undefined) return alias(local, 'user', (n) => `user${n}@`);
      if (four !== undefined) return alias(whole, 'four', (n) => `192.0.2.${n}`);
      if (six !== undefined) return alias(whole, 'six', (n) => `2001:db8::${n.toString(16)}`);
      return alias(whole, 'host', (n) => `host${n}.example`);
    });
}
