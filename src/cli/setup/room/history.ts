/** The history of the queue in PostgreSQL that the settings name. Loaded only where one is named. */
import {
  SharedHistory,
  type SharedHistoryDeps,
  SharedHistoryReader,
} from '../../../history/shared-history.ts';
import { machineName } from '../../../platform/machine-name.ts';
import { parseDatabaseAddress } from '../../../queue/postgres/database/address.ts';
import { Database } from '../../../queue/postgres/database/database.ts';
import { addressProblem, openDatabase } from '../../../queue/postgres/open.ts';

/** A connection of its own: what is written there waits for no delivery, and no delivery for it. */
export function sharedHistory(
  address: string,
  deps: Pick<SharedHistoryDeps, 'limits' | 'clock'>,
): SharedHistory {
  const parsed = parseDatabaseAddress(address);
  // Whoever opened the queue has told of it.
  if (parsed.kind === 'bad') throw new Error(addressProblem(parsed));
  const { limits, clock } = deps;
  return new SharedHistory({ limits, clock, database: new Database(parsed, 1), machine: machineName() });
}

/** A string: why it cannot be read, as sentences. */
export async function sharedHistoryReader(address: string): Promise<SharedHistoryReader | string> {
  const opened = await openDatabase(address);
  return opened.kind === 'refused' ? opened.text : new SharedHistoryReader(opened.database);
}
