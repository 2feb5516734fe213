/**
 * The dialect in which the delivery lists of a queue room are written: that of the server's own SMTP module, whatever the
 * settings say, so that the module can go on with them.
 */
import type { Dialect } from '../../delivery-list/job.ts';
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
    this.#isDetected = true;
    if (isContradicted)
      warn(
        isNewer
          ? `The Citadel server at ${server.name} answers like one of 2016, but without its own SMTP commands, as since March 2017. Delivery lists are written in the dialect 2017, as set.`
          : `The setting dialect is ${setting}, but the Citadel server at ${server.name} is one of ${version} and reads ${own}. Delivery lists are written in the dialect ${own}; remove the setting.`,
      );
  }

  async #lacksSmtp(): Promise<boolean> {
    const { code } = await this.#deps.server.read({ line: COMMANDS.smtp });
    return code === UNKNOWN_COMMAND;
  }
}
