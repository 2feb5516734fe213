/** Replays a transcript: as it was, as it would have been with other settings, as a check, or saved as a fixture. Contacts no host. */
import { deliveryListText, textAfter } from '../../output/replay/list-text.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import { isDue } from '../../queue/due.ts';
import { readInput } from '../../replay/input.ts';
import { simulate } from '../../replay/simulation.ts';
import { timelineOf } from '../../replay/timeline.ts';
import { compareTranscript } from '../../replay/transcript/compare.ts';
import { redactTranscript } from '../../replay/transcript/redact.ts';
import type { Transcript } from '../../replay/transcript/transcript.ts';
import { tableVersion } from '../../replay/transcript/transcript.ts';
import { recordedWorld } from '../../replay/world/recorded-world.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { reportRulesFor } from '../setup/delivery/dsn.ts';
import { liveState, loadRules, SIMULATED } from '../setup/load-config.ts';
import { type CliError, cliError, type Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { NO_NOTES } from './origin.ts';
import { printResult, type ReplayResult, write } from './result.ts';
import { messageOf, sendable, spoolOfTranscript, type TranscriptMessage } from './transcript-message.ts';
import { withSets, worldNamed } from './what-if.ts';

const CUT =
  'The last line is cut off: the program ended while writing it, or the transcript was as long as one may be (4 MiB).';

export async function replayTranscript(
  transcript: Transcript,
  file: string,
  invocation: Invocation,
): Promise<ExitCode | CliError> {
  const { options } = invocation;
  if (options.live === true) {
    return cliError(
      `${file} is a transcript of an earlier delivery; no server was contacted. To try the servers now: ${liveCommand(transcript, file, invocation)}`,
      EXIT.usage,
    );
  }
  for (const name of ['check', 'save-fixture']) {
    if (options[name] !== undefined && isWhatIf(invocation)) {
      return cliError(
        `--${name} needs the transcript as it was recorded; leave out --set, --world and --now.`,
        EXIT.usage,
      );
    }
  }
  if (options.check === true) return check(transcript, invocation);
  const fixture = options['save-fixture'];
  if (typeof fixture === 'string') return saveFixture(transcript, fixture, invocation);
  return printResult(await fromTranscript(transcript, file, invocation), invocation);
}

function liveCommand({ header }: Transcript, file: string, { settings, commandText }: Invocation): string {
  const spool = settings.spool === null ? ['--spool', spoolOfTranscript(file) ?? 'DIR'] : [];
  return commandText('replay', String(header.control), '--live', ...spool);
}

function isWhatIf({ options, settings }: ReplayCall): boolean {
  return options.set !== undefined || options.world !== undefined || settings.now !== null;
}

type ReplayCall = Pick<Invocation, 'options' | 'settings'>;

/** As `printResult` takes it. */
export async function fromTranscript(
  transcript: Transcript,
  file: string,
  invocation: ReplayCall,
): Promise<ReplayResult> {
  const { options, settings: given } = invocation;
  const { header, cut } = transcript;
  const recorded: Settings = {
    ...given,
    ...header.settings,
    hostname: header.settings.hostname ?? null,
    destinations: header.settings.destinations ?? [],
  };
  const settings = withSets(recorded, options.set);
  if ('kind' in settings) return settings;
  const happened = !isWhatIf(invocation);
  const source = happened ? null : await messageOf(transcript, file, given);
  // The keys may be on another machine, and sign only the message itself.
  const readable = source?.payload === undefined ? { ...settings, 'dkim.sign': 'never' as const } : settings;
  const rules = await loadRules(readable, {
    ...SIMULATED,
    hostname: header.hostname,
    ehloName: header.ehloName ?? null,
  });
  if ('kind' in rules) return rules;
  const now = movedTime(header.at, given.now);
  const played =
    source === null
      ? asItWas(transcript)
      : await whatIf(transcript, source, rules, settings, now, invocation);
  if ('exit' in played) return played;
  const { timeline, reports, notes } = played;
  const { schedule } = rules.due;
  const { job } = header;
  const seconds = Math.floor(now / 1000);
  const sources: ReplaySources = {
    title: `Transcript ${file} of job ${header.control}, recorded ${formatTime(Math.floor(header.at / 1000))}`,
    job,
    warnings: cut ? [CUT] : [],
    now: seconds,
    schedule,
    due: isDue(job, seconds, { schedule, force: false }).reason,
    routing: rules.delivery.routing,
    timeline,
    recipients: job.recipients,
    whole: false,
    live: false,
    untried: null,
    reports,
    would: happened ? null : 'what would have happened',
    before: deliveryListText(job),
    after: textAfter(job, timeline, now, {
      // A live room is written in the dialect of its server.
      dialect: liveState(settings) === null ? settings.dialect : job.dialect,
      spans: schedule.retry,
    }),
    notes,
  };
  return { kind: 'sources', sources, rules };
}

function movedTime(at: number, now: Settings['now']): number {
  if (now === null) return at;
  return 'shift' in now ? at + now.shift : now.at * 1000;
}

type Played = Pick<ReplaySources, 'timeline' | 'reports' | 'notes'>;

const UNDECIDED =
  'Not all recipients have an outcome here: the run was stopped or killed, or is still at work.';

function asItWas(transcript: Transcript): Played {
  const difference = compareTranscript(transcript);
  const note = `From line ${difference?.line} on, this version would act differently; --check shows how.`;
  const timeline = timelineOf(transcript);
  const decided = new Set(timeline.outcomes.map(({ index }) => index));
  const isWhole = transcript.header.indices.every((index) => decided.has(index));
  const notes = [...(difference === null ? [] : [note]), ...(isWhole ? [] : [UNDECIDED])];
  return { timeline, reports: null, notes };
}

/** As it would have been with other settings, in another world or at another time. */
async function whatIf(
  transcript: Transcript,
  source: TranscriptMessage,
  rules: RunRules,
  settings: Settings,
  now: number,
  { options, settings: given }: ReplayCall,
): Promise<Played | CliError> {
  const { header } = transcript;
  const world = options.world === undefined ? recordedWorld(transcript) : worldNamed(String(options.world));
  if ('kind' in world) return world;
  const recipients = header.job.recipients.map((recipient, index) =>
    header.indices.includes(index) ? { ...recipient, status: 0 } : { ...recipient, status: 2 },
  );
  const queued = { control: header.control, job: { ...header.job, recipients }, warnings: [] };
  // What was recorded since then would not keep this run from telling it.
  const store = given.now === null ? { ...source.store, notified: NO_NOTES.notified } : source.store;
  const reports = reportRulesFor(settings, rules, { folder: source.folder, store });
  const simulation = {
    lists: [queued] as const,
    rules,
    now,
    force: true,
    ...('kind' in reports ? {} : { reports }),
  };
  const performed = await simulate({ ...simulation, ...sendable(source) }, world);
  return {
    timeline: performed.timeline,
    reports: 'kind' in reports ? null : performed.reports,
    notes: ['This did not happen; it shows what would have happened.', ...source.notes],
  };
}

function check(transcript: Transcript, { terminal, settings }: Invocation): ExitCode {
  const { header, lines, version } = transcript;
  const difference = compareTranscript(transcript);
  const steps = lines.filter(({ what }) => what === 'session' || what === 'delivery').length;
  const sameTables = header.tables === tableVersion();
  const recorded =
    version === 1
      ? 'recorded by an older version'
      : sameTables
        ? null
        : 'recorded by a version with other state tables';
  if (settings.json) terminal.print(JSON.stringify({ steps, sameTables, difference }));
  else if (difference === null) {
    terminal.print(`No difference in ${plural(steps, 'step')}${recorded === null ? '' : ` (${recorded})`}.`);
  } else {
    const shown = (value: unknown): string => escapeControl(JSON.stringify(value));
    terminal.print(
      [
        `Difference at line ${difference.line}${recorded === null ? '' : ` (${recorded})`}:`,
        `  event     ${shown(difference.event)}`,
        `- recorded  ${shown(difference.recorded)}`,
        `+ now       ${shown(difference.taken)}`,
      ].join('\n'),
    );
  }
  return difference === null ? EXIT.ok : EXIT.difference;
}

/** Saves a transcript for the test suite, with names and addresses replaced; it has to replay without a difference. */
function saveFixture(
  transcript: Transcript,
  name: string,
  { options, terminal }: Invocation,
): ExitCode | CliError {
  const text = redactTranscript(transcript, options['keep-addresses'] === true);
  const file = name.endsWith('.jsonl') ? name : `${name}.jsonl`;
  const read = readInput(Buffer.from(text), 0, { dialect: 'detect', fallback: '2012' });
  if (read.kind !== 'transcript' || compareTranscript(read.transcript) !== null) {
    return cliError(
      `This version would act differently from the transcript (see --check), so ${file} was not written.`,
      EXIT.data,
    );
  }
  const written = write(file, text);
  if (written !== null) return written;
  terminal.print(`Written: ${file}. It belongs in fixtures/transcripts/.`);
  return EXIT.ok;
}
