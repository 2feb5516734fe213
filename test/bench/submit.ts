/** Submits messages to a server as simple clients do, Citadel's among them: one command, one reply. */
import { connect } from 'node:net';
import { SENDER } from './load.ts';

export interface Message {
  readonly recipients: readonly string[];
  readonly text: string;
}

/** Over one connection. Rejects when the server refuses anything. */
export function submit(port: number, messages: readonly Message[]): Promise<void> {
  const said = ['', 'EHLO bench.example\r\n'];
  for (const { recipients, text } of messages) {
    said.push(
      `MAIL FROM:<${SENDER}>\r\n`,
      ...recipients.map((address) => `RCPT TO:<${address}>\r\n`),
      'DATA\r\n',
    );
    said.push(`${text.replaceAll('\n', '\r\n')}.\r\n`);
  }
  said.push('QUIT\r\n');
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let next = 1;
    let input = '';
    socket.on('error', reject);
    socket.on('close', () => (next > said.length ? resolve() : reject(new Error('the server has hung up'))));
    socket.on('data', (piece) => {
      input += piece.toString('latin1');
      if (!/(^|\n)\d{3} [^\n]*\n$/.test(input)) return;
      if (!/^[23]/.test(input)) socket.destroy(new Error(`the server answers ${input}`));
      input = '';
      const command = said[next++];
      if (command !== undefined) socket.write(command);
    });
  });
}
