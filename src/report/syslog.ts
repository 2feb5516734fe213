/**
 * Log lines to syslog. Node has no unix datagram sockets, so the local syslog is reached through the `logger`
 * program, which every Linux has; `syslog:HOST:PORT` sends RFC 5424 datagrams itself. Used by log.ts alone.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { hostname } from 'node:os';
import { Writable } from 'node:stream';

/** facility mail (2), severity informational (6) */
const PRIORITY = 2 * 8 + 6;

export function syslogStream(target: string): Writable {
  const [, host, port] = target.split(':');
  return host === undefined ? throughLogger() : datagrams(host, Number(port ?? 514));
}

function throughLogger(): Writable {
  const child = spawn('logger', ['-t', 'spoolroom', '-p', 'mail.info'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', (error) => {
    process.stderr.write(`spoolroom: the log cannot be written to syslog: ${error.message}\n`);
  });
  child.stdin.on('error', () => {
    // The child's own error event has said it already.
  });
  return child.stdin;
}

function datagrams(host: string, port: number): Writable {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.unref();
  return new Writable({
    decodeStrings: false,
    write: (chunk: string | Buffer, _, done) => {
      const text = String(chunk).trimEnd();
      const head = `<${PRIORITY}>1 ${new Date().toISOString()} ${hostname()} spoolroom ${process.pid} - -`;
      socket.send(Buffer.from(`${head} ${text}`), port, host, (error) => done(error));
    },
    final: (done) => {
      socket.close();
      done();
    },
  });
}
