/**
 * Log lines to syslog. Node has no unix datagram sockets, so the local syslog is reached through util-linux' `logger`;
 * `syslog:HOST:PORT` sends RFC 5424 datagrams itself. Both streams take lines that begin with their priority (`<22>`).
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { Writable } from 'node:stream';
import { describeError } from '../../platform/system-errors.ts';

const FACILITY_MAIL = 2 * 8;
const SEVERITIES: { readonly [level: string]: number } = { error: 3, warn: 4, info: 6, debug: 7 };

/** The priority at the head of a line of this level. */
export function priority(level: string): string {
  return `<${FACILITY_MAIL + (SEVERITIES[level] ?? 6)}>`;
}

/** Rejects when there is no `logger`. `syslog`, `syslog:HOST` or `syslog:HOST:PORT`, IPv6 addresses in brackets. */
export async function syslogStream(target: string): Promise<Writable> {
  const [, bracketed, plain, port] = /^syslog:(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(target) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? throughLogger() : datagrams(host, Number(port ?? 514));
}

async function throughLogger(): Promise<Writable> {
  // Given no lines, its exit code says whether there is a syslog, so that no line is lost in finding out.
  const probe = startLogger();
  probe.stdin.end();
  const [found] = await once(probe, 'exit').catch((error) => {
    throw new Error(`the program logger cannot be started: ${describeError(error)}`);
  });
  if (found !== 0) throw new Error('the program logger finds no syslog');
  const child = startLogger();
  child.on('exit', (code) => {
    if (code !== 0) child.stdin.destroy(new Error(`the program logger ended with ${code}`));
  });
  await once(child, 'spawn');
  return child.stdin;
}

function startLogger() {
  // Without --socket-errors a missing syslog is not reported, unless the machine runs systemd.
  const args = ['--tag', 'spoolroom', '--prio-prefix', '--socket-errors=on'];
  const child = spawn('logger', args, { stdio: ['pipe', 'ignore', 'ignore'] });
  // When logger is missing, its standard input fails as well, with a less useful error.
  child.stdin.on('error', () => {});
  return child;
}

function datagrams(host: string, port: number): Writable {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const name = hostname();
  const datagram = (line: string): string => {
    const [, priority, text] = /^(<\d+>)(.*)/.exec(line) ?? [];
    return `${priority}1 ${new Date().toISOString()} ${name} spoolroom ${process.pid} - - ${text}`;
  };
  const send = (text: string) =>
    new Promise<void>((sent, failed) =>
      socket.send(text, port, host, (error) => (error === null ? sent() : failed(error))),
    );
  const sendEach = async (lines: readonly string[]): Promise<void> => {
    for (const line of lines) await send(datagram(line));
  };
  return new Writable({
    decodeStrings: false,
    write: (lines: string, _, done) => {
      void sendEach(lines.split('\n').slice(0, -1)).then(() => done(), done);
    },
    destroy: (error, done) => socket.close(() => done(error)),
  });
}
