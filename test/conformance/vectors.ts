/** Vector files: one JSON row a line; a byte string K stands in `K_b64`, null when the C code had none. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteString } from '../../src/platform/bytes.ts';

export type Row = Readonly<Record<string, unknown>>;

export function readRows(directory: string, name: string): readonly Row[] | null {
  const path = join(directory, `${name}.jsonl`);
  if (!existsSync(path)) return null;
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}

/** The bytes of field `key`; null when the row has none. */
export function bytes(row: Row, key: string): ByteString | null {
  const base64 = row[`${key}_b64`];
  if (typeof base64 === 'string') return Buffer.from(base64, 'base64').toString('latin1');
  const plain = row[key];
  return base64 === undefined && typeof plain === 'string' ? plain : null;
}

export function bytesOf(row: Row, key: string): ByteString {
  const value = bytes(row, key);
  if (value === null) throw new Error(`row ${idOf(row)} has no ${key}`);
  return value;
}

export function numberOf(row: Row, key: string): number {
  const value = row[key];
  if (typeof value !== 'number') throw new Error(`row ${idOf(row)} has no number ${key}`);
  return value;
}

export function rowOf(row: Row, key: string): Row {
  return row[key] as Row;
}

export function rowsOf(row: Row, key: string): readonly Row[] {
  return row[key] as readonly Row[];
}

export function idOf(row: Row): string {
  return String(row.id ?? row.of);
}
