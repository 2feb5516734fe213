/**
 * `spoolroom demo`: a whole delivery on this machine. A spool made from fixtures, a DNS server and three mail servers on
 * loopback, two queue runs ten minutes apart. Everything in it is real except the clock.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripHeader } from '../../delivery-list/header.ts';
import { controlTextOf } from '../../message/stored.ts';
import type { LogEvent } from '../../output/log/log-events.ts';
import { outcomeEvent } from '../../output/log/log-events.ts';
import type { JobFacts } from '../../output/queue-facts.ts';
import { factsOfAll } from '../../output/queue-facts.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import { dialogueLines } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { textDecoder } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Queue } from '../../queue/queue.ts';
import { openSpoolQueue } from '../../queue/spool/open.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import { type DeliveryEvents, readyDeliveries } from '../../runner/deliveries.ts';
import { type RunEvents, runQueue } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import { readSettings } from '../../settings/read.ts';
import { FROM_COMMAND_LINE, type Settings } from '../../settings/table.ts';
import { printer } from '../demo/printer.ts';
import type { ControlText, Conversation, DemoResult, DemoRun } from '../demo/script.ts';
import type { DemoWorld } from '../demo/world/index.ts';
import { startDemoWorld } from '../demo/world/index.ts';
import { createDsnSender } from '../setup/delivery/dsn.ts';
import { readOnlyDeps } from '../setup/delivery/system-deps.ts';
import { clockFor, controlSettings, loadRules, openError, spoolDeps } from '../setup/load-config.ts';
import type { CliError, Command, Terminal } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Unix seconds: the messages of the fixtures are ten minutes old then. */
const FIRST_RUN = 1_342_224_600;
const TEN_MINUTES = 600;
const FIXTURES = join(import.meta.dirname, '../../..', 'fixtures', 'spool');

export const command: Command = async ({ settings, terminal }) => {
  // Never that of the configuration file, which holds mail.
  const spool = makeSpool(settings[FROM_COMMAND_LINE].has('spool') ? settings.spool : null);
  if (typeof spool !== 'string') return spool;
  const world = await startDemoWorld().catch((error: Error) => cliError(error.message, EXIT.unavailable));
  if ('kind' in world) return world;
  try {
    const result = await deliver(spool, world, settings.json ? null : terminal);
    if ('kind' in result) return result;
    if (settings.json) terminal.print(JSON.stringify(factsFor(result)));
    return EXIT.ok;
  } finally {
    await world.close();
  }
};

/** A copy of the fixtures in a new folder. */
function makeSpool(wanted: string | null): string | CliError {
  const spool = wanted ?? mkdtempSync(join(tmpdir(), 'spoolroom-demo-'));
  try {
    if (wanted !== null) mkdirSync(wanted);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(
      `The demo creates its spool, and ${wanted} cannot be created: ${describeError(error)}.`,
      EXIT.cannotCreate,
    );
  }
  for (const name of readdirSync(FIXTURES)) copyFileSync(join(FIXTURES, name), join(spool, name));
  return spool;
}

async function deliver(
  spool: string,
  world: DemoWorld,
  terminal: Terminal | null,
): Promise<DemoResult | CliError> {
  const print = printer(terminal);
  const settings = settingsAt(FIRST_RUN, world);
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const readable = textDecoder(rules.render.legacy);
  const setup = { spool, world, rules, readable };
  const before = await jobsIn(setup, settings);
  if ('kind' in before) return before;
  print.opening(spool, before, FIRST_RUN);
  const runs: DemoRun[] = [];
  for (const now of [FIRST_RUN, FIRST_RUN + TEN_MINUTES]) {
    const run = await performRun(setup, now);
    if ('kind' in run) return run;
    runs.push(run);
    print.run(run, readable);
  }
  const after = await jobsIn(setup, settingsAt(FIRST_RUN + TEN_MINUTES, world));
  if ('kind' in after) return after;
  print.ending(spool, after, FIRST_RUN + TEN_MINUTES);
  return { spool, before, runs, after };
}

interface Setup {
  readonly spool: string;
  readonly world: DemoWorld;
  readonly rules: RunRules;
  readonly readable: DecodeText;
}

