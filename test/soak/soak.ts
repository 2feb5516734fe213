/**
 * `watch` under ordinary and hostile load for a long time: its memory, open files, timers and other resources must stay level.
 * The load is made here; the process is looked at from outside, in /proc, and what its event loop holds is counted by a few
 * lines that are loaded before the program.
 *
 * The hostile server says as much as it may (a greeting and an answer to EHLO of 2 MB), takes one message a session, never
 * answers QUIT, and resets, hangs or talks nonsense now and then. A third address accepts connections and says nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as passed } from 'node:timers/promises';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { PROGRAM } from '../support/program.ts';
import { seededRandom } from '../support/spool.ts';

export interface SoakOptions {
  /** an empty directory */
  readonly spool: string;
  readonly milliseconds: number;
  readonly seed: number;
}

export interface Sample {
  /** milliseconds since the start of the load */
  readonly at: number;
  /** megabytes */
  readonly memory: number;
  readonly files: number;
  /** that are set */
  readonly timers: number;
  /** all that the event loop waits for: sockets, requests, timers, watchers */
  readonly resources: number;
}

/** The measures that must not grow, with what they may grow by in any case. */
const LEVEL: { readonly [what in Exclude<keyof Sample, 'at'>]: number } = {
  memory: 8,
  files: 10,
  timers: 10,
  resources: 20,
};

export interface Soaked {
  readonly samples: readonly Sample[];
  readonly enqueued: number;
  /** messages that the ordinary server has taken */
  readonly delivered: number;
  readonly hostileSessions: number;
  readonly exit: number | null;
}

const ORDINARY = '127.0.0.2';
/** Many, because an address that failed is left alone for two minutes. */
const HOSTILE = Array.from({ length: 60 }, (_, at) => `127.0.1.${at + 1}`);
const SILENT = '127.0.0.4';
/** Between two rounds of new messages, and between two looks, in milliseconds. */
const ROUND = 100;
const LOOK = 1000;

export async function soak({ spool, milliseconds, seed }: SoakOptions): Promise<Soaked> {
  const random = seededRandom(seed);
  const count = { delivered: 0, hostile: 0 };
  const ordinary = await listen(0, ORDINARY, (socket) => answer(socket, () => count.delivered++));
  const { port } = ordinary.address() as net.AddressInfo;
  const hostile = await Promise.all(
    HOSTILE.map((address) =>
      listen(port, address, (socket) => {
        count.hostile++;
        misbehave(socket, random());
      }),
    ),
  );
  const silent = await listen(port, SILENT, () => {});
  const counts = path.join(spool, '.counts');
  const watch = start(spool, port, counts);
  const samples: Sample[] = [];
  let number = 0;
  try {
    await passed(2 * LOOK);
    const began = performance.now();
    let nextLook = 0;
    for (let at = 0; at < milliseconds; at = performance.now() - began) {
      if (at >= nextLook) {
        samples.push({ at: Math.round(at), ...lookAt(watch, counts) });
        nextLook += LOOK;
      }
      for (let each = 0; each < 3; each++) enqueue(spool, ++number, ORDINARY);
      if (random() < 0.5) enqueue(spool, ++number, HOSTILE[Math.floor(random() * HOSTILE.length)] ?? SILENT);
      if (random() < 0.02) enqueue(spool, ++number, SILENT);
      await passed(ROUND);
    }
    samples.push({ at: milliseconds, ...lookAt(watch, counts) });
  } finally {
    watch.kill('SIGTERM');
    if (watch.exitCode === null) await once(watch, 'exit');
    for (const server of [ordinary, ...hostile, silent]) server.close();
  }
  return {
    samples,
    enqueued: number,
    delivered: count.delivered,
    hostileSessions: count.hostile,
    exit: watch.exitCode,
  };
}

/**
 * What is wrong with the samples, in sentences: the median of the last third may lie above that of the second third by a
 * tenth and a little. The first third is for warming up.
 */
export function growth(samples: readonly Sample[]): readonly string[] {
  const third = Math.floor(samples.length / 3);
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)];
  const told = ([what, slack]: readonly [keyof Sample, number]): readonly string[] => {
    const [before, after] = [
      median(middle.map((each) => each[what])),
      median(last.map((each) => each[what])),
    ];
    return after > before * 1.1 + slack ? [`${what} grew from ${before} to ${after}`] : [];
  };
  return (Object.entries(LEVEL) as [keyof Sample, number][]).flatMap(told);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** At a signal, says what the event loop holds. A signal handler is no resource that keeps it going. */
