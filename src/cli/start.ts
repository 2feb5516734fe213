/** Where the bundle begins: run the command, set the exit code. An error that gets here is a bug and says so. */
import { EXIT } from './exit.ts';
import { main } from './main.ts';

main(process.argv.slice(2), process.env).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(
      `spoolroom: this is a bug, and the mail is untouched: ${error instanceof Error ? error.stack : error}\n`,
    );
    process.exitCode = EXIT.software;
  },
);
