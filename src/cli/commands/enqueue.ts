/**
 * `spoolroom enqueue`: queues a message from a file or standard input, with the options of `sendmail`. Works beside a
 * running queue run. All or nothing: when one recipient is not a valid address, nothing is put into the spool. A text that
 * is not a message becomes one, and users without a domain get ours.
 */
import { queuedEntry } from '../../history/record.ts';
import type { Charset } from '../../message/charset.ts';
import { queuedEvent } from '../../output/log/log-events.ts';
import { plural, textDecoder } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import type { MessageFacts } from '../../queue/message-facts.ts';
import { InvalidMessage } from '../../queue/queue.ts';
import { contentOf, inputFrom, notRead, readBeginning } from '../sendmail/input.ts';
import { modeOf, modeRefused } from '../sendmail/mode.ts';
import { submissionFrom } from '../sendmail/submission.ts';
import { logFor } from '../setup/event-log.ts';
import { historyFor } from '../setup/history.ts';
import { charsetFrom, clockFor, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { becomeOwner } from '../setup/privileges.ts';
import { openClient } from '../setup/room/open-client.ts';
import { type CliError, type Command, cliError, type Invocation, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  if (modeOf(invocation.options.b) === 's') {
    const { speakSmtp } = await import('../listeners/smtp-session.ts');
    return speakSmtp(invocation);
  }
  const done = await enqueue(invocation);
  if (done.kind === 'error') return done;
  const { settings, options, terminal } = invocation;
  await tellQueued(done, invocation);
  if (options.quiet === true) return EXIT.ok;
  terminal.print(settings.json ? JSON.stringify(done.facts) : sentence(done.facts));
  return EXIT.ok;
};

interface Facts {
  /** the numbers under the names that `queue` has for them, and under their older names */
  readonly job: number;
  readonly mail: number;
  readonly control: number;
  readonly payload: number;
  readonly recipients: number;
}

function sentence({ control, payload, recipients }: Facts): string {
  return `queued: job ${control}, message ${payload}, ${plural(recipients, 'recipient')}`;
}

interface Enqueued {
  readonly kind: 'enqueued';
  readonly spool: string;
  readonly facts: Facts;
  readonly message: MessageFacts;
  readonly recipients: readonly ByteString[];
  readonly charset: Charset;
}

/** Standard error gets the line only on request: the result is printed already, and cron mails what it sees. */
async function tellQueued(
  { spool, facts, charset, message, recipients }: Enqueued,
  { settings, terminal }: Invocation,
): Promise<void> {
  const readable = textDecoder(charset);
  const queued = { ...facts, ...message, recipients, transactions: 1 };
  const history = await historyFor(spool, settings, {
    clock: clockFor(settings),
    readable,
    warn: warner(terminal),
  });
  history?.write(queuedEntry(queued, readable));
  await history?.close();
  if (settings['log.target'] === 'stderr' && settings['log.level'] === 'auto') return;
  const log = logFor(settings);
  log.write(queuedEvent(queued, readable));
  await log.close();
}

async function enqueue(invocation: Invocation): Promise<Enqueued | CliError> {
  const { settings, options, terminal, commandText } = invocation;
  const refused = modeRefused(options.b, commandText);
  if (refused !== null) return refused;
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const charset = charsetFrom(settings);
  if ('kind' in charset) return charset;
  const input = inputFrom(options.file, terminal.input);
  if ('kind' in input) return input;
  const text = await readBeginning(input).catch((error) => notRead(error, options.file));
  if ('kind' in text) return text;

  const clock = clockFor(settings);
  const submission = submissionFrom(text.begun, invocation, charset, Math.floor(clock.now() / 1000));
  if (submission.kind === 'error') return submission;
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const opened = await openClient(spool, settings, spoolDeps(clock, warner(terminal)));
  if (opened.kind === 'error') return opened;

  const { begun, job, facts } = submission;
  const { recipients } = job;
  let size = 0;
  const pieces = contentOf(begun, text.rest, (bytes) => {
    size += bytes;
  });
  try {
    const numbers = await opened.client.enqueue(pieces, job);
    return {
      ...{ kind: 'enqueued', spool, recipients, charset },
      facts: { job: numbers.control, mail: numbers.payload, ...numbers, recipients: recipients.length },
      message: { ...facts, size },
    };
  } catch (error) {
    return notQueued(error, spool);
  }
}

/** Errors of the disk and of the message get a sentence; anything else is a bug and is thrown on. */
function notQueued(error: unknown, spool: string): CliError {
  if (error instanceof InvalidMessage) return cliError(error.message, EXIT.data);
  if (error instanceof QueueError) return cliError(`${error.message} Nothing was queued.`, EXIT.io);
  if (errorCode(error) === null) throw error;
  return cliError(
    `The message could not be put into ${spool}: ${describeError(error)}. Nothing was queued.`,
    EXIT.io,
  );
}
