/** A control message through the machines, in a simulated world or, with a person's consent, with real servers up to RCPT TO. */

import { textAfter } from '../../output/replay/list-text.ts';
import { escapeControl } from '../../output/text.ts';
import { isDue } from '../../queue/due.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { isExpired } from '../../queue/schedule.ts';
import type { ControlInput } from '../../replay/input.ts';
import { wasStopped, withoutData } from '../../replay/live.ts';
import type { Simulation } from '../../replay/simulation.ts';
import { perform, simulate } from '../../replay/simulation.ts';
import type { Timeline } from '../../replay/timeline.ts';
import { recipientAddress } from '../../routing/address.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError, clockFor, loadRules, systemDeps } from '../setup/load-config.ts';
import type { Invocation } from '../shell/command.ts';
import { confirm, isInteractive } from '../shell/confirm.ts';
import { EXIT } from '../shell/exit.ts';
import type { ReplayResult } from './result.ts';
import type { Origin } from './source.ts';
import { withSets, worldNamed } from './what-if.ts';

export async function fromControl(
  subject: ControlInput,
  origin: Origin,
  invocation: Invocation,
): Promise<ReplayResult> {
  const { options } = invocation;
  const settings = withSets(invocation.settings, options.set);
  if ('kind' in settings) return settings;
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const clock = clockFor(settings);
  const { job, warnings } = subject.queued;
  const payload = await origin.payload(job.msgid);
  if (payload.kind === 'trouble') return payload;
  const play: Simulation = { queued: subject.queued, payload: payload.read, rules, now: clock.now() };
  const played = await playedIn(play, settings, invocation);
  if (played.kind === 'trouble') return played;
  const { story, note, would } = played;
  const now = Math.floor(play.now / 1000);
  const schedule = rules.due.schedule;
  const sources = {
    title: `${origin.title}: ${subject.bytes} bytes, ${FORMS[subject.form]}`,
    job,
    warnings,
    now,
    schedule,
    due: isDue(job, now, { schedule, force: false }).reason,
    routing: rules.delivery.routing,
    story,
    would,
    before: subject.text,
    after: isAllStopped(story) ? subject.text : textAfter(job, judgedOf(story), now, schedule.retry),
    notes: [note, ...origin.notes, ...payload.notes, ...(tooOld(play, story, schedule) ? [TOO_OLD] : [])],
  };
  return { kind: 'told', sources, rules };
}

interface Played {
  readonly kind: 'played';
  readonly story: Timeline;
  readonly note: string;
  readonly would: string;
}

async function playedIn(
  play: Simulation,
  settings: Settings,
  invocation: Invocation,
): Promise<Played | CliError> {
  const { options } = invocation;
  if (options.live === true) {
    if (options.world !== undefined) {
      return cliError('--live contacts the real servers, --world simulates some: leave one out.', EXIT.usage);
    }
    const refused = await consent(play, invocation);
    if (refused !== null) return refused;
    return {
      kind: 'played',
      story: await liveStory(play, settings),
      note: 'Real DNS, real servers, up to DATA; nothing was sent and nothing is written.',
      would: 'with the real servers, up to DATA',
    };
  }
  const name = typeof options.world === 'string' ? options.world : 'accept';
  const world = worldNamed(name);
  if ('kind' in world) return world;
  return {
    kind: 'played',
    story: await simulate(play, world),
    note: `A simulated world (${escapeControl(name)}); nothing was sent and nothing is written.`,
    would: `in the simulated world ${escapeControl(name)}`,
  };
}

/** Nothing is known that a list could say. */
function isAllStopped({ outcomes }: Timeline): boolean {
  return outcomes.length > 0 && outcomes.every(wasStopped);
}

/** Whoever was taken up to DATA keeps his line as it is. */
function judgedOf(story: Timeline): Timeline {
  return { ...story, outcomes: story.outcomes.filter((outcome) => !wasStopped(outcome)) };
}

const TOO_OLD =
  'The mail is older than mail is kept: after this failure it would be given up and its sender told.';

function tooOld({ queued, now }: Simulation, { outcomes }: Timeline, schedule: Schedule): boolean {
  const waits = outcomes.some(({ outcome }) => outcome.kind === 'failed' && !outcome.permanent);
  return waits && isExpired(queued.job, Math.floor(now / 1000), schedule);
}

const FORMS = {
  native: 'Citadel’s serialized form',
  rfc822: 'text with a header',
  bare: 'text with Citadel’s one header line',
} as const;

/** Nobody is contacted unasked. */
async function consent(
  { queued, rules }: Simulation,
  { options, terminal }: Invocation,
): Promise<CliError | null> {
  if (options.yes === true) return null;
  const domains = queued.job.recipients.flatMap(({ address }) => {
    const read = recipientAddress(address);
    return read.kind === 'address' ? [read.domain] : [];
  });
  const { relays } = rules.delivery.routing;
  const names = [...new Set(relays.map(({ shown }) => shown))].join(', ');
  const servers = `the mail servers of ${[...new Set(domains)].join(', ')}`;
  const isRelayed = relays.some(({ kind }) => kind === 'smarthost');
  const who = escapeControl(
    isRelayed ? names : [servers, ...(names === '' ? [] : [names])].join(', and then '),
  );
  if (!isInteractive(terminal)) {
    return cliError(`--live contacts ${who}; say --yes if they may be contacted.`, EXIT.usage);
  }
  return (await confirm(terminal, `Contact ${who}, up to RCPT TO?`))
    ? null
    : cliError('Nobody was contacted.', EXIT.ok);
}

function liveStory(play: Simulation, settings: Settings): Promise<Timeline> {
  const ports = systemDeps(settings, clockFor(settings));
  const never = new Promise<string>(() => {});
  return perform(play, { ...ports, connect: withoutData(ports.connect) }, never, (done) => done);
}
