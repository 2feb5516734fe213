/**
 * `spoolroom demo`: everything at once on this machine. A spool made from fixtures, a DNS server and three mail servers
 * on loopback, two queue runs with ten minutes between them. Nothing in it is pretended but the clock.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripHeader } from '../../delivery-list/header.ts';
import { controlTextOf } from '../../message/stored.ts';
import type { LogEvent } from '../../output/log/log-events.ts';
import { outcomeEvent } from '../../output/log/log-events.ts';
import type { JobFacts } from '../../output/queue-table.ts';
import { factsOfAll } from '../../output/queue-table.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import { dialogueLines } from '../../output/replay/dialogue.ts';
import type { DecodeText } from '../../output/text.ts';
import { formatTime, textDecoder } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Queue } from '../../queue/queue.ts';
import { openSpoolQueue } from '../../queue/spool/open.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { RunEvents } from '../../runner/queue-runner.ts';
import { runQueue } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import { readSettings } from '../../settings/read.ts';
import type { Settings } from '../../settings/table.ts';
import { printer } from '../demo/printer.ts';
import type { Act, ControlText, Conversation, DemoResult } from '../demo/script.ts';
import type { DemoWorld } from '../demo/world/index.ts';
import { startDemoWorld } from '../demo/world/index.ts';
import { createDsnSender } from '../setup/dsn.ts';
import type { CliError } from '../setup/load-config.ts';
import {
  cliError,
  clockFor,
  controlSettings,
  loadRules,
  openError,
  spoolDeps,
  systemDeps,
} from '../setup/load-config.ts';
import type { Command, Terminal } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** The mails of the fixtures are ten minutes old. */
const FIRST_RUN = 1_342_224_600;
const TEN_MINUTES = 600;
const FIXTURES = join(import.meta.dirname, '../../..', 'fixtures', 'spool');

export const command: Command = async ({ settings, terminal }) => {
  const fail = ({ text, exit }: CliError) => {
    terminal.tell(`spoolroom: ${text}`);
    return exit;
  };
  const spool = makeSpool(settings.spool);
  if (typeof spool !== 'string') return fail(spool);
  const world = await startDemoWorld().catch((error: Error) => cliError(error.message, EXIT.unavailable));
  if ('kind' in world) return fail(world);
  try {
    const played = await play(spool, world, settings.json ? null : terminal);
    if ('kind' in played) return fail(played);
    if (settings.json) terminal.print(JSON.stringify(factsFor(played)));
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
      `The demo makes its spool itself, and ${wanted} cannot be made: ${describeError(error)}.`,
      EXIT.cannotCreate,
    );
  }
  for (const name of readdirSync(FIXTURES)) copyFileSync(join(FIXTURES, name), join(spool, name));
  return spool;
}

async function play(
  spool: string,
  world: DemoWorld,
  terminal: Terminal | null,
): Promise<DemoResult | CliError> {
  const say = printer(terminal);
  const settings = settingsAt(FIRST_RUN, world);
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const readable = textDecoder(rules.render.legacy);
  const stage = { spool, world, rules, readable };
  const before = await look(stage, settings);
  if ('kind' in before) return before;
  say.opening(spool, before);
  const acts: Act[] = [];
  for (const now of [FIRST_RUN, FIRST_RUN + TEN_MINUTES]) {
    const act = await perform(stage, now);
    if ('kind' in act) return act;
    acts.push(act);
    say.act(act, readable);
  }
  const after = await look(stage, settingsAt(FIRST_RUN + TEN_MINUTES, world));
  if ('kind' in after) return after;
  say.ending(spool, after, FIRST_RUN + TEN_MINUTES);
  return { spool, before, acts, after };
}

interface Stage {
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

/** Open the spool, do something in it, and leave it in order. */
async function inRoom<T>(
  spool: string,
  settings: Settings,
  work: (room: Queue) => Promise<T>,
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

function look({ spool, readable }: Stage, settings: Settings): Promise<readonly JobFacts[] | CliError> {
  return inRoom(spool, settings, async (room) => {
    const { jobs } = await room.scan();
    const now = Math.floor(clockFor(settings).now() / 1000);
    return factsOfAll(jobs, now, scheduleFrom(settings), readable);
  });
}

function perform(stage: Stage, now: number): Promise<Act | CliError> {
  const { spool, world, rules, readable } = stage;
  const settings = settingsAt(now, world);
  return inRoom(spool, settings, async (room) => {
    const before = numbersIn(spool);
    const listsBefore = new Set(listsIn(spool, readable).map(({ text }) => text));
    const { events, conversations, outcomes } = listener();
    const ports = { ...systemDeps(settings, clockFor(settings)), queue: room, events };
    const told: string[] = [];
    const log = { write: ({ message }: LogEvent) => void told.push(message), close: async () => {} };
    const dsnSender = createDsnSender({ kind: 'room' }, { spool, rules, log }, settings, ports);
    const summary = await runQueue({ ...ports, dsnSender }, rules, new AbortController().signal);
    const left = new Set(numbersIn(spool));
    return {
      ...{ at: formatTime(now), conversations, outcomes, summary, told },
      removed: before.filter((number) => !left.has(number)),
      changed: listsIn(spool, readable).filter(({ text }) => !listsBefore.has(text)),
    };
  });
}

/** Notes what is said and what becomes of whom. */
function listener() {
  const sessions = new Map<number, { readonly host: string; readonly lines: DialogueLine[] }>();
  const conversations: Conversation[] = [];
  const outcomes: OutcomeRecord[] = [];
  const events: RunEvents = {
    outcome: (record) => outcomes.push(record),
    quarantined: (control, reason) => {
      throw new Error(`control message ${control} of the fixtures is unreadable: ${reason}`);
    },
    warning: (text) => {
      throw new Error(text);
    },
    trace: (_, sight) => {
      if (sight.what !== 'session') return;
      const { host, address } = sight.step.session.peer;
      const known = sessions.get(sight.session) ?? { host: `${host} [${address}]`, lines: [] };
      if (!sessions.has(sight.session)) conversations.push(known);
      sessions.set(sight.session, known);
      known.lines.push(...dialogueLines(sight.event, sight.step));
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

function factsFor({ spool, before, acts, after }: DemoResult): object {
  const plain = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
  return {
    spool,
    before,
    runs: acts.map(({ outcomes, ...act }) => ({
      ...act,
      outcomes: outcomes.map((record) => ({
        event: outcomeEvent(record, plain).event,
        ...outcomeEvent(record, plain).fields,
      })),
    })),
    after,
  };
}
