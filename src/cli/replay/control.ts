/** Replays a control message in a simulated world or, after confirmation, with the real servers up to RCPT TO. */

import { textAfterRun } from '../../output/replay/list-text.ts';
import type { ReplaySources } from '../../output/replay/replay-report.ts';
import { escapeControl } from '../../output/text.ts';
import type { ControlMessages } from '../../queue/due.ts';
import { isQueuedDue } from '../../queue/due.ts';
import { recipientsOf } from '../../queue/merge.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import type { ControlInput } from '../../replay/input.ts';
import { envelopesOnly, withoutData } from '../../replay/live.ts';
import type { Performed, Simulation } from '../../replay/simulation.ts';
import { leftAlone, perform, simulate, wouldBeTried } from '../../replay/simulation.ts';
import { recipientAddress } from '../../routing/address.ts';
import { isRelayMode } from '../../routing/hosts.ts';
import { everyRelay } from '../../routing/route.ts';
import type { RunRules } from '../../runner/rules.ts';
import { GIVEN, type Settings } from '../../settings/table.ts';
import { reportRulesFor } from '../setup/delivery/dsn.ts';
import { readOnlyDeps } from '../setup/delivery/system-deps.ts';
import { clockFor, loadRules, SIMULATED } from '../setup/load-config.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { confirm } from '../shell/confirm.ts';
import { EXIT } from '../shell/exit.ts';
import { type Origin, replayed } from './origin.ts';
import type { ReplayResult } from './result.ts';
import { withSets, worldNamed } from './what-if.ts';

export async function fromControl(
  input: ControlInput,
  origin: Origin,
  invocation: Invocation,
): Promise<ReplayResult> {
  const { options } = invocation;
  const settings = withSets(invocation.settings, options.set);
  if ('kind' in settings) return settings;
  const live = options.live === true;
  const loaded = await (live ? loadRules(settings) : loadRules(settings, SIMULATED));
  if ('kind' in loaded) return loaded;
  const rules = live ? envelopesOnly(loaded) : loaded;
  const reports = reportRulesFor(settings, rules, origin);
  if ('kind' in reports) return reports;
  const payload = await origin.payload();
  if (payload.kind === 'error') return payload;

  const now = clockFor(settings).now();
  const { lists } = origin;
  const forced = options.force === true;
  const wait = forced ? null : origin.waits(lists);
  const isTried = wouldBeTried({ lists, rules, now, force: forced }) && wait === null;
  // A run of the given time leaves alone what is not due; without one, the question is what an attempt would do.
  const regardless = live || (settings.now === null && !forced);
  const simulation: Simulation = {
    lists: regardless ? withoutRequests(lists) : lists,
    payload: payload.read,
    ...(payload.load === undefined ? {} : { load: payload.load }),
    rules,
    now,
    force: forced || regardless,
    reports,
  };
  const isAlone = !isTried && !regardless;
  const result = await simulateOrPerform(simulation, isAlone, settings, invocation);
  if (result.kind === 'error') return result;
  const { performed, note, would } = result;
  const queued = replayed(origin, input);
  const seconds = Math.floor(now / 1000);
  const { schedule } = rules.due;
  const sources: ReplaySources = {
    title: `${origin.title}: ${input.bytes} bytes, ${FORMS[input.form]}`,
    job: queued.job,
    warnings: [...input.queued.warnings, ...performed.warnings],
    now: seconds,
    schedule,
    due: dueText(origin, input, seconds, rules, { isTried, regardless }, invocation),
    routing: rules.delivery.routing,
    timeline: performed.timeline,
    recipients: recipientsOf(lists.map(({ job }) => job)).recipients,
    whole: true,
    live,
    untried: !isAlone ? null : 'A run at this time would try none of the recipients.',
    reports: performed.reports,
    would,
    before: input.text,
    after: textAfterRun(performed.after(queued.control), input.text, {
      dialect: dialectFor(origin, input, settings),
      spans: schedule.retry,
    }),
    notes: [note, ...origin.notes, ...payload.notes],
  };
  return { kind: 'sources', sources, rules };
}

