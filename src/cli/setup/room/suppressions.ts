/** The suppressed addresses of the queue in PostgreSQL that the settings name. Loaded only where one is named. */
import { parseDatabaseAddress } from '../../../queue/postgres/database/address.ts';
import { Database } from '../../../queue/postgres/database/database.ts';
import { addressProblem } from '../../../queue/postgres/open.ts';
import { suppressionRules } from '../../../runner/rules.ts';
import { SharedSuppressions } from '../../../runner/shared-suppressions.ts';
import type { Settings } from '../../../settings/table.ts';

/** With a connection of its own, as the history has one. */
export function sharedSuppressions(
  address: string,
  settings: Settings,
  now: () => number,
): SharedSuppressions {
  const parsed = parseDatabaseAddress(address);
  // Whoever opened the queue has told of it.
  if (parsed.kind === 'bad') throw new Error(addressProblem(parsed));
  const database = new Database(parsed, 1);
  return new SharedSuppressions({ database, rules: suppressionRules(settings), now });
}
