/**
 * The private keys, read once: from opendkim's tables or from entries of our own. A key that others can read, that is too
 * short or that cannot be used is a problem with a sentence, told before any message leaves.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { describeError, errorCode } from '../platform/system-errors.ts';
import { readTextFile } from '../platform/text-file.ts';
import type { SigningKey } from './sign.ts';
import type { Algorithm } from './signature.ts';
import type { FindKeys } from './signer.ts';
import {
  domainOf,
  type KeyEntry,
  keyNamesFor,
  parseKeyEntry,
  parseKeyTable,
  parseSigningTable,
  type SigningRule,
} from './tables.ts';

export interface KeyringSettings {
  /** `DOMAIN:SELECTOR:PATH`: signs for addresses of that domain */
  readonly keys: readonly string[];
  /** paths; the second may begin with `refile:` or `file:` */
  readonly keyTable: string | null;
  readonly signingTable: string | null;
}

export interface NamedKey extends KeyEntry {
  readonly key: KeyObject;
}

export interface Keyring {
  readonly findKeys: FindKeys;
  /** every key that was named, with where it was named */
  readonly keys: readonly NamedKey[];
  /** full sentences: signing works, but should be mended */
  readonly warnings: readonly string[];
}

export type KeyringRead =
  | { readonly kind: 'keyring'; readonly keyring: Keyring }
  /** a full sentence */
  | { readonly kind: 'unusable'; readonly text: string };

/** RSA keys below this many bits are refused by receivers (RFC 8301 3.2). */
const SHORTEST_RSA = 1024;
/** Below this many they should be replaced. */
const GOOD_RSA = 2048;

export function loadKeyring(settings: KeyringSettings): KeyringRead {
  const warnings: string[] = [];
  const loaded = new Map<string, { readonly key: KeyObject; readonly algorithm: Algorithm }>();
  try {
    const { rules, named, entries } = rulesFrom(settings);
    for (const { path, source } of entries)
      if (!loaded.has(path)) loaded.set(path, readKey(path, source, warnings));
    const keyFor = ({ path, domain, selector }: KeyEntry, sender: string): readonly SigningKey[] => {
      const key = loaded.get(path);
      return key === undefined ? [] : [{ ...key, selector, domain: domain.replaceAll('%', sender) }];
    };
    const findKeys: FindKeys = (address) => {
      const sender = domainOf(address);
      return keyNamesFor(rules, address).flatMap((name) =>
        (named.get(name.replaceAll('%', sender)) ?? []).flatMap((entry) => keyFor(entry, sender)),
      );
    };
    const keys = entries.flatMap((entry) => {
      const key = loaded.get(entry.path)?.key;
      return key === undefined ? [] : [{ ...entry, key }];
    });
    return { kind: 'keyring', keyring: { findKeys, keys, warnings } };
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error;
    return { kind: 'unusable', text: error.message };
  }
}

class UnusableKey extends Error {
  constructor(source: string, reason: string) {
    super(`${source}: ${reason}. Nothing is sent, because it would leave without its signature.`);
  }
}

interface Rules {
  readonly rules: readonly SigningRule[];
  readonly named: ReadonlyMap<string, readonly KeyEntry[]>;
  readonly entries: readonly KeyEntry[];
}

/** Entries of our own come before the tables. */
function rulesFrom({ keys, keyTable, signingTable }: KeyringSettings): Rules {
  const named = new Map<string, KeyEntry[]>();
  const rules: SigningRule[] = [];
  for (const text of keys) {
    const entry = parseKeyEntry(text, 'setting dkim.key');
    if (entry === null) throw new UnusableKey('setting dkim.key', `"${text}" is not DOMAIN:SELECTOR:PATH`);
    const name = `dkim.key ${entry.domain}`;
    const same = named.get(name);
    if (same !== undefined) {
      same.push(entry);
      continue;
    }
    named.set(name, [entry]);
    rules.push({ key: name, pattern: name, matches: (address) => address.endsWith(`@${entry.domain}`) });
  }
  if ((keyTable === null) !== (signingTable === null))
    throw new UnusableKey(
      'settings dkim.key-table and dkim.signing-table',
      'one is of no use without the other: give both',
    );
  if (keyTable !== null && signingTable !== null) addTables(keyTable, signingTable, named, rules);
  return { rules, named, entries: [...named.values()].flat() };
}

function addTables(
  keyTable: string,
  signingTable: string,
  named: Map<string, KeyEntry[]>,
  rules: SigningRule[],
): void {
  const keyFile = keyTable.replace(/^(?:refile|file):/, '');
  const [, kind, signingFile = signingTable] = /^(refile|file):(.*)$/s.exec(signingTable) ?? [];
  const keys = parseKeyTable(readTable(keyFile, 'dkim.key-table'), keyFile);
  const signing = parseSigningTable(
    readTable(signingFile, 'dkim.signing-table'),
    signingFile,
    kind === 'refile',
  );
  const [problem] = [...keys.problems, ...signing.problems];
  if (problem !== undefined) throw new UnusableKey(problem.source, problem.reason);
  for (const [name, entry] of keys.keys) named.set(name, [entry]);
  for (const { key } of signing.rules)
    if (!key.includes('%') && !named.has(key))
      throw new UnusableKey(signingFile, `names the key ${key}, which ${keyFile} does not have`);
  rules.push(...signing.rules);
}

function readTable(path: string, setting: string): string {
  try {
    return readTextFile(path);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    throw new UnusableKey(`setting ${setting}`, `${path} cannot be read: ${describeError(error)}`);
  }
}

function readKey(path: string, source: string, warnings: string[]) {
  const key = parseKey(path, readSafely(path, source), source);
  const type = key.asymmetricKeyType;
  if (type === 'ed25519') return { key, algorithm: 'ed25519-sha256' } as const;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (type !== 'rsa')
    throw new UnusableKey(source, `the key in ${path} is of type ${type}; DKIM knows RSA and Ed25519`);
  if (bits < SHORTEST_RSA)
    throw new UnusableKey(
      source,
      `the RSA key in ${path} has ${bits} bits, and receivers take none below ${SHORTEST_RSA}`,
    );
  if (bits < GOOD_RSA)
    warnings.push(
      `The DKIM key in ${path} has ${bits} bits. Receivers may stop accepting it: make one of ${GOOD_RSA} with "spoolroom dkim genkey".`,
    );
  return { key, algorithm: 'rsa-sha256' } as const;
}

/** A key is as good as the number of those who know it. */
function readSafely(path: string, source: string): string {
  try {
    const { mode, uid, gid } = statSync(path);
    const self = process.geteuid?.() ?? 0;
    if (uid !== self && uid !== 0)
      throw new UnusableKey(source, `the key file ${path} belongs to another user`);
    const groups = [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])];
    const open = (mode & 0o027) !== 0 || ((mode & 0o040) !== 0 && !groups.includes(gid));
    if (open)
      throw new UnusableKey(
        source,
        `others can read or change the key file ${path}; run "chmod 600 ${path}"`,
      );
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof UnusableKey || errorCode(error) === null) throw error;
    throw new UnusableKey(source, `the key file ${path} cannot be read: ${describeError(error)}`);
  }
}

function parseKey(path: string, pem: string, source: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words would help nobody.
    throw new UnusableKey(source, `${path} holds no private key in PEM form without a passphrase`);
  }
}