const counter = (file: string): string =>
  'data:text/javascript,' +
  encodeURIComponent(
    `import fs from 'node:fs';
    process.on('SIGUSR2', () =>
      fs.writeFileSync(${JSON.stringify(file)}, process.getActiveResourcesInfo().join(' ')));`,
  );

function start(spool: string, port: number, counts: string): ChildProcess {
  const words = [
    'watch',
    '--spool',
    spool,
    '--hostname',
    'soak.example',
    '--mx-port',
    String(port),
    '--poll',
    '200ms',
  ];
  const quiet = [
    '--log.level',
    'error',
    '--timeout.greeting',
    '5s',
    '--timeout.quit',
    '2s',
    '--return',
    'room',
  ];
  return spawn(process.execPath, ['--import', counter(counts), ...PROGRAM, ...words, ...quiet], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** The counts are those of the look before, because the signal needs time. */
function lookAt(watch: ChildProcess, counts: string): Omit<Sample, 'at'> {
  const { pid } = watch;
  const resources = (fs.existsSync(counts) ? fs.readFileSync(counts, 'latin1') : '').split(' ');
  watch.kill('SIGUSR2');
  const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  return {
    memory: Math.round(kilobytes / 1024),
    files: fs.readdirSync(`/proc/${pid}/fd`).length,
    timers: resources.filter((each) => each === 'Timeout').length,
    resources: resources.length,
  };
}

function enqueue(spool: string, number: number, address: string): void {
  const [msgid, control] = [2 * number - 1, 2 * number];
  const text = newControlText({
    msgid,
    submitted: Math.floor(Date.now() / 1000),
    bounceto: '',
    envelopeFrom: '<>',
    sourceRoom: null,
    recipients: [`r${number}@[${address}]`],
  });
  put(spool, msgid, `From: a@soak.example\nSubject: ${number}\n\n${'line of text\n'.repeat(300)}`);
  put(spool, control, text);
}

function put(spool: string, number: number, text: string): void {
  const temporary = path.join(spool, `${number}.tmp`);
  fs.writeFileSync(temporary, text, 'latin1');
  fs.renameSync(temporary, path.join(spool, String(number)));
}

async function listen(port: number, host: string, serve: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

/** A server as most are: one reply to each command, PIPELINING. */
function answer(socket: net.Socket, taken: () => void): void {
  let rest = '';
  let inData = false;
  socket.write('220 ordinary\r\n');
  socket.on('data', (bytes) => {
    rest += bytes.toString('latin1');
    for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 2);
      if (inData && line !== '.') continue;
      if (inData) taken();
      socket.write(inData ? '250 2.0.0 queued\r\n' : replyTo(line));
      inData = !inData && /^DATA$/i.test(line);
      if (/^QUIT$/i.test(line)) socket.end();
    }
  });
}

function replyTo(line: string): string {
  if (/^EHLO/i.test(line)) return '250-ordinary\r\n250-PIPELINING\r\n250 8BITMIME\r\n';
  if (/^DATA/i.test(line)) return '354 go ahead\r\n';
  return /^QUIT/i.test(line) ? '221 bye\r\n' : '250 ok\r\n';
}

const MUCH = (code: number, last: string): string =>
  `${Array.from({ length: 500 }, () => `${code}-${'x'.repeat(4000)}`).join('\r\n')}\r\n${code} ${last}\r\n`;

/** `mood`: in [0, 1). */
function misbehave(socket: net.Socket, mood: number): void {
  if (mood < 0.1) socket.resetAndDestroy();
  else if (mood < 0.2) socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  else if (mood < 0.3) socket.write(`220 ${'x'.repeat(100_000)}`);
  else {
    socket.write(MUCH(220, 'hostile'));
    let inData = false;
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('latin1').split('\r\n').slice(0, -1)) {
        if (inData && line !== '.') continue;
        if (/^QUIT/i.test(line)) return;
        socket.write(
          /^EHLO/i.test(line) ? MUCH(250, 'LIMITS MAILMAX=1') : inData ? '250 ok\r\n' : replyTo(line),
        );
        inData = !inData && /^DATA$/i.test(line);
      }
    });
  }
}
