/** Where `replay` reads its input and the message that belongs to it: a spool, a file, standard input. Only reads. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { inMemory } from '../../message/stored.ts';
import { describeError, errorCode, isPermissionDenied } from '../../platform/system-errors.ts';
import type { PayloadResult } from '../../queue/queue.ts';
import { isExport } from '../../replay/export.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export interface SourceLocation {
  readonly file: string;
  /** where the message should be */
  readonly folder: string;
  /** whether `folder` is a spool, in which it has to be */
  readonly spool: boolean;
  readonly control: number;
}

export function sourceLocation({ options, settings }: Invocation): SourceLocation {
  const file = String(options.file);
  const inSpool = settings.spool !== null && /^\d+$/.test(file);
  const path = inSpool ? join(settings.spool ?? '', file) : file === '-' ? STANDARD_INPUT : file;
  const number = /^\d{1,15}$/.test(basename(path)) ? Number(basename(path)) : 0;
  return { file: path, folder: dirname(path), spool: inSpool, control: number };
}

export function parseOptions(settings: Settings): ParseOptions {
  return { dialect: 'detect', fallback: settings.dialect };
}

export function readBytes(file: string): Buffer | CliError {
  try {
    return readFileSync(file);
  } catch (error) {
    return cannotRead(file, error);
  }
}

function cannotRead(file: string, error: unknown): CliError {
  const code = errorCode(error);
  if (code === null) throw error;
  const exit = code === 'ENOENT' ? EXIT.noInput : isPermissionDenied(error) ? EXIT.noPermission : EXIT.io;
  return cliError(`${file} cannot be read: ${describeError(error)}.`, exit);
}

const STANDARD_INPUT = '/dev/stdin';

/** Bytes, enough to recognise an export. */
const HEAD = 256;

/** The whole file, unless it is an export, which may be larger than memory. A pipe is read only once. */
export function readSource(file: string): Buffer | 'export' | CliError {
  let descriptor: number | null = null;
  try {
    // A socket cannot be opened by its name.
    descriptor = file === STANDARD_INPUT ? 0 : openSync(file, 'r');
    const buffer = Buffer.alloc(HEAD);
    const head = buffer.subarray(0, readSync(descriptor, buffer));
    if (!isExport(head)) return Buffer.concat([head, readFileSync(descriptor)]);
    if (fstatSync(descriptor).isFile()) return 'export';
    return cliError(
      `${file} is a Citadel export, which has to be read twice: save it to a file first.`,
      EXIT.data,
    );
  } catch (error) {
    return cannotRead(file, error);
  } finally {
    if (descriptor !== null && descriptor !== 0) closeSync(descriptor);
  }
}

export async function reading<T>(file: string, read: () => Promise<T>): Promise<T | CliError> {
  try {
    return await read();
  } catch (error) {
    return cannotRead(file, error);
  }
}

/** Where a control message was found. */
export interface Origin {
  readonly title: string;
  readonly notes: readonly string[];
  payload(msgid: number): Promise<Payload | CliError>;
}

export interface Payload {
  readonly kind: 'payload';
  readonly read: PayloadResult;
  readonly notes: readonly string[];
}

export function originOf(location: SourceLocation): Origin {
  return {
    title: `Control message ${location.file}`,
    notes: [],
    payload: async (msgid) => payloadFor(msgid, location),
  };
}

/** In a spool a missing message is a finding; a single file usually comes without its message. */
function payloadFor(msgid: number, { folder, spool }: SourceLocation): Payload {
  const file = join(folder, String(msgid));
  const bytes = readBytes(file);
  if (!('kind' in bytes)) return { kind: 'payload', read: stored(msgid, bytes), notes: [] };
  if (bytes.exit !== EXIT.noInput) {
    const reason = bytes.text.replace(/\.$/, '');
    return { kind: 'payload', read: { kind: 'unreadable', reason }, notes: [] };
  }
  if (spool) return { kind: 'payload', read: missing(msgid, 'spool'), notes: [] };
  return {
    kind: 'payload',
    read: placeholder(400, null),
    notes: [`The message itself (${file}) is not here; a placeholder is used instead.`],
  };
}

export function missing(msgid: number, where: 'spool' | 'export'): PayloadResult {
  return { kind: 'missing', reason: `message ${msgid} is not in the ${where}` };
}

export function stored(msgid: number, bytes: Buffer): PayloadResult {
  return bytes.length === 0 ? { kind: 'empty', reason: `message ${msgid} is empty` } : found(bytes);
}

function found(bytes: Buffer): PayloadResult {
  return { kind: 'found', message: inMemory(bytes) };
}

/** A message of about this many bytes. */
export function placeholder(size: number, from: string | null): PayloadResult {
  const head = `From: ${from ?? 'placeholder@localhost'}\r\nSubject: placeholder\r\n\r\n`;
  const line = 'A placeholder for a message that is not here.\r\n';
  const lines = Math.max(1, Math.floor((Math.min(size, 200_000) - head.length) / line.length));
  return found(Buffer.from(head + line.repeat(lines), 'latin1'));
}
