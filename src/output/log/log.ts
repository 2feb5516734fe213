/**
 * Writes log lines with winston, which is loaded for the first line, so that a run without log lines does not load it. A log that
 * fails never stops a delivery.
 */
import type { Writable } from 'node:stream';
import type { Logger, format as winstonFormat } from 'winston';
import { escapeControl } from '../text.ts';
import type { Level, LogEvent } from './log-events.ts';
import { plainStream, TEXT, withFallback, withoutEnd } from './log-target.ts';

export interface LogOptions {
  readonly level: Level;
  readonly format: 'pretty' | 'json';
  /** `stderr`, `syslog`, `syslog:HOST:PORT` or a file */
  readonly target: string;
  /** standard error goes to systemd's journal: it has the time, and takes the level from the head of a line */
  readonly journal?: boolean;
  readonly colour: boolean;
  /** standard error, opened when there is something to write */
  readonly stderr: () => Writable;
}

export interface Log {
  write(line: LogEvent): void;
  /** Lines from now on go to a file of the same name that is opened anew; resolves when the earlier ones are written. */
  reopen(): Promise<void>;
  /** resolves when all lines are written */
  close(): Promise<void>;
}

const RANK: { readonly [level in Level]: number } = { error: 0, warn: 1, info: 2, debug: 3 };

/** Whether lines of this level are written where the setting is `threshold`. */
export function isLogged(level: Level, threshold: Level): boolean {
  return RANK[level] <= RANK[threshold];
}

/** Lines that come in one turn of the event loop go through winston together. */
export function openLog(options: LogOptions): Log {
  const least = RANK[options.level];
  let opened: Promise<Opened> | null = null;
  let gathered: LogEvent[] = [];
  const write = (line: LogEvent): void => {
    if (RANK[line.level] > least) return;
    if (gathered.push(line) > 1) return;
    const lines = gathered;
    opened ??= open(options);
    opened.then(({ logger }) => {
      if (lines === gathered) gathered = [];
      logger.log({ level: options.level, message: '', lines });
    });
  };
  const closeNow = (): Promise<void> => {
    const before = opened;
    opened = null;
    gathered = [];
    return closeOpened(before);
  };
  return { write, reopen: closeNow, close: closeNow };
}

/**
 * A log that cron mails tells a warning once: what `isNews` knows already becomes a line for files and terminals.
 */
export function withoutRepeats(log: Log, isNews: (recurring: string) => boolean): Log {
  return {
    ...log,
    write: (line) => {
      const isRepeated = line.recurs !== undefined && isLogged(line.level, 'warn') && !isNews(line.recurs);
      log.write(isRepeated ? { ...line, level: 'info' } : line);
    },
  };
}

async function closeOpened(opened: Promise<Opened> | null): Promise<void> {
  if (opened === null) return;
  const { logger, lines } = await opened;
  const finished = new Promise((resolve) => lines.once('finish', resolve));
  logger.end();
  await finished;
}

interface Opened {
  readonly logger: Logger;
  readonly lines: Writable;
}

async function open(options: LogOptions): Promise<Opened> {
  const { target, journal = false } = options;
  const stderr = options.stderr();
  const winston = await import('winston');
  const syslog = /^syslog(:|$)/.test(target) ? await import('./syslog.ts') : null;
  const priority = journal ? journalPriority : (syslog?.priority ?? null);
  const textOf = formatter(winston.format, options, priority);
  const together = winston.format((batch) => {
    const lines = batch.lines as readonly LogEvent[];
    batch[TEXT] = lines.map((line) => textOf(line, String(batch.timestamp))).join('');
    return batch;
  });
  const chosen = syslog ? syslog.syslogStream(target) : plainStream(target, stderr);
  const lines = journal ? withoutEnd(stderr) : await withFallback(target, chosen, stderr);
  const format = winston.format.combine(winston.format.timestamp(), together());
  // Without a transport, which would be one more stream for each line.
  const logger = winston.createLogger({ level: options.level, format, transports: [] });
  logger.pipe(lines);
  return { logger, lines };
}

/** Makes the text of a line, with control characters escaped: no field can steer a terminal or begin a line of its own. */
function formatter(
  { colorize }: typeof winstonFormat,
  { format, colour }: LogOptions,
  priority: ((level: string) => string) | null,
): (line: LogEvent, timestamp: string) => string {
  const head = priority ?? (() => '');
  if (format === 'json')
    return ({ level, event, message, fields }, timestamp) => {
      const line = { timestamp, level, event, message: escapeControl(message), ...escaped(fields) };
      // What winston's own format makes, too, with a hundred calls for each line.
      return `${head(level)}${JSON.stringify(line, Object.keys(line).sort())}\n`;
    };
  if (priority !== null) return ({ level, message }) => `${head(level)}${escapeControl(message)}\n`;
  const colours = colour ? colorize() : null;
  const shown = (level: string): string => colours?.colorize(level, level) ?? level;
  return ({ level, message }, timestamp) => `${timestamp} ${shown(level)} ${escapeControl(message)}\n`;
}

function escaped(fields: LogEvent['fields']): LogEvent['fields'] {
  const clean: { [name: string]: LogEvent['fields'][string] } = {};
  for (const [name, value] of Object.entries(fields))
    clean[name] = typeof value === 'string' ? escapeControl(value) : value;
  return clean;
}

/** As sd-daemon(3) has it: without a facility. */
function journalPriority(level: string): string {
  return `<${{ error: 3, warn: 4, debug: 7 }[level] ?? 6}>`;
}
