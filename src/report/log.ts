/**
 * Where log lines go: winston, loaded when the first line is written, so that a run with nothing to say costs
 * nothing. Called by the commands; knows lines and targets, not deliveries.
 */
import type { Logger } from 'winston';
import type { Level, Line } from './lines.ts';

export interface LogOptions {
  readonly level: Level;
  readonly format: 'pretty' | 'json';
  /** `stderr`, `syslog`, `syslog:HOST:PORT` or a file */
  readonly target: string;
  readonly colour: boolean;
}

export interface Log {
  write(line: Line): void;
  /** resolves when all lines are handed over */
  close(): Promise<void>;
}

const RANK: { readonly [level in Level]: number } = { error: 0, warn: 1, info: 2, debug: 3 };

export function openLog(options: LogOptions): Log {
  let logger: Promise<Logger> | null = null;
  let last: Promise<void> = Promise.resolve();
  return {
    write: (line) => {
      if (RANK[line.level] > RANK[options.level]) return;
      logger ??= makeLogger(options);
      const { level, event, message, fields } = line;
      last = logger.then((to) => {
        to.log({ level, message, event, ...fields });
      });
    },
    close: async () => {
      if (logger === null) return;
      await last;
      const open = await logger;
      await new Promise<void>((done) => {
        open.once('finish', done);
        open.end();
      });
    },
  };
}

async function makeLogger(options: LogOptions): Promise<Logger> {
  const winston = await import('winston');
  const { combine, timestamp, json, printf, colorize } = winston.format;
  const pretty = combine(
    timestamp(),
    ...(options.colour ? [colorize()] : []),
    printf(({ timestamp: at, level, message }) => `${at} ${level} ${message}`),
  );
  const format = options.format === 'json' ? combine(timestamp(), json()) : pretty;
  return winston.createLogger({
    level: options.level,
    format,
    transports: [await transportFor(options.target, winston)],
  });
}

async function transportFor(
  target: string,
  winston: typeof import('winston'),
): Promise<import('winston').transport> {
  if (target === 'stderr') {
    return new winston.transports.Console({ stderrLevels: Object.keys(RANK), forceConsole: false });
  }
  if (target === 'syslog' || target.startsWith('syslog:')) {
    const { syslogStream } = await import('./syslog.ts');
    return new winston.transports.Stream({ stream: syslogStream(target) });
  }
  return new winston.transports.File({ filename: target });
}
