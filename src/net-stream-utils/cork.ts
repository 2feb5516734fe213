/** What is written in one turn of the event loop leaves in one system call. */
import type { Socket } from 'node:net';

/** Call before each write. */
export function corkForTurn(socket: Socket): void {
  if (socket.writableCorked > 0) return;
  socket.cork();
  process.nextTick(uncork, socket);
}

/** One function for all sockets, instead of a closure for every write. */
function uncork(socket: Socket): void {
  socket.uncork();
}
