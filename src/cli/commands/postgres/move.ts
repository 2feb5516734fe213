/**
 * `spoolroom move --from DIR --to postgres://...`, and the other way round: take the jobs of one queue into the other. It can be
 * killed at any moment and begun again.
 */
import { plural } from '../../../output/text.ts';
import { isMovedIn, moveIn } from '../../../queue/moving/move-in.ts';
import { type MovedOut, moveOut } from '../../../queue/moving/move-out.ts';
import { parsing } from '../../../queue/postgres/claims/claimed-job.ts';
import type { Database } from '../../../queue/postgres/database/database.ts';
import { openDatabase } from '../../../queue/postgres/open.ts';
import type { Queue } from '../../../queue/queue.ts';
import { messagesMoving } from '../../../queue/spool/inspect.ts';
import { openSpoolClient, openSpoolQueue } from '../../../queue/spool/open.ts';
import { scheduleFrom } from '../../../runner/rules.ts';
import type { Settings } from '../../../settings/table.ts';
import { layoutOf } from '../../../storage/layout.ts';
import { readQueueId } from '../../../storage/queue-id.ts';
import { clockFor, controlSettings, openError, spoolDeps } from '../../setup/load-config.ts';
import { becomeOwner } from '../../setup/privileges.ts';
import { postgresError } from '../../setup/room/postgres.ts';
import { type CliError, type Command, cliError, warner } from '../../shell/command.ts';
import { EXIT, type ExitCode } from '../../shell/exit.ts';

const POSTGRES = /^postgres(?:ql)?:\/\//;

export const command: Command = async ({ settings, options, terminal }) => {
  const from = String(options.from ?? '');
  const to = String(options.to ?? '');
  const isOut = POSTGRES.test(from);
  const [address, spool] = isOut ? [from, to] : [to, from];
  if (spool === '' || POSTGRES.test(spool) || !POSTGRES.test(address))
    return cliError(
      'Say what to move: --from DIR --to postgres://HOST/DATABASE, or the other way round.',
      EXIT.usage,
    );
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const opened = await openDatabase(address);
  if (opened.kind === 'refused') return postgresError(opened);
  const { database } = opened;
  try {
    const move = { spool, database, settings, warn: warner(terminal) };
    const done = await (isOut ? outOf(move) : into(move));
    if ('text' in done) return done;
    terminal.print(settings.json ? JSON.stringify(done.facts) : done.told);
    return done.exit;
  } finally {
    await database.close();
  }
};

interface Move {
  readonly spool: string;
  readonly database: Database;
  readonly settings: Settings;
  readonly warn: (text: string) => void;
}

interface Done {
  readonly facts: object;
  readonly told: string;
  readonly exit: ExitCode;
}

type Work = (parts: {
  readonly deps: ReturnType<typeof spoolDeps>;
  readonly queue: Queue;
  readonly id: string;
}) => Promise<Done | CliError>;

/** As the one runner: nobody delivers from the spool meanwhile, and what an interrupted run left is in the lists. */
async function withSpool({ spool, settings, warn }: Move, work: Work): Promise<Done | CliError> {
  const deps = spoolDeps(clockFor(settings), warn);
  const opened = await openSpoolQueue(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused')
    return opened.why === 'busy' ? cliError(opened.text, EXIT.tempFail) : openError(opened);
  const { queue } = opened;
  try {
    return await work({ deps, queue, id: readQueueId(deps.disk, layoutOf(spool)) ?? spool });
  } finally {
    await queue.close();
  }
}

function into(move: Move): Promise<Done | CliError> {
  const { spool, database, settings } = move;
  return withSpool(move, async ({ deps, queue, id }) => {
    if (messagesMoving(deps.disk, spool).length > 0) return unfinished(`--from postgres://... --to ${spool}`);
    const client = await openSpoolClient(spool, deps, controlSettings(settings));
    if (client.kind === 'refused') return openError(client);
    const options = parsing(settings.dialect, settings['limit.list']);
    const adopting = { database, options, schedule: scheduleFrom(settings), present: () => null };
    const { moved: jobs, left } = await moveIn(spool, {
      ...deps,
      queue,
      id,
      adopting,
      client: client.client,
    });
    const rest =
      left === 0
        ? ''
        : ` ${plural(left, 'job')} stayed: nobody is pending in it, and the next run removes it.`;
    return {
      facts: { from: spool, to: database.name, jobs, left },
      told: `${movedWords(jobs, spool, database.name)}${rest}`,
      exit: EXIT.ok,
    };
  });
}

function outOf(move: Move): Promise<Done | CliError> {
  const { spool, database, settings } = move;
  return withSpool(move, async ({ deps, queue, id }) => {
    if ((await queue.scan()).jobs.some(isMovedIn)) return unfinished(`--from ${spool} --to postgres://...`);
    const moved = await moveOut(spool, { ...deps, database, control: controlSettings(settings), id });
    const { moved: jobs, claimed, over, others } = moved;
    return {
      facts: { from: database.name, to: spool, jobs, claimed, over, others },
      told: `${movedWords(jobs, database.name, spool)}${stayed(moved)}`,
      exit: claimed > 0 ? EXIT.tempFail : EXIT.ok,
    };
  });
}

function movedWords(jobs: number, from: string, to: string): string {
  return `${plural(jobs, 'job')} ${jobs === 1 ? 'was' : 'were'} moved from ${from} to ${to}.`;
}

function stayed({ claimed, over, others }: MovedOut): string {
  const told: readonly (readonly [number, string, string])[] = [
    [claimed, 'job', 'another process delivers it now. Stop that process, and do the same again'],
    [over, 'job', 'nobody is pending in it, or its message is missing. The next run from there ends it'],
    [
      others,
      'message',
      'a list that cannot be read, or a message that no job names. `spoolroom export` copies these as well',
    ],
  ];
  return told
    .map(([count, noun, why]) => (count === 0 ? '' : ` ${plural(count, noun)} stayed: ${why}.`))
    .join('');
}

function unfinished(words: string): CliError {
  return cliError(
    `An earlier move the other way was interrupted. Nothing was done. Complete it first: \`spoolroom move ${words}\`.`,
    EXIT.tempFail,
  );
}
