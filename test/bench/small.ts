/**
 * A few messages: cron starts the command each minute, mostly for nothing. The whole command counts, beside an empty Node process
 * and beside programs that take one message to one server and queue nothing.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PROGRAM } from '../support/program.ts';
import { counted, type Section } from './context.ts';
import { filesLeft, fillSpool, inTime, messageText, SENDER } from './load.ts';
import type { Contender } from './measure.ts';
import { costOfCommand, inTemporaryFolder } from './process.ts';

const COUNTS = [0, 1, 10, 100];
const RECIPIENT = 'r0@bench.example';
const SIZE = 4096;
/** Runs of one round: one alone is too short to be measured. */
const REPEATED = 5;
/** A file that is no message: a run has to look what it is. */
const NO_MESSAGE = '1~';
/** Milliseconds after which a run believes that the spool has not changed (bin/unchanged.js). */
const SETTLED = 2100;
const NODEMAILER = fileURLToPath(new URL('./nodemailer-once.mjs', import.meta.url));
/** One process for each message, as sendmail's callers start it. */
const MSMTP =
  'for n in $(seq "$1"); do msmtp --host=127.0.0.1 --port="$2" --from="$3" "$4" <"$5" || exit; done';

export const small: Section = async function* ({ places, sink, options }) {
  const [place] = places;
  if (place === undefined) return;
  const hasMsmtp = options.peers && spawnSync('msmtp', ['--version']).error === undefined;
  const message = join(place.folder, 'message');
  writeFileSync(message, messageText(SIZE));
  const relay = `127.0.0.1:${sink.port}`;
  const node: Contender = {
    name: 'node -e 0',
    run: () => costOfCommand([process.execPath, '-e', '0'], REPEATED),
  };
  const spool = join(place.folder, 'unchanged');
  const again = [process.execPath, ...PROGRAM, 'run', '--spool', spool];
  const prepare = async (): Promise<void> => {
    mkdirSync(spool);
    await costOfCommand(again);
    await setTimeout(SETTLED);
    await costOfCommand(again);
  };
  let prepared: Promise<void> | null = null;
  const unchanged = async (): ReturnType<typeof costOfCommand> => {
    prepared ??= prepare();
    await prepared;
    return costOfCommand(again, REPEATED);
  };
  yield {
    name: 'run over an empty spool that has not changed',
    unit: 'run',
    units: REPEATED,
    ours: { name: 'spoolroom', run: unchanged },
    others: [node],
  };
  for (const count of COUNTS) {
    const delivering = async (
      run: () => ReturnType<typeof costOfCommand>,
    ): ReturnType<typeof costOfCommand> => {
      const { arrived } = await sink.expect(count * REPEATED);
      const cost = await run();
      if (count > 0) await inTime('the sink', arrived);
      return cost;
    };
    const spoolroom = (): ReturnType<typeof costOfCommand> =>
      inTemporaryFolder(place.folder, (folder) =>
        delivering(() =>
          costOfCommand(
            [process.execPath, ...PROGRAM, 'run', '--smarthost', relay, '--spool', folder],
            REPEATED,
            () => {
              if (filesLeft(folder) > 0) throw new Error(`not all of ${count} messages were delivered`);
              writeFileSync(join(folder, NO_MESSAGE), '');
              fillSpool(
                folder,
                messageText(SIZE),
                Array.from({ length: count }, () => [RECIPIENT]),
              );
            },
          ),
        ),
      );
    const words = [String(count), String(sink.port), SENDER, RECIPIENT, message];
    const others = [node];
    if (count > 0) {
      const once = [process.execPath, NODEMAILER, ...words];
      others.push({
        name: 'nodemailer, one script',
        run: () => delivering(() => costOfCommand(once, REPEATED)),
      });
    }
    if (count > 0 && hasMsmtp) {
      const msmtp = ['sh', '-c', MSMTP, 'sh', ...words];
      others.push({
        name: 'msmtp, one process each',
        run: () => delivering(() => costOfCommand(msmtp, REPEATED)),
      });
    }
    yield {
      name:
        count === 0
          ? 'run without messages'
          : `run with ${counted(count)} ${count === 1 ? 'message' : 'messages'}`,
      unit: 'run',
      units: REPEATED,
      ours: { name: 'spoolroom', run: spoolroom },
      others,
    };
  }
};
