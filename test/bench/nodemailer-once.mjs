/** What people write who need no queue: a script that sends a few messages over one connection and ends. */
import { createTransport } from 'nodemailer';

const [count, port, from, to, file] = process.argv.slice(2);
const transport = createTransport({
  pool: true,
  host: '127.0.0.1',
  port: Number(port),
  maxConnections: 1,
  ignoreTLS: true,
});
const send = () => transport.sendMail({ envelope: { from, to }, raw: { path: file } });
await Promise.all(Array.from({ length: Number(count) }, send));
transport.close();
