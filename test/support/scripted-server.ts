/** The server of a simulated world on a socket of loopback: what a replay meets, a run can meet as well. */
import { once } from 'node:events';
import * as net from 'node:net';
import type { Accepted, ServerScript } from '../../src/replay/world/server.ts';
import { ScriptedServer } from '../../src/replay/world/server.ts';

export interface ScriptedPeer {
  readonly port: number;
  /** the commands of all connections, in order */
  readonly commands: readonly string[];
  readonly accepted: readonly Accepted[];
  close(): Promise<void>;
}

export async function startScriptedServer(script: ServerScript): Promise<ScriptedPeer> {
  const commands: string[] = [];
  const accepted: Accepted[] = [];
  const memory = new Map<string, number>();
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const scripted = new ScriptedServer(script, memory, (message) => accepted.push(message));
    let inBody = false;
    let rest = '';
    const perform = (actions: ReturnType<ScriptedServer['greet']>): void => {
      for (const action of actions) {
        if (action.do === 'send') {
          inBody ||= action.bytes.startsWith('3');
          socket.write(action.bytes, 'latin1');
        } else if (action.do === 'close') socket.end();
        else if (action.do === 'reset') socket.resetAndDestroy();
      }
    };
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      const lines = (rest + text).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!inBody) commands.push(line);
        else if (line === '.') inBody = false;
      }
      perform(scripted.receive(text));
    });
    perform(scripted.greet());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    commands,
    accepted,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
