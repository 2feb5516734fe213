/**
 * The legal states of a job on disk, as techdoc/spool-states.md numbers them: what there is of payload, control message
 * and journal. Every other combination is a fault, after a power failure too.
 */
import { decodeJournal } from '../../src/queue/journal.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import type { MemoryDisk } from '../support/memory-disk.ts';

type Record = 'nothing' | 'status' | 'finish';

/** `P` payload, `C` control message, `-` none; then the most final journal record of the job. */
const LEGAL: { readonly [what: string]: string } = {
  'P- nothing': 'S2',
  'PC nothing': 'S3',
  'PC status': 'S4 or S5',
  'PC finish': 'S6',
  'P- finish': 'S7',
  '-- finish': 'S8',
  '-C nothing': 'S9',
  'P- status': 'S11',
  '-- status': 'S11',
};

/** Jobs in a state that the table does not name, in sentences. `lists`: msgid by control number. */
export function illegalStates(
  disk: MemoryDisk,
  spool: string,
  lists: ReadonlyMap<number, number>,
  messages: ReadonlySet<number>,
): readonly string[] {
  const jobs = new Map<string, { readonly control: number; readonly msgid: number; record: Record }>();
  for (const [control, msgid] of lists)
    jobs.set(`${control} ${msgid}`, { control, msgid, record: 'nothing' });
  for (const { control, msgid, record } of recordsIn(disk, spool)) {
    const job = jobs.get(`${control} ${msgid}`) ?? { control, msgid, record };
    if (job.record !== 'finish') job.record = record;
    jobs.set(`${control} ${msgid}`, job);
  }
  return [...jobs.values()].flatMap(({ control, msgid, record }) => {
    const what = `${messages.has(msgid) ? 'P' : '-'}${lists.get(control) === msgid ? 'C' : '-'} ${record}`;
    return what in LEGAL ? [] : [`job ${control} of message ${msgid} is in an illegal state: ${what}`];
  });
}

function recordsIn(disk: MemoryDisk, spool: string) {
  const { journal, id } = layoutOf(spool);
  if (disk.status(journal) === null || disk.status(id) === null) return [];
  const name = disk.read(id, 4096).bytes.toString('latin1').trim();
  const read = decodeJournal(disk.read(journal, 1 << 24).bytes, journal, name);
  return read.kind === 'read' ? read.records : [];
}
