/**
 * MTA-STS policies kept on the disk, one small file for each domain, so that they hold from one run to the next (RFC 8461
 * 5.1). A file that is damaged counts as none, and the policy is fetched again.
 */
import type { StsPolicy } from '../platform/dns.ts';
import { errorCode } from '../platform/system-errors.ts';
import { removeIfExists, replaceInState } from '../storage/atomic-file.ts';
import type { Disk } from '../storage/disk.ts';
import { ensureFolder } from '../storage/folder.ts';
import type { StateLayout } from '../storage/layout.ts';

/** What is remembered of a domain. Times are Unix seconds. */
export interface KeptPolicy {
  /** null: none could be fetched so far */
  readonly policy: StsPolicy | null;
  /** when it was fetched; its `maxAge` counts from here */
  readonly fetched: number;
  /** when a fetch failed last, and why; null: the last one did not fail */
  readonly failed: { readonly at: number; readonly reason: string } | null;
}

export interface StsCache {
  /** null: nothing is known */
  read(domain: string): KeptPolicy | null;
  write(domain: string, kept: KeptPolicy): void;
  remove(domain: string): void;
  domains(): readonly string[];
}

/** Bytes; a policy has 64 KB at most. */
const LARGEST = 200_000;

/** Policies on the disk. A stranger with many domains neither fills it nor drives out what is kept of others. */
export const MOST_POLICIES = 5000;

const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

export function diskStsCache(disk: Disk, layout: StateLayout): StsCache {
  const folder = layout.policies;
  const path = (domain: string): string => `${folder}/${domain}`;
  /** what there is no room for, until this process ends */
  const beyond = memoryStsCache();
  /** as of the first new one */
  let names: Set<string> | null = null;
  return {
    read(domain) {
      if (!NAME.test(domain)) return null;
      try {
        if (disk.status(folder)?.kind !== 'directory' || disk.status(path(domain)) === null)
          return beyond.read(domain);
        const value: unknown = JSON.parse(disk.read(path(domain), LARGEST).bytes.toString('utf8'));
        return isKept(value) ? value : null;
      } catch (error) {
        if (error instanceof SyntaxError || errorCode(error) !== null) return null;
        throw error;
      }
    },
    write(domain, kept) {
      if (!NAME.test(domain)) return;
      const owner = disk.status(layout.state);
      if (owner === null) return;
      ensureFolder(disk, folder, owner);
      names ??= new Set(this.domains());
      if (!names.has(domain) && names.size >= MOST_POLICIES) {
        if (beyond.domains().length < MOST_POLICIES) beyond.write(domain, kept);
        return;
      }
      names.add(domain);
      replaceInState(disk, layout, path(domain), `${JSON.stringify(kept)}\n`);
    },
    remove(domain) {
      names?.delete(domain);
      beyond.remove(domain);
      orElse(undefined, () => removeIfExists(disk, path(domain)));
    },
    domains() {
      if (disk.status(folder)?.kind !== 'directory') return [];
      const entries = orElse([], () => disk.list(folder));
      return entries.flatMap(({ name, kind }) => (kind === 'file' && NAME.test(name) ? [name] : []));
    },
  };
}

/** What this user may not see or remove stays, and stops no mail. */
function orElse<T>(otherwise: T, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return otherwise;
  }
}

/** For one process: `check`, a live replay. */
export function memoryStsCache(below: Pick<StsCache, 'read'> | null = null): StsCache {
  const kept = new Map<string, KeptPolicy>();
  return {
    read: (domain) => kept.get(domain) ?? below?.read(domain) ?? null,
    write: (domain, value) => void kept.set(domain, value),
    remove: (domain) => void kept.delete(domain),
    domains: () => [...kept.keys()],
  };
}

function isKept(value: unknown): value is KeptPolicy {
  if (typeof value !== 'object' || value === null) return false;
  const { policy, fetched, failed } = value as Partial<KeptPolicy>;
  return (
    typeof fetched === 'number' &&
    (policy === null || isPolicy(policy)) &&
    (failed === null || isFailure(failed))
  );
}

function isFailure(value: unknown): value is KeptPolicy['failed'] {
  if (typeof value !== 'object' || value === null) return false;
  const { at, reason } = value as { readonly [name: string]: unknown };
  return typeof at === 'number' && typeof reason === 'string';
}

function isPolicy(value: unknown): value is StsPolicy {
  if (typeof value !== 'object' || value === null) return false;
  const { id, mode, mx, maxAge } = value as Partial<StsPolicy>;
  return (
    typeof id === 'string' &&
    typeof maxAge === 'number' &&
    (mode === 'enforce' || mode === 'testing' || mode === 'none') &&
    Array.isArray(mx) &&
    mx.every((each) => typeof each === 'string')
  );
}
