/** A well-known client with a pool and no queue: nothing it sends is durable. */
import { createTransport } from 'nodemailer';
import { client, messageText, SESSIONS } from './load.ts';

client(async ({ port, messages, recipients, size }) => {
  const transport = createTransport({
    pool: true,
    host: '127.0.0.1',
    port,
    maxConnections: SESSIONS,
    maxMessages: Number.POSITIVE_INFINITY,
    ignoreTLS: true,
  });
  const raw = messageText(size);
  const to = Array.from({ length: recipients }, (_, n) => `r${n}@bench.example`);
  return async () => {
    await Promise.all(
      Array.from({ length: messages }, () =>
        transport.sendMail({ envelope: { from: 'sender@bench.example', to }, raw }),
      ),
    );
    transport.close();
    return undefined;
  };
});
