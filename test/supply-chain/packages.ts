/**
 * What the lockfile says of the packages, and which of them the bundle really contains. The bundle's side comes from the
 * list of inputs that the build writes, bin/spoolroom.meta.json.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** One entry of package-lock.json. `link` and `inBundle` mark what comes from elsewhere than a registry. */
export interface LockEntry {
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface Lock {
  readonly lockfileVersion: number;
  /** by folder; '' is this project itself */
  readonly packages: { readonly [folder: string]: LockEntry };
}

interface Metafile {
  readonly outputs: {
    readonly [file: string]: {
      readonly inputs: { readonly [file: string]: { readonly bytesInOutput: number } };
    };
  };
}

export function readProject(file: string) {
  return JSON.parse(readFileSync(`${ROOT}/${file}`, 'utf8'));
}

export function readLock(): Lock {
  return readProject('package-lock.json');
}

/** `node_modules/a/node_modules/@b/c` -> `@b/c` */
export function nameOf(folder: string): string {
  return folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** The folders, as the lockfile names them, from which some code is in the bundle; sorted by their package's name. */
export function bundledFolders(lock: Lock, metafile: Metafile): readonly string[] {
  const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((file) => (inputs[file]?.bytesInOutput ?? 0) > 0),
  );
  return Object.keys(lock.packages)
    .filter((folder) => folder !== '' && files.some((file) => packageFolder(file) === folder))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** The folder of the package that a file belongs to; null for our own files. */
export function packageFolder(file: string): string | null {
  const at = file.lastIndexOf('node_modules/');
  if (at === -1) return null;
  const [scope = '', name = ''] = nameOf(file).split('/');
  return (
    file.slice(0, at) + (scope.startsWith('@') ? `node_modules/${scope}/${name}` : `node_modules/${scope}`)
  );
}
