/**
 * `spoolroom export DIR`: copy what is in a queue in PostgreSQL into an empty directory, as a spool: every message and list in Citadel's
 * bytes, holds and other requests, and what is known of reports. The queue is left as it is, so deliver from one of them only.
 */

import { plural } from '../../../output/text.ts';
import type { DsnStore } from '../../../queue/dsn-store.ts';
import { type ExportedControl, exportQueue } from '../../../queue/postgres/export.ts';
import { openDatabase } from '../../../queue/postgres/open.ts';
import { writeDsnRequest } from '../../../queue/spool/notes/dsn-requests.ts';
import { openDsnStore } from '../../../queue/spool/notes/dsn-store.ts';
import { openSpoolClient, type SpoolDeps } from '../../../queue/spool/open.ts';
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
        await copy.note(item);
      }
    });
    await copy.finish(settings);
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
  readonly #directory: string;
  readonly #deps: SpoolDeps;
  readonly #controls: ExportedControl[] = [];
  readonly #notes: DsnStore;

  constructor(directory: string, deps: SpoolDeps) {
    this.#directory = directory;
    this.#deps = deps;
    this.#notes = openDsnStore(directory, deps);
  }

  async write(number: number, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const { disk } = this.#deps;
    const layout = layoutOf(this.#directory);
    const temporary = this.#temporaryName();
    await writeAndSync(disk, temporary, pieces, ownershipInSpool(disk, this.#directory).files);
    disk.link(temporary, layout.message(number));
    disk.unlink(temporary);
  }

  async note(item: ExportedControl): Promise<void> {
    const { queued, dsn, told, firstAttempt } = item;
    if (queued === null) return;
    if (queued.request !== undefined) this.#controls.push(item);
    const { job, control } = queued;
    const key = { control, msgid: job.msgid, submitted: job.submitted };
    if (dsn !== null) {
      const deps = {
        ...this.#deps,
        layout: layoutOf(this.#directory),
        temporaryName: () => this.#temporaryName(),
      };
      await writeDsnRequest(deps, job.msgid, job.submitted ?? 0, dsn);
    }
    if (told.length > 0) await this.#notes.recordNotified(key, told);
    if (firstAttempt !== null) await this.#notes.recordFirstAttempt(key, firstAttempt);
  }

  /** The requests, and everything durable. */
  async finish(settings: Settings): Promise<void> {
    await this.#deps.disk.syncDirectory(this.#directory);
    const opened = await openSpoolClient(this.#directory, this.#deps, controlSettings(settings));
    if (opened.kind === 'refused') throw new Error(opened.text);
    for (const { queued } of this.#controls)
      if (queued?.request !== undefined && queued.requestedBy !== undefined)
        await opened.client.request(queued.request, [queued], queued.requestedBy);
  }

  #temporaryName(): string {
    const { processes, random } = this.#deps;
    return temporaryNames(layoutOf(this.#directory), processes, random)();
  }
}
