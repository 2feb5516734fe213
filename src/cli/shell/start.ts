/** Where the bundle begins: run the command, set the exit code. An error that gets here is a bug and says so. */
import { EXIT } from './exit.ts';
import { main } from './main.ts';
import { standardStream, systemTerminal } from './terminal.ts';

/** Node itself would print the line of the bundle in which it happened, and that is a page. */
function stop(error: unknown): never {
  const trace = error instanceof Error ? error.stack : String(error);
  standardStream('stderr').write(
    'spoolroom: this is a bug in spoolroom. What is not delivered stays in the spool, and what is delivered is noted ' +
      `there. Please report it with these lines:\n${trace}\n`,
  );
  process.exit(EXIT.software);
}

process.on('uncaughtException', stop);
main(process.argv.slice(2), process.env, systemTerminal()).then((code) => {
  process.exitCode = code;
}, stop);