function settingsAt(now: number, { dns, smtpPort }: DemoWorld): Settings {
  const read = readSettings({ dns, now, 'mx-port': smtpPort, hostname: 'citadel.example' });
  if (!read.ok) throw new Error(read.problems.map(({ text }) => text).join(' '));
  return read.settings;
}

/** Opens the spool, works on it, and closes it. */
async function withSpool<T>(
  spool: string,
  settings: Settings,
  work: (queue: Queue) => Promise<T>,
): Promise<T | CliError> {
  const warnings: string[] = [];
  const deps = spoolDeps(clockFor(settings), (text) => warnings.push(text));
  const opened = await openSpoolQueue(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  try {
    return await work(opened.queue);
  } finally {
    await opened.queue.close();
  }
}

function jobsIn({ spool, readable }: Setup, settings: Settings): Promise<readonly JobFacts[] | CliError> {
  return withSpool(spool, settings, async (queue) => {
    const { jobs } = await queue.scan();
    const now = Math.floor(clockFor(settings).now() / 1000);
    return factsOfAll(jobs, now, scheduleFrom(settings), readable);
  });
}

function performRun(setup: Setup, now: number): Promise<DemoRun | CliError> {
  const { spool, world, rules, readable } = setup;
  const settings = settingsAt(now, world);
  return withSpool(spool, settings, async (queue) => {
    const before = numbersIn(spool);
    const listsBefore = new Set(listsIn(spool, readable).map(({ text }) => text));
    const { events, conversations, outcomes } = recorder();
    const ports = { ...readOnlyDeps(settings, clockFor(settings)), queue, events };
    const reports: string[] = [];
    const written = async (): Promise<void> => {};
    const write = ({ message }: LogEvent): void => void reports.push(message);
    const log = { write, reopen: written, close: written };
    const path = { kind: 'smtp', host: '127.0.0.1', literal: 4, port: world.smtpPort } as const;
    const about = { spool, rules, log, alerts: null, history: null };
    const dsnSender = createDsnSender(path, about, settings, ports);
    const summary = await runQueue(
      readyDeliveries({ ...ports, dsnSender }, rules),
      rules,
      new AbortController().signal,
    );
    const remaining = new Set(numbersIn(spool));
    return {
      ...{ at: formatTime(now), conversations, outcomes, summary, reports },
      removed: before.filter((number) => !remaining.has(number)),
      changed: listsIn(spool, readable).filter(({ text }) => !listsBefore.has(text)),
    };
  });
}

/** Records dialogues and outcomes. */
function recorder() {
  const sessions = new Map<number, { readonly host: string; readonly lines: DialogueLine[] }>();
  const conversations: Conversation[] = [];
  const outcomes: OutcomeRecord[] = [];
  const events: RunEvents & DeliveryEvents = {
    outcome: (record) => outcomes.push(record),
    quarantined: (control, reason) => {
      throw new Error(`control message ${control} of the fixtures is unreadable: ${reason}`);
    },
    silent: () => {},
    warning: (text) => {
      throw new Error(text);
    },
    trace: (_, traced) => {
      if (traced.what !== 'session') return;
      const { host, address } = traced.step.session.peer;
      const known = sessions.get(traced.session) ?? { host: `${host} [${address}]`, lines: [] };
      if (!sessions.has(traced.session)) conversations.push(known);
      sessions.set(traced.session, known);
      known.lines.push(...dialogueLines(traced.event, traced.step));
    },
  };
  return { events, conversations, outcomes };
}

function numbersIn(spool: string): readonly number[] {
  return readdirSync(spool)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function listsIn(spool: string, readable: DecodeText): readonly ControlText[] {
  return numbersIn(spool).flatMap((job) => {
    const text = controlTextOf(readFileSync(join(spool, String(job))));
    if (text === null) return [];
    const lines = stripHeader(text).instructions.split('\n').map(readable);
    return [{ job, text: lines.join('\n').trim() }];
  });
}

function factsFor({ spool, before, runs, after }: DemoResult): object {
  const plain = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
  return {
    spool,
    before,
    runs: runs.map(({ outcomes, reports, ...run }) => ({
      ...run,
      told: reports,
      outcomes: outcomes.map((record) => ({
        event: outcomeEvent(record, plain).event,
        ...outcomeEvent(record, plain).fields,
      })),
    })),
    after,
  };
}
