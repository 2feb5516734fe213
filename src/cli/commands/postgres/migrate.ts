/** `spoolroom migrate`: make the tables of a queue in PostgreSQL, or bring them up to date. Done again, it does nothing. */
import { parseDatabaseAddress } from '../../../queue/postgres/database/address.ts';
import { Database } from '../../../queue/postgres/database/database.ts';
import { addressProblem } from '../../../queue/postgres/open.ts';
import { migrate } from '../../../queue/postgres/schema/migrate.ts';
import { type Command, cliError } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

export const command: Command = async ({ settings, terminal }) => {
  if (settings.postgres === null)
    return cliError('No database given. Name it with --postgres postgres://HOST/DATABASE.', EXIT.usage);
  const address = parseDatabaseAddress(settings.postgres);
  if (address.kind === 'bad') return cliError(addressProblem(address), EXIT.config);
  const database = new Database(address);
  try {
    const { from, to } = await migrate(database);
    const done =
      from === to
        ? `The tables in ${database.name} have version ${to} already; nothing was done.`
        : from === 0
          ? `The tables of a queue are in ${database.name} now (version ${to}).`
          : `The tables in ${database.name} were brought from version ${from} to ${to}.`;
    terminal.print(settings.json ? JSON.stringify({ from, to }) : done);
    return EXIT.ok;
  } finally {
    await database.close();
  }
};
