/** Replays a transcript: as it was, as it would have been with other settings, as a check, or saved as a fixture. Contacts no host. */
import { deliveryListText, textAfter } from '../../output/replay/list-text.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import { isDue } from '../../queue/due.ts';
import { readInput } from '../../replay/input.ts';
import { simulate } from '../../replay/simulation.ts';
import type { Timeline } from '../../replay/timeline.ts';
import { timelineOf } from '../../replay/timeline.ts';
import { compareTranscript } from '../../replay/transcript/compare.ts';
import { redactTranscript } from '../../replay/transcript/redact.ts';
import type { Transcript } from '../../replay/transcript/transcript.ts';
import { tableVersion } from '../../replay/transcript/transcript.ts';
import { recordedWorld } from '../../replay/world/recorded-world.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { loadRules, SIMULATED } from '../setup/load-config.ts';
import { type CliError, cliError, type Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { printResult, type ReplayResult, write } from './result.ts';
import { placeholder } from './source.ts';
import { withSets, worldNamed } from './what-if.ts';

export async function replayTranscript(
  transcript: Transcript,
  file: string,
  invocation: Invocation,
): Promise<ExitCode | CliError> {
  const { options } = invocation;
  if (options.live === true) {
    return cliError(
      `${file} is a transcript of an earlier delivery; no server was contacted. To try the servers now: spoolroom replay ${transcript.header.control} --spool DIR --live.`,
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

function isWhatIf({ options, settings }: Invocation): boolean {
  return options.set !== undefined || options.world !== undefined || settings.now !== null;
}

async function fromTranscript(
  transcript: Transcript,
  file: string,
  invocation: Invocation,
): Promise<ReplayResult> {
  const { options, settings: given } = invocation;
  const { header, cut } = transcript;
  const recorded: Settings = {
    ...given,
    ...header.settings,
    hostname: header.settings.hostname ?? null,
  };
  const settings = withSets(recorded, options.set);
  if ('kind' in settings) return settings;
  const rules = await loadRules(settings, {
    ...SIMULATED,
    hostname: header.hostname,
    ehloName: header.ehloName ?? null,
  });
  if ('kind' in rules) return rules;
  const now = movedTime(header.at, given.now);
  const { timeline, notes } = await timelineFor(transcript, rules, now, invocation);
  if ('kind' in timeline) return timeline;
  const schedule = rules.due.schedule;
  const { job } = header;
  const seconds = Math.floor(now / 1000);
  const sources: ReplaySources = {
    title: `Transcript ${file} of job ${header.control}, recorded ${formatTime(Math.floor(header.at / 1000))}`,
    job,
    warnings: cut ? ['The last line is cut off: the program ended while writing it.'] : [],
    now: seconds,
    schedule,
    due: isDue(job, seconds, { schedule, force: false }).reason,
    routing: rules.delivery.routing,
    timeline,
    would: isWhatIf(invocation) ? 'what would have happened' : null,
    before: deliveryListText(job),
    after: textAfter(job, timeline, seconds, schedule.retry),
    notes,
  };
  return { kind: 'sources', sources, rules };
}

function movedTime(at: number, now: Settings['now']): number {
  if (now === null) return at;
  return 'shift' in now ? at + now.shift : now.at * 1000;
}

/** As it was; or, with other settings, another world or another time, as it would have been. */
async function timelineFor(
  transcript: Transcript,
  rules: RunRules,
  now: number,
  invocation: Invocation,
): Promise<{ readonly timeline: Timeline | CliError; readonly notes: readonly string[] }> {
  const { header } = transcript;
  const { options } = invocation;
  if (!isWhatIf(invocation)) {
    const difference = compareTranscript(transcript);
    const note = `From line ${difference?.line} on, this version would act differently; --check shows how.`;
    return { timeline: timelineOf(transcript), notes: difference === null ? [] : [note] };
  }
  const world = options.world === undefined ? recordedWorld(transcript) : worldNamed(String(options.world));
  if ('kind' in world) return { timeline: world, notes: [] };
  const recipients = header.job.recipients.map((recipient, index) =>
    header.indices.includes(index) ? { ...recipient, status: 0 } : { ...recipient, status: 2 },
  );
  const queued = { control: header.control, job: { ...header.job, recipients }, warnings: [] };
  const size = transcript.lines.find((line) => line.what === 'body')?.size ?? 400;
  const timeline = await simulate(
    { queued, payload: placeholder(size, header.job.envelopeFrom), rules, now },
    world,
  );
  return { timeline, notes: ['This did not happen; it shows what would have happened.'] };
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
