/** A well-known client with a pool and no queue: nothing it sends is durable. */
import { createTransport } from 'nodemailer';
import { client, messageText, recipientsOf, SENDER, SESSIONS, type Task } from './load.ts';

client(async (task: Task) => {
  const transport = createTransport({
    pool: true,
    host: '127.0.0.1',
    port: task.port,
    maxConnections: SESSIONS,
    maxMessages: Number.POSITIVE_INFINITY,
    ignoreTLS: true,
  });
  const raw = messageText(task.size);
  const envelope = { from: SENDER, to: [...recipientsOf(task)] };
  return async () => {
    await Promise.all(Array.from({ length: task.messages }, () => transport.sendMail({ envelope, raw })));
    transport.close();
  };
});
