/**
 * A server that takes everything as fast as it can, in a process of its own: what all contenders deliver to. With the
 * argument `tls` it offers STARTTLS and resumes sessions, with `tls-anew` it offers STARTTLS and resumes none. Told a number of
 * messages, it counts from zero and says when so many have come.
 */
import { constants } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { certificates } from '../support/certificates.ts';

export interface Arrived {
  readonly messages: number;
  readonly recipients: number;
  readonly sessions: number;
  /** sessions whose TLS was resumed */
  readonly resumed: number;
}

const END = '\r\n.\r\n';
const [tls] = process.argv.slice(2);
const secureContext =
  tls === undefined
    ? undefined
    : createSecureContext({
        ...certificates.mail,
        ...(tls === 'tls-anew' && { secureOptions: constants.SSL_OP_NO_TICKET }),
      });
const HELLO = `250-sink.example\r\n250-PIPELINING\r\n${tls === undefined ? '' : '250-STARTTLS\r\n'}250 8BITMIME\r\n`;

let expected = Number.POSITIVE_INFINITY;
let count = { messages: 0, recipients: 0, sessions: 0, resumed: 0 };

function took(): void {
  if (++count.messages === expected) process.send?.(count);
}

function startTls(socket: Socket): void {
  socket.removeAllListeners('data');
  const secure = new TLSSocket(socket, { isServer: true, secureContext });
  secure.once('secure', () => {
    if (secure.isSessionReused()) count.resumed++;
  });
  serve(secure);
}

function serve(socket: Socket): void {
  let input = '';
  let inBody = false;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    input += chunk.toString('latin1');
    let answer = '';
    for (;;) {
      if (inBody) {
        const end = input.indexOf(END);
        if (end < 0) {
          input = input.slice(1 - END.length);
          break;
        }
        input = input.slice(end + END.length);
        inBody = false;
        took();
        answer += '250 2.0.0 queued\r\n';
        continue;
      }
      const end = input.indexOf('\r\n');
      if (end < 0) break;
      const verb = input.slice(0, 4).toUpperCase();
      input = input.slice(end + 2);
      if (verb === 'EHLO') answer += HELLO;
      else if (verb === 'DATA') {
        inBody = true;
        // The end of a message is looked for from the line end before its first line.
        input = `\r\n${input}`;
        answer += '354 go ahead\r\n';
      } else if (verb === 'QUIT') {
        socket.end(`${answer}221 2.0.0 bye\r\n`);
        return;
      } else if (verb === 'STAR') {
        socket.write('220 2.0.0 go ahead\r\n');
        startTls(socket);
        return;
      } else {
        if (verb === 'RCPT') count.recipients++;
        answer += '250 2.0.0 ok\r\n';
      }
    }
    if (answer !== '') socket.write(answer);
  });
}

const server = createServer({ noDelay: true }, (socket) => {
  count.sessions++;
  serve(socket);
  socket.write('220 sink.example ESMTP\r\n');
});

process.on('message', (messages: number) => {
  expected = messages;
  count = { messages: 0, recipients: 0, sessions: 0, resumed: 0 };
  process.send?.('ready');
});

process.once('disconnect', () => process.exit());

server.listen(0, '0.0.0.0', 4096, () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
