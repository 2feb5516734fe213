/** Entry point of the bundle: runs the command and sets the exit code. An error that gets here is a bug, and is reported as one. */
import './early-hangup.ts';
import { lookedAt as lookedAtByRun } from '../setup/looked-at.ts';
import { EXIT } from './exit.ts';
import { main } from './main.ts';
import { standardStream, systemTerminal } from './terminal.ts';

/** As the table of settings says. */
const USUAL_CONFIG = '/etc/spoolroom/spoolroom.json';

/** Node itself would also print the line of the bundle where it happened, which fills the screen. */
function stop(error: unknown): never {
  const trace = error instanceof Error ? error.stack : String(error);
  standardStream('stderr').write(
    'spoolroom: this is a bug in spoolroom. Undelivered mail stays in the spool, and what was delivered is recorded there. ' +
      `Please report the bug with these lines:\n${trace}\n`,
  );
  process.exit(EXIT.software);
}

/** For the launcher; see bin/unchanged.js. Null: the next call may find something to do. */
export function lookedAt(): readonly string[] | null {
  const paths = lookedAtByRun();
  return paths === null ? null : [...paths, USUAL_CONFIG];
}

process.on('uncaughtException', stop);
main(process.argv.slice(2), process.env, systemTerminal(), USUAL_CONFIG).then((code) => {
  process.exitCode = code;
}, stop);
