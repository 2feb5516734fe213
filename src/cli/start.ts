/** Where the bundle begins: run the command, set the exit code. An error that gets here is a bug and says so. */
import type { Terminal } from './command.ts';
import { EXIT } from './exit.ts';
import { main } from './main.ts';

main(process.argv.slice(2), process.env, standardTerminal()).then(
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

function standardTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', unlessNobodyReads);
  return {
    print: (text) => process.stdout.write(`${text}\n`),
    tell: (text) => process.stderr.write(`${text}\n`),
    interactive: process.stdout.isTTY === true,
    input: process.stdin,
  };
}

/** Whoever read what we print may leave (`| head`); the mail goes on. */
function unlessNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
