/**
 * The ceiling: a bare loop of sessions that pipeline, each next envelope in the same write as the last body, and
 * nothing durable. No queue can be faster; the others are compared with it.
 */
import { connect } from 'node:net';
import { client, messageText, recipientsOf, SENDER, SESSIONS, type Task } from './load.ts';

client(async (task: Task) => {
  const { port, messages, recipients } = task;
  const body = `${messageText(task.size).replaceAll('\n', '\r\n')}.\r\n`;
  const rcpt = recipientsOf(task).map((address) => `RCPT TO:<${address}>\r\n`);
  const envelope = `MAIL FROM:<${SENDER}>\r\n${rcpt.join('')}DATA\r\n`;
  let left = messages;
  const session = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const afterEnvelope = recipients + 1;
      let awaited = 1;
      let phase: 'hello' | 'envelope' | 'end' = 'hello';
      let input = '';
      socket.on('error', reject);
      socket.on('close', () => resolve());
      socket.on('data', (chunk) => {
        input += chunk.toString('latin1');
        for (let end = input.indexOf('\r\n'); end >= 0; end = input.indexOf('\r\n')) {
          const line = input.slice(0, end);
          input = input.slice(end + 2);
          if (line[3] === '-') continue;
          if (phase === 'hello' && line.startsWith('220')) socket.write('EHLO bench.example\r\n');
          else if (phase === 'hello') {
            phase = 'envelope';
            awaited = afterEnvelope + 1;
            if (left-- > 0) socket.write(envelope);
            else socket.end('QUIT\r\n');
          } else if (--awaited === 0) {
            if (phase === 'end') {
              socket.end('QUIT\r\n');
              return;
            }
            const more = left-- > 0;
            socket.write(more ? body + envelope : body);
            awaited = more ? afterEnvelope + 2 : 1;
            phase = more ? 'envelope' : 'end';
          }
        }
      });
    });
  return async () => {
    await Promise.all(Array.from({ length: SESSIONS }, session));
  };
});
