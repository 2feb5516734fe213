/**
 * A Citadel server whose connection is opened anew when it was lost. A command that only reads is sent again on the new
 * connection. One that changes something is not, because it may have been carried out: the caller has to find out.
 */
import { inTurn } from '../../../platform/in-turn.ts';
import type { Login } from './login.ts';
import {
  CitadelSession,
  type Command,
  type CommandResult,
  ConnectionLost,
  type ServerAddress,
  type SessionDeps,
  serverName,
} from './session.ts';

export interface CitadelServer {
  /** for people */
  readonly name: string;
  /** a command that may be sent twice; its sink may then get part of the answer twice, after a call of `again` */
  read(command: Command, again?: () => void): Promise<CommandResult>;
  /** a command that may not be sent twice */
  change(command: Command): Promise<CommandResult>;
  close(): Promise<void>;
}

export function citadelServer(address: ServerAddress, login: Login, deps: SessionDeps): CitadelServer {
  let session: CitadelSession | null = null;
  const oneByOne = inTurn();

  async function ask(command: Command): Promise<CommandResult> {
    if (session === null || session.isLost) session = await CitadelSession.open(address, login, deps);
    return session.ask(command);
  }

  async function askTwice(command: Command, again: () => void): Promise<CommandResult> {
    const wasOpen = session !== null;
    try {
      return await ask(command);
    } catch (error) {
      if (!wasOpen || !(error instanceof ConnectionLost)) throw error;
      again();
      return ask(command);
    }
  }

  return {
    name: serverName(address),
    read: (command, again = () => {}) => oneByOne(() => askTwice(command, again)),
    change: (command) => oneByOne(() => ask(command)),
    close: () =>
      oneByOne(async () => {
        session?.close();
        session = null;
      }),
  };
}
