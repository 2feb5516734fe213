/** Replays a control message in a simulated world or, after confirmation, with the real servers up to RCPT TO. */

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
import { isRelayMode } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';
import { clockFor, loadRules, SIMULATED } from '../setup/load-config.ts';
import { readOnlyDeps } from '../setup/system-deps.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { confirm } from '../shell/confirm.ts';
import { EXIT } from '../shell/exit.ts';
import type { ReplayResult } from './result.ts';
import type { Origin } from './source.ts';
import { withSets, worldNamed } from './what-if.ts';

export async function fromControl(
  input: ControlInput,
  origin: Origin,
  invocation: Invocation,
): Promise<ReplayResult> {
  const { options } = invocation;
  const settings = withSets(invocation.settings, options.set);
  if ('kind' in settings) return settings;
  const rules = await (options.live === true ? loadRules(settings) : loadRules(settings, SIMULATED));
  if ('kind' in rules) return rules;
  const clock = clockFor(settings);
  const { job, warnings } = input.queued;
  const payload = await origin.payload(job.msgid);
  if (payload.kind === 'error') return payload;
  const simulation: Simulation = { queued: input.queued, payload: payload.read, rules, now: clock.now() };
  const result = await simulateOrPerform(simulation, settings, invocation);
  if (result.kind === 'error') return result;
  const { timeline, note, would } = result;
  const now = Math.floor(simulation.now / 1000);
  const schedule = rules.due.schedule;
  const sources = {
    title: `${origin.title}: ${input.bytes} bytes, ${FORMS[input.form]}`,
    job,
    warnings,
    now,
    schedule,
    due: isDue(job, now, { schedule, force: false }).reason,
    routing: rules.delivery.routing,
    timeline,
    would,
    before: input.text,
    after: isAllStopped(timeline)
      ? input.text
      : textAfter(job, withoutStopped(timeline), now, schedule.retry),
    notes: [
      note,
      ...origin.notes,
      ...payload.notes,
      ...(isTooOld(simulation, timeline, schedule) ? [TOO_OLD] : []),
    ],
  };
  return { kind: 'sources', sources, rules };
}

interface Simulated {
  readonly kind: 'simulated';
  readonly timeline: Timeline;
  readonly note: string;
  readonly would: string;
}

async function simulateOrPerform(
  simulation: Simulation,
  settings: Settings,
  invocation: Invocation,
): Promise<Simulated | CliError> {
  const { options } = invocation;
  if (options.live === true) {
    if (options.world !== undefined) {
      return cliError(
        '--live contacts the real servers, --world simulates servers: leave one out.',
        EXIT.usage,
      );
    }
    const refused = await confirmContact(simulation, invocation);
    if (refused !== null) return refused;
    return {
      kind: 'simulated',
      timeline: await liveTimeline(simulation, settings),
      note: 'Real DNS and real servers, stopped before DATA; no message was sent and no file was changed.',
      would: 'with the real servers, before DATA',
    };
  }
  const name = typeof options.world === 'string' ? options.world : 'accept';
  const world = worldNamed(name);
  if ('kind' in world) return world;
  return {
    kind: 'simulated',
    timeline: await simulate(simulation, world),
    note: `A simulated world (${escapeControl(name)}); no message was sent and no file was changed.`,
    would: `in the simulated world ${escapeControl(name)}`,
  };
}

/** No recipient has an outcome that belongs in the list. */
function isAllStopped({ outcomes }: Timeline): boolean {
  return outcomes.length > 0 && outcomes.every(wasStopped);
}

/** Recipients that were accepted up to DATA keep their line. */
function withoutStopped(timeline: Timeline): Timeline {
  return { ...timeline, outcomes: timeline.outcomes.filter((outcome) => !wasStopped(outcome)) };
}

const TOO_OLD =
  'The message is older than the setting retry.giveup: after this failure it would be given up, and its sender would get a report.';

function isTooOld({ queued, now }: Simulation, { outcomes }: Timeline, schedule: Schedule): boolean {
  const isDeferred = outcomes.some(({ outcome }) => outcome.kind === 'failed' && !outcome.permanent);
  return isDeferred && isExpired(queued.job, Math.floor(now / 1000), schedule);
}

const FORMS = {
  native: 'Citadel’s serialized form',
  rfc822: 'text with a header',
  bare: 'text with Citadel’s one header line',
} as const;

/** No host is contacted without confirmation. */
function confirmContact({ queued, rules }: Simulation, invocation: Invocation): Promise<CliError | null> {
  const domains = queued.job.recipients.flatMap(({ address }) => {
    const read = recipientAddress(address);
    return read.kind === 'address' ? [read.domain] : [];
  });
  const { relays } = rules.delivery.routing;
  const names = [...new Set(relays.map(({ shown }) => shown))].join(', ');
  const servers = `the mail servers of ${[...new Set(domains)].join(', ')}`;
  const who = escapeControl(
    isRelayMode(relays) ? names : [servers, ...(names === '' ? [] : [names])].join(', and then '),
  );
  return confirm(invocation, {
    does: `--live contacts ${who}.`,
    question: `Contact ${who}, up to RCPT TO?`,
    declined: 'No server was contacted.',
  });
}

function liveTimeline(simulation: Simulation, settings: Settings): Promise<Timeline> {
  const ports = readOnlyDeps(settings, clockFor(settings));
  const never = new Promise<string>(() => {});
  return perform(simulation, { ...ports, connect: withoutData(ports.connect) }, never, (done) =>
    done.finally(() => ports.close()),
  );
}
