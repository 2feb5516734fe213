/**
 * A CycloneDX 1.6 bill of materials: the packages in the bundle, from the lockfile alone. It holds no time and no serial
 * number, so the same bundle gives the same bytes. `npm run sbom` writes it to bin/spoolroom.cdx.json.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  bundledFolders,
  type Lock,
  type LockEntry,
  nameOf,
  ROOT,
  readLock,
  readProject,
} from './packages.ts';

const FILE = 'bin/spoolroom.cdx.json';

/** https://github.com/package-url/purl-spec: the @ of a scope is percent-encoded. */
function packageUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function component(name: string, { version = '', license = '', integrity }: LockEntry) {
  const url = packageUrl(name, version);
  const licences = /[\s()]/.test(license) ? { expression: license } : { license: { id: license } };
  return { 'bom-ref': url, name, version, licenses: [licences], purl: url, ...hashes(integrity) };
}

/** `sha512-` and Base64, as npm writes it, in the hexadecimal of CycloneDX. */
function hashes(integrity = '') {
  const [, base64] = /^sha512-(\S+)$/.exec(integrity) ?? [];
  if (base64 === undefined) return {};
  return { hashes: [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }] };
}

export function billOfMaterials(lock: Lock, bundled: readonly string[]) {
  const { name = 'spoolroom', ...project } = lock.packages[''] ?? {};
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', ...component(name, project) } },
    components: bundled.map((folder) => ({
      type: 'library',
      ...component(nameOf(folder), lock.packages[folder] ?? {}),
    })),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = readLock();
  const bill = billOfMaterials(lock, bundledFolders(lock, readProject('bin/spoolroom.meta.json')));
  writeFileSync(`${ROOT}/${FILE}`, `${JSON.stringify(bill, null, 2)}\n`);
  process.stdout.write(`${FILE}: ${bill.components.length} packages\n`);
}
