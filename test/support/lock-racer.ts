/**
 * A process that claims locks at given times, for a race between several. Arguments: folders, each a spool with a stale
 * lock. Prints `ready`, reads the common start (Unix milliseconds) from stdin, tries each folder at its time, and prints
 * for each whether it got the lock, as JSON. Never releases one.
 */

import { temporaryNames } from '../../src/storage/atomic-file.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { acquireLock } from '../../src/storage/lock.ts';
import { processTable } from '../../src/storage/processes.ts';

const SPACING = 10;
const processes = processTable(nodeDisk);
const owner = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

function claims(spool: string): boolean {
  const layout = layoutOf(spool);
  const temporaryName = temporaryNames(layout, processes, Math.random);
  return acquireLock({ disk: nodeDisk, layout, processes, temporaryName, owner }).kind === 'acquired';
}

process.stdin.once('data', (data) => {
  const start = Number(data.toString());
  const won = process.argv.slice(2).map((spool, round) => {
    while (Date.now() < start + round * SPACING);
    return claims(spool);
  });
  process.stdout.write(`${JSON.stringify(won)}\n`);
  // Stays alive until all have tried: the lock of a dead winner would be free again.
  process.stdin.once('data', () => process.exit());
});
process.stdout.write('ready\n');
