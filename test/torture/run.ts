/** `npm run torture -- --kills N --seed S`: processes killed N times, then a full disk; the exit code is 1 when a message was lost or sent twice. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { deliverFromFullDisk, onSmallDisk } from './full-disk.ts';
import { torture } from './torture.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  },
});

const spool = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-torture-'));
const kills = Number(values.kills);
console.log(`seed ${values.seed}, ${kills} kills`);
const result = await torture({ spool, kills, seed: Number(values.seed) });
console.log(JSON.stringify(result, null, 1));
if (result.violations.length > 0) {
  console.log(`The spool is kept: ${spool}`);
  process.exitCode = 1;
} else {
  fs.rmSync(spool, { recursive: true });
}

const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-full-'));
const mounted = await onSmallDisk(disk, async (directory) => {
  const full = await deliverFromFullDisk(directory, [0, 4096, 8192, 16_384, 65_536]);
  console.log(JSON.stringify(full, null, 1));
  if (full.lost.length > 0 || full.left.length > 0) process.exitCode = 1;
});
if (!mounted) console.log('No file system may be mounted here, so no disk was filled.');
fs.rmdirSync(disk);
