/**
 * `spoolroom export DIR`: copy what is in a queue in PostgreSQL into an empty directory, as a spool: every message and list in Citadel's
 * bytes, holds and other requests, and what is known of reports. The queue is left as it is, so deliver from one of them only.
 */

import { plural } from '../../../output/text.ts';
import type { DsnStore } from '../../../queue/dsn-store.ts';
import { type ExportedJob, exportQueue } from '../../../queue/postgres/export.ts';
import { openDatabase } from '../../../queue/postgres/open.ts';
import { carryNotes } from '../../../queue/spool/notes/carry.ts';
import { openDsnStore } from '../../../queue/spool/notes/dsn-store.ts';
import { openSpoolClient, type SpoolDeps } from '../../../queue/spool/open.ts';
import type { RequestDeps } from '../../../queue/spool/requests/requests.ts';
import type { Settings } from '../../../settings/table.ts';
import { temporaryNames, writeAndSync } from '../../../storage/atomic-file.ts';
import { ownershipInSpool } from '../../../storage/folder.ts';
import { layoutOf, messageNumber } from '../../../storage/layout.ts';
import { clockFor, controlSettings, openError, spoolDeps } from '../../setup/load-config.ts';
import { postgresError } from '../../setup/room/postgres.ts';
import { type CliError, type Command, cliError, warner } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  if (settings.postgres === null)
    return cliError('No database given. Name it with --postgres postgres://HOST/DATABASE.', EXIT.usage);
  const directory = String(options.directory);
  const deps = spoolDeps(clockFor(settings), warner(terminal));
  const refused = await notEmpty(directory, settings, deps);
  if (refused !== null) return refused;
  const opened = await openDatabase(settings.postgres);
  if (opened.kind === 'refused') return postgresError(opened);
  const { database } = opened;
  const counts = { messages: 0, jobs: 0 };
  try {
    const copy = new SpoolCopy(directory, deps);
    await exportQueue(database, controlSettings(settings), async (item) => {
      await copy.write(item.number, item.kind === 'payload' ? item.pieces : [item.list]);
      if (item.kind === 'payload') counts.messages++;
      else {
        counts.jobs++;
        if (item.job !== null) await copy.note(item.job);
      }
    });
    await copy.finish();
  } finally {
    await database.close();
  }
  terminal.print(
    settings.json
      ? JSON.stringify({ directory, ...counts })
      : `${plural(counts.jobs, 'job')} with ${plural(counts.messages, 'message')} were copied from ${database.name} into ${directory}. They are in both now: deliver from one of them only.`,
  );
  return EXIT.ok;
};

/** Makes our folders in the directory. */
async function notEmpty(directory: string, settings: Settings, deps: SpoolDeps): Promise<CliError | null> {
  const opened = await openSpoolClient(directory, deps, controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  if (!deps.disk.list(directory).some(({ name }) => messageNumber(name) !== null)) return null;
  return cliError(
    `There are messages in ${directory} already. Nothing was copied: name an empty directory.`,
    EXIT.cannotCreate,
  );
}

class SpoolCopy {
  readonly #to: RequestDeps;
  readonly #notes: DsnStore;

  constructor(directory: string, deps: SpoolDeps) {
    const { disk, processes, random } = deps;
    const layout = layoutOf(directory);
    const temporaryName = temporaryNames(layout, processes, random);
    this.#to = { disk, layout, temporaryName, owner: ownershipInSpool(disk, directory).files };
    this.#notes = openDsnStore(directory, deps);
  }

  async write(number: number, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const { disk, layout, temporaryName, owner } = this.#to;
    const temporary = temporaryName();
    await writeAndSync(disk, temporary, pieces, owner);
    disk.link(temporary, layout.message(number));
    disk.unlink(temporary);
  }

  note(job: ExportedJob): Promise<void> {
    return carryNotes(this.#to, this.#notes, job, job);
  }

  async finish(): Promise<void> {
    await this.#to.disk.syncDirectory(this.#to.layout.spool);
  }
}