function withoutRequests([first, ...others]: ControlMessages): ControlMessages {
  const bare = ({ control, job, warnings }: QueuedJob): QueuedJob => ({ control, job, warnings });
  return [bare(first), ...others.map(bare)];
}

/** Why it is due or not, and what that means for what follows. */
function dueText(
  origin: Origin,
  { queued }: ControlInput,
  now: number,
  { due }: RunRules,
  { isTried, regardless }: { readonly isTried: boolean; readonly regardless: boolean },
  { commandText }: Invocation,
): string {
  const { lists } = origin;
  const own = lists.find(({ control }) => control === queued.control) ?? queued;
  const { reason, heldBy } = isQueuedDue(own, lists, now, { ...due, force: false });
  const release = heldBy === undefined ? '' : ` To release it: ${commandText('release', String(heldBy))}`;
  const also =
    regardless && !isTried
      ? ' A run now would leave it alone; what follows is what an attempt now would do.'
      : '';
  const [throttled] = origin.waits(lists)?.sentences ?? [];
  return [`${reason}${also}${release}`, ...(throttled === undefined ? [] : [throttled])].join(' ');
}

/** A spool is written in the dialect of the settings, a single file stays as it is unless they name one. */
function dialectFor({ inSpool }: Origin, { queued }: ControlInput, settings: Settings): Settings['dialect'] {
  return inSpool || settings[GIVEN].has('dialect') ? settings.dialect : queued.job.dialect;
}

interface Simulated {
  readonly kind: 'simulated';
  readonly performed: Performed;
  readonly note: string;
  readonly would: string;
}

async function simulateOrPerform(
  simulation: Simulation,
  isAlone: boolean,
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
      performed: await performLive(simulation, settings),
      note: 'Real DNS and real servers, up to RCPT TO; no message was sent and no file was changed.',
      would: 'with the real servers, before DATA',
    };
  }
  const name = typeof options.world === 'string' ? options.world : 'accept';
  const world = worldNamed(name);
  if ('kind' in world) return world;
  return {
    kind: 'simulated',
    performed: isAlone ? leftAlone(simulation) : await simulate(simulation, world),
    note: `A simulated world (${escapeControl(name)}); no message was sent and no file was changed.`,
    would: `in the simulated world ${escapeControl(name)}`,
  };
}

const FORMS = {
  native: 'Citadel’s serialized form',
  rfc822: 'text with a header',
  bare: 'text with Citadel’s one header line',
} as const;

/** No host is contacted without confirmation. */
function confirmContact({ lists, rules }: Simulation, invocation: Invocation): Promise<CliError | null> {
  const domains = recipientsOf(lists.map(({ job }) => job)).recipients.flatMap(({ address }) => {
    const read = recipientAddress(address);
    return read.kind === 'address' ? [read.domain] : [];
  });
  const { routing } = rules.delivery;
  const relays = everyRelay(routing);
  const names = [...new Set(relays.map(({ shown }) => shown))].join(', ');
  const servers = `the mail servers of ${[...new Set(domains)].join(', ')}`;
  const who = escapeControl(
    isRelayMode(routing.relays) && routing.destinations.withRelays.length === 0
      ? names
      : [servers, ...(names === '' ? [] : [names])].join(', and then '),
  );
  return confirm(invocation, {
    does: `--live contacts ${who}.`,
    question: `Contact ${who}, up to RCPT TO?`,
    declined: 'No server was contacted.',
  });
}

function performLive(simulation: Simulation, settings: Settings): Promise<Performed> {
  const ports = readOnlyDeps(settings, clockFor(settings));
  const never = new Promise<string>(() => {});
  return perform(simulation, { ...ports, connect: withoutData(ports.connect) }, never, (done) =>
    done.finally(() => ports.close()),
  );
}
