/**
 * How the delivery lists of a queue room are written: so that the server's own SMTP module can go on with them. The dialect
 * is that of the module, whatever the settings say. With a smarthost, the module of 2016 tries the first recipients of a list,
 * as many as are pending, whoever they are: it gets the pending ones first.
 */
import { rewrittenText } from '../../delivery-list/apply.ts';
import { type Dialect, isPending, type Job } from '../../delivery-list/job.ts';
import type { RetryIntervals } from '../../delivery-list/serialise.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { COMMANDS } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import { type ServerVersion, serverVersion, UNKNOWN_COMMAND } from './client/server-version.ts';

const DIALECTS: Readonly<Record<ServerVersion, Dialect>> = { '2012': '2012', '2016': '2012', '2023': '2017' };

export interface RoomDialectDeps {
  readonly server: CitadelServer;
  /** what the settings say; null: nothing */
  readonly setting: Dialect | null;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
}

export class RoomDialect {
  readonly #deps: RoomDialectDeps;
  #isDetected = false;
  #value: Dialect;
  #hasPendingFirst = false;

  constructor(deps: RoomDialectDeps) {
    this.#deps = deps;
    this.#value = deps.setting ?? '2012';
  }

  /** Final once `detect` has resolved. */
  get value(): Dialect {
    return this.#value;
  }

  /** Asks the server, once. Warns when the settings say something else. */
  async detect(): Promise<void> {
    if (this.#isDetected) return;
    const { server, setting, warn } = this.#deps;
    const version = await serverVersion(server);
    const own = DIALECTS[version];
    const isContradicted = setting !== null && setting !== own;
    // Servers between March 2017 and 2018 know the commands of 2016 but one, which went with the module of that dialect.
    const isNewer = isContradicted && version === '2016' && (await this.#lacksSmtp());
    this.#value = isNewer ? '2017' : own;
    this.#hasPendingFirst = version === '2016' && !isNewer;
    this.#isDetected = true;
    if (isContradicted)
      warn(
        isNewer
          ? `The Citadel server at ${server.name} answers like one of 2016, but without its own SMTP commands, as since March 2017. Delivery lists are written in the dialect 2017, as set.`
          : `The setting dialect is ${setting}, but the Citadel server at ${server.name} is one of ${version} and reads ${own}. Delivery lists are written in the dialect ${own}; remove the setting.`,
      );
  }

  /** The text of a job after a run at `now`, as `rewrittenText` writes it. */
  write(job: Job, now: number, intervals: RetryIntervals): ByteString | null {
    const recipients = this.#hasPendingFirst ? pendingFirst(job.recipients) : job.recipients;
    return rewrittenText({ ...job, recipients }, this.#value, now, intervals);
  }

  async #lacksSmtp(): Promise<boolean> {
    const { code } = await this.#deps.server.read({ line: COMMANDS.smtp });
    return code === UNKNOWN_COMMAND;
  }
}

function pendingFirst(recipients: Job['recipients']): Job['recipients'] {
  return [...recipients.filter(isPending), ...recipients.filter((recipient) => !isPending(recipient))];
}
