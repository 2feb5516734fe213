/**
 * Which generation a Citadel server belongs to, by the commands it knows. Only reads. The version that a server reports does
 * not decide what it can do: many are built from a branch.
 */
import { COMMANDS, isTemporary } from './protocol.ts';
import type { CitadelServer } from './server.ts';
import { type CommandResult, ServerBusy } from './session.ts';

/** `2012`: settings by position. `2016`: by key. `2023`: stored messages are not handed out any more (since 2018). */
export type ServerVersion = '2012' | '2016' | '2023';

export const UNKNOWN_COMMAND = 530;

export async function serverVersion(server: CitadelServer): Promise<ServerVersion> {
  const ask = async (line: string): Promise<CommandResult> => {
    const answer = await server.read({ line });
    if (isTemporary(answer.code))
      throw new ServerBusy(`The Citadel server at ${server.name} is busy: ${answer.code} ${answer.text}.`);
    return answer;
  };
  const byKey = await ask(COMMANDS.fqdn);
  if (byKey.code !== 200) return '2012';
  // No message has this number; a server that knows the command reports that, or that we may not use it.
  const native = await ask(COMMANDS.native(0));
  return native.code === UNKNOWN_COMMAND ? '2023' : '2016';
}
