/** A server that takes everything as fast as it can, in a process of its own: what all clients of the benchmark talk to. */
import { createServer } from 'node:net';

const END = '\r\n.\r\n';

const server = createServer({ noDelay: true }, (socket) => {
  let input = '';
  let inBody = false;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    input += chunk.toString('latin1');
    let answer = '';
    for (;;) {
      if (inBody) {
        const end = input.indexOf(END);
        if (end < 0) break;
        input = input.slice(end + END.length);
        inBody = false;
        answer += '250 2.0.0 queued\r\n';
        continue;
      }
      const end = input.indexOf('\r\n');
      if (end < 0) break;
      const verb = input.slice(0, 4).toUpperCase();
      input = input.slice(end + 2);
      if (verb === 'EHLO') answer += '250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n';
      else if (verb === 'DATA') {
        inBody = true;
        answer += '354 go ahead\r\n';
      } else if (verb === 'QUIT') {
        socket.end(`${answer}221 2.0.0 bye\r\n`);
        return;
      } else answer += '250 2.0.0 ok\r\n';
    }
    if (answer !== '') socket.write(answer);
  });
  socket.write('220 sink.example ESMTP\r\n');
});

server.listen(0, '0.0.0.0', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.({ port: address.port });
});
