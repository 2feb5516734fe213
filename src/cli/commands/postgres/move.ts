/**
 * `spoolroom move --from DIR --to postgres://...`: take the jobs of a spool into a queue in PostgreSQL. It can be killed at any moment
 * and begun again: a job is held in the spool while it is on its way, is in the database when its transaction is committed, and leaves
 * the spool after that.
 */
import { isPending } from '../../../delivery-list/job.ts';
import { plural } from '../../../output/text.ts';
import { type ControlMessages, groupByPayload } from '../../../queue/due.ts';
import { parsing } from '../../../queue/postgres/claims/claimed-job.ts';
import type { Database } from '../../../queue/postgres/database/database.ts';
import { openDatabase } from '../../../queue/postgres/open.ts';
import { forgetMoved, movedPayloads, type TakenJob, takeIn } from '../../../queue/postgres/take-in.ts';
import type { QueuedJob } from '../../../queue/queue.ts';
import { notesIn } from '../../../queue/spool/notes/dsn-store.ts';
import {
  openSpoolClient,
  openSpoolQueue,
  type SpoolClient,
  type SpoolDeps,
} from '../../../queue/spool/open.ts';
import { scheduleFrom } from '../../../runner/rules.ts';
import type { Settings } from '../../../settings/table.ts';
import { removeIfExists } from '../../../storage/atomic-file.ts';
import { payloadFingerprint } from '../../../storage/fingerprint.ts';
import { layoutOf } from '../../../storage/layout.ts';
import { readQueueId } from '../../../storage/queue-id.ts';
import { clockFor, controlSettings, openError, spoolDeps } from '../../setup/load-config.ts';
import { becomeOwner } from '../../setup/privileges.ts';
import { postgresError } from '../../setup/room/postgres.ts';
import { type CliError, type Command, cliError, warner } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

/** Who holds a job that is on its way. */
const MOVER = 'move';
/** Bytes; more than any list that is read. */
const LONGEST_LIST = 1 << 28;

export const command: Command = async ({ settings, options, terminal }) => {
  const from = String(options.from ?? '');
  const to = String(options.to ?? '');
  if (from.startsWith('postgres') && !to.startsWith('postgres'))
    return cliError(
      'Out of PostgreSQL nothing is moved yet. `spoolroom export DIR` copies what is there; stop the processes that deliver from it first.',
      EXIT.usage,
    );
  if (from === '' || !/^postgres(?:ql)?:\/\//.test(to))
    return cliError('Say what to move: --from DIR --to postgres://HOST/DATABASE.', EXIT.usage);
  const notOwner = becomeOwner(from, settings);
  if (notOwner !== null) return notOwner;
  const opened = await openDatabase(to);
  if (opened.kind === 'refused') return postgresError(opened);
  const { database } = opened;
  const deps = spoolDeps(clockFor(settings), warner(terminal));
  try {
    const moved = await moveAll(from, database, settings, deps);
    if ('exit' in moved) return moved;
    const { jobs, left } = moved;
    const rest =
      left === 0
        ? ''
        : ` ${plural(left, 'job')} stayed: nobody is pending in it, and the next run removes it.`;
    terminal.print(
      settings.json
        ? JSON.stringify({ from, to: database.name, jobs, left })
        : `${plural(jobs, 'job')} were moved from ${from} to ${database.name}.${rest}`,
    );
    return EXIT.ok;
  } finally {
    await database.close();
  }
};

interface Moved {
  readonly jobs: number;
  readonly left: number;
}

/** Until a look at the spool finds nothing to move: others may put mail there meanwhile. */
async function moveAll(
  spool: string,
  database: Database,
  settings: Settings,
  deps: SpoolDeps,
): Promise<Moved | CliError> {
  const control = controlSettings(settings);
  // As the one runner: nobody delivers from it meanwhile, and what an interrupted run left is in the lists.
  const opened = await openSpoolQueue(spool, deps, control);
  if (opened.kind === 'refused')
    return opened.why === 'busy' ? cliError(opened.text, EXIT.tempFail) : openError(opened);
  const { queue } = opened;
  try {
    const client = await openSpoolClient(spool, deps, control);
    if (client.kind === 'refused') return openError(client);
    const source = readQueueId(deps.disk, layoutOf(spool)) ?? spool;
    let jobs = 0;
    for (;;) {
      const messages = [...groupByPayload((await queue.scan()).jobs).values()];
      const movable = messages.filter((lists) => lists.some(({ job }) => job.recipients.some(isPending)));
      if (movable.length === 0) {
        await removeLeftOver(spool, source, messages, database, deps);
        const left = messages.reduce((sum, lists) => sum + lists.length, 0);
        return { jobs, left };
      }
      for (const lists of movable) {
        await moveOne(spool, source, lists, { database, settings, deps, client: client.client });
        jobs += lists.length;
      }
    }
  } finally {
    await queue.close();
  }
}

/** Payloads of jobs that an interrupted move had taken out of the spool already. */
async function removeLeftOver(
  spool: string,
  source: string,
  messages: readonly ControlMessages[],
  database: Database,
  { disk }: SpoolDeps,
): Promise<void> {
  const layout = layoutOf(spool);
  const named = new Set(messages.map(([{ job }]) => job.msgid));
  for (const { number, fingerprint } of await movedPayloads(database, source)) {
    const isLeft = fingerprint !== null && payloadFingerprint(disk, layout, number) === fingerprint;
    if (isLeft && !named.has(number)) removeIfExists(disk, layout.message(number));
  }
  await disk.syncDirectory(spool);
  await forgetMoved(database, source);
}

interface MoveDeps {
  readonly database: Database;
  readonly settings: Settings;
  readonly deps: SpoolDeps;
  readonly client: SpoolClient;
}

async function moveOne(
  spool: string,
  source: string,
  lists: ControlMessages,
  { database, settings, deps, client }: MoveDeps,
): Promise<void> {
  const { disk, clock } = deps;
  const layout = layoutOf(spool);
  const [{ job }] = lists;
  const unheld = lists.filter(({ request }) => request === undefined);
  await client.request('hold', unheld, { by: MOVER, at: Math.floor(clock.now() / 1000) });
  const notes = notesIn(spool, disk);
  notes.refresh();
  const taken: TakenJob[] = [];
  for (const queued of lists) {
    const key = { control: queued.control, msgid: queued.job.msgid, submitted: queued.job.submitted };
    taken.push({
      queued: asAsked(queued),
      list: disk.read(layout.message(queued.control), LONGEST_LIST).bytes,
      dsn: notes.request(key),
      told: await notes.notified(key),
      firstAttempt: await notes.firstAttempt(key),
    });
  }
  const path = layout.message(job.msgid);
  const payload = payloadFingerprint(disk, layout, job.msgid);
  const schedule = scheduleFrom(settings);
  const adopting = { database, options: parsing(settings.dialect), schedule, present: () => null };
  await takeIn(adopting, { source, jobs: taken, payload, pieces: () => disk.stream(path) });
  for (const { control } of lists) removeIfExists(disk, layout.message(control));
  await disk.syncDirectory(spool);
  if (payload !== null) removeIfExists(disk, path);
  await client.withdraw(lists);
}

/** A hold of ours is none of an administrator's. */
function asAsked(queued: QueuedJob): QueuedJob {
  if (queued.request !== 'hold' || queued.requestedBy?.by !== MOVER) return queued;
  const { request: _, requestedBy: __, ...rest } = queued;
  return rest;
}
