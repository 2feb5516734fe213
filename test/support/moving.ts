/** Spools in memory and databases for tests of `move`, and what lies in them, as values. */
import { readdirSync, readFileSync } from 'node:fs';
import { isPending } from '../../src/delivery-list/job.ts';
import { controlTextOf } from '../../src/message/stored.ts';
import { groupByPayload } from '../../src/queue/due.ts';
import { moveIn } from '../../src/queue/moving/move-in.ts';
import { type MovedOut, moveOut } from '../../src/queue/moving/move-out.ts';
import { withMsgid } from '../../src/queue/moving/take-in.ts';
import { parsing } from '../../src/queue/postgres/claims/claimed-job.ts';
import type { Database } from '../../src/queue/postgres/database/database.ts';
import type { Queue, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf, messageNumber } from '../../src/storage/layout.ts';
import { processTable } from '../../src/storage/processes.ts';
import { readQueueId } from '../../src/storage/queue-id.ts';
import { MemoryDisk } from './memory-disk.ts';
import { bench, NOW, openClient, SETTINGS_2012, seededRandom } from './spool.ts';

export const SPOOL = '/spool';
const OWNER = { mode: 0o700, uid: 0, gid: 0 };
const processes = processTable(nodeDisk);

/** Its files are a day old; it was opened before. */
export async function memorySpool(files: Readonly<Record<string, Buffer>> = {}): Promise<MemoryDisk> {
  const disk = new MemoryDisk(() => (NOW - 86_400) * 1000);
  disk.mkdir(SPOOL, OWNER);
  for (const [name, bytes] of Object.entries(files)) {
    const file = disk.create(`${SPOOL}/${name}`, OWNER);
    file.write(bytes);
    await file.sync();
  }
  await disk.syncDirectory(SPOOL);
  await withQueue(disk, async () => {});
  return disk;
}

export function depsOn(disk: Disk) {
  return bench({ disk, processes });
}

export async function withQueue<T>(
  disk: Disk,
  work: (queue: Queue, id: string) => Promise<T>,
  spool = SPOOL,
): Promise<T> {
  const opened = await openSpoolQueue(spool, depsOn(disk), SETTINGS_2012);
  if (opened.kind === 'refused') throw new Error(opened.text);
  try {
    return await work(opened.queue, readQueueId(disk, layoutOf(spool)) ?? '');
  } finally {
    await opened.queue.close();
  }
}

export function moveInto(database: Database, disk: Disk) {
  return withQueue(disk, async (queue, id) => {
    const deps = depsOn(disk);
    const client = await openClient(SPOOL, deps);
    const options = parsing('2012');
    const adopting = { database, options, schedule: SCHEDULE, present: () => null };
    return moveIn(SPOOL, { ...deps, queue, client, id, adopting });
  });
}

export function moveOutOf(
  database: Parameters<typeof moveOut>[1]['database'],
  disk: Disk,
): Promise<MovedOut> {
  return moveOut(SPOOL, { ...depsOn(disk), database, control: SETTINGS_2012, id: 'spool of the test' });
}

export function jobsIn(disk: Disk, spool = SPOOL): Promise<readonly QueuedJob[]> {
  return withQueue(disk, async (queue) => (await queue.scan()).jobs, spool);
}

export function bytesOf(disk: Disk, number: number | string, spool = SPOOL): Buffer {
  return disk.read(`${spool}/${number}`, 1 << 28).bytes;
}

/** Each message with its lists, without their numbers: sorted, so that two spools with the same mail are the same value. */
export function contentOf(disk: Disk, jobs: readonly QueuedJob[], spool = SPOOL): readonly string[] {
  return [...groupByPayload(jobs)]
    .map(([msgid, lists]) => {
      const texts = lists.map(({ control }) => withMsgid(bytesOf(disk, control, spool), 0));
      const isThere = disk.status(`${spool}/${msgid}`) !== null;
      const payload = isThere ? bytesOf(disk, msgid, spool).toString('latin1') : 'missing';
      return [payload, ...texts.map((text) => text.toString('latin1')).sort()].join('\u0001');
    })
    .sort();
}

export function pendingIn(jobs: readonly QueuedJob[]): readonly string[] {
  return jobs.flatMap(({ job }) => job.recipients.filter(isPending).map(({ address }) => address)).sort();
}

const HEADERS = [
  'Content-type: application/x-citadel-delivery-list\n\n',
  'Date: today\r\nContent-Type: application/x-citadel-delivery-list\r\nX-Other: y\r\n\r\n',
];

/** Messages of all sizes and forms, each with one to three lists as people and programs write them. */
export function generatedSpool(seed: number, messages: number): Record<string, Buffer> {
  const random = seededRandom(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const files: Record<string, Buffer> = {};
  let number = 0;
  for (let left = messages; left > 0; left--) {
    const payload = ++number;
    const size = one([0, 40, 3000, 262_144, 262_145, 600_000]);
    const body = Buffer.from(Array.from({ length: Math.min(size, 5000) }, () => below(256)));
    files[payload] = Buffer.concat([
      Buffer.from(one(['Subject: x\n\n', '\xff\x41\x04AJoe\0M', 'X: \xe9\r\n\r\n']), 'latin1'),
      body,
      Buffer.alloc(size - body.length, 'line\r\n'),
    ]);
    for (let lists = 1 + below(3); lists > 0; lists--) {
      const recipients = Array.from({ length: 1 + below(4) }, (_, n) =>
        one([
          `remote|r${n}@example.com|0||`,
          `remote|j\xf6rg${n}@x.example|4|450 later|with a bar`,
          `remote|${n}@done.example|2|ok`,
          `Remote|${n}@odd.example|3|`,
        ]),
      );
      const lines = [
        one([`msgid|${payload}`, `MSGID|${payload}`, `msgid|${payload}|and more`]),
        `submitted|${1_300_000_000 + below(1e6)}`,
        one(['bounceto|a@example.org', 'bounceto|', 'x-unknown|kept']),
        one(['retry|600\nattempted|1342224300', 'attempted|0', 'source_room|Aide']),
        ...recipients,
        'remote|last@example.com|0||',
      ];
      const header = one(HEADERS);
      const text = `${header}${lines.join(header.includes('\r') ? '\r\n' : '\n')}\n`;
      const native = `\xff\x41\x04ACitadel\0T${below(1e9)}\0Jdo not journal\0M${text}\0`;
      files[++number] = Buffer.from(one([text, text, native]), 'latin1');
    }
  }
  return files;
}

/** Messages and lists of the fixtures, of `many` vectors one, above the numbers of the generated ones. */
export function fixtureSpool(many: number): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  const root = new URL('../../fixtures/', import.meta.url);
  const first = 100_000;
  for (const name of readdirSync(new URL('spool', root))) {
    if (messageNumber(name) === null) continue;
    const bytes = readFileSync(new URL(`spool/${name}`, root));
    const named = /^msgid\|(\d+)/m.exec(controlTextOf(bytes) ?? '')?.[1];
    files[first + Number(name)] = named === undefined ? bytes : withMsgid(bytes, first + Number(named));
  }
  let number = 2 * first;
  for (const line of readFileSync(new URL('vectors/parse.jsonl', root), 'latin1')
    .split('\n')
    .filter((_, n) => n % many === 0)) {
    if (line === '') continue;
    const list = Buffer.concat([
      Buffer.from(HEADERS[0] ?? ''),
      Buffer.from(JSON.parse(line).body_b64, 'base64'),
    ]);
    files[++number] = Buffer.from(`Subject: for ${number}\n\nhello\n`);
    files[++number] = withMsgid(list, number - 1);
  }
  return files;
}
