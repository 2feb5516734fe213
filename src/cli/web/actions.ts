/** What administrators do in the web view: the requests of `hold`, `release`, `retry` and `remove`, with the same rules. */
import { inTurn } from '../../platform/in-turn.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { removalFolder } from '../../queue/spool/requests/removal.ts';
import { layoutOf } from '../../storage/layout.ts';
import type { Action, Plan, Problem, SelectionFields } from '../../web/ports.ts';
import { HOLD } from '../commands/jobs/hold.ts';
import {
  type JobCommand,
  jobList,
  MOST_UNASKED,
  requestJobs,
  type SelectedJobs,
} from '../commands/jobs/job-command.ts';
import { expiringIn, RELEASE } from '../commands/jobs/release.ts';
import { GIVE_UP, REMOVE } from '../commands/jobs/remove.ts';
import { RETRY } from '../commands/jobs/retry.ts';
import { selectJobs } from '../commands/jobs/select-jobs.ts';
import { listed, QUEUE_RULES, secondsOf, selectedJobs } from './queue.ts';
import { problem, selectionOf } from './selection.ts';
import type { WebSources } from './sources.ts';

/** `at`: Unix seconds of the request */
type Place = Pick<WebSources, 'spool' | 'settings' | 'schedule'> & {
  readonly at: number;
  readonly queued: readonly QueuedJob[];
};

type Deed = Omit<JobCommand<SelectedJobs>, 'complete' | 'sentence'> & {
  /** what will be, in sentences */
  told(selected: SelectedJobs, jobs: string, place: Place): string;
};

function requested(command: JobCommand<SelectedJobs>): Deed {
  return { ...command, told: (selected, jobs) => command.sentence(selected, jobs) };
}

/** The process that delivers removes them; the command would do it itself where there is none. */
const DEEDS: { readonly [action in Action]: Deed } = {
  hold: requested(HOLD),
  release: {
    ...RELEASE,
    told: (selected, jobs, { at, schedule, queued }) =>
      RELEASE.sentence({ ...selected, expiring: expiringIn(queued, at, schedule) }, jobs),
  },
  retry: requested(RETRY),
  'give-up': requested(GIVE_UP),
  remove: {
    ...REMOVE,
    told: (selected, jobs, { spool, settings, at }) => {
      const folder = settings.postgres === null ? removalFolder(layoutOf(spool), { at }) : null;
      return REMOVE.sentence({ ...selected, done: false, folder }, jobs);
    },
  },
};

/** Jobs that are shown before it is done. */
const SHOWN = 20;

export async function planFor(
  action: Action,
  fields: SelectionFields,
  sources: WebSources,
): Promise<Plan | Problem> {
  const { spool, deps, readable, commandText } = sources;
  const selection = selectionOf(fields, QUEUE_RULES);
  if ('kind' in selection) return selection;
  const now = secondsOf(sources);
  const candidates = await selectedJobs(selection, sources);
  const deed = DEEDS[action];
  const chosen = selectJobs(
    selection,
    { jobs: candidates, orphans: [], quarantined: [] },
    {
      ...deed,
      ...{ spool, deps, readable, now, commandText },
    },
  );
  if ('kind' in chosen) return problem(chosen.text);
  const numbers = jobList(chosen.map(({ control }) => control));
  return {
    kind: 'plan',
    count: chosen.length,
    deed: deed.deed(numbers, chosen),
    jobs: (await listed(chosen.slice(0, SHOWN), sources)).jobs,
    now,
    asks: deed.asksAlways === true || chosen.length > MOST_UNASKED,
    perform: (by) => perform(deed, chosen, by, sources),
  };
}

/** Milliseconds that a browser waits for many requests to be written; they are written all the same. */
const PATIENCE = 5000;
const turn = inTurn();

async function perform(
  deed: Deed,
  jobs: readonly QueuedJob[],
  by: string,
  sources: WebSources,
): Promise<string> {
  const { client, clock, warn } = sources;
  const at = secondsOf(sources);
  const numbers = jobs.map(({ control }) => control);
  const asked = { asked: deed.request, jobs: numbers, runner: client.runner() };
  const work = turn(async () => {
    const failure = await requestJobs(sources, deed.request, jobs, { by, at });
    sources.jobs.noteRequests(numbers);
    return failure?.text ?? deed.told(asked, jobList(numbers), { ...sources, at, queued: jobs });
  });
  const late = new Promise<null>((resolve) => clock.after(PATIENCE, () => resolve(null)));
  const done = await Promise.race([work, late]);
  if (done !== null) return capital(done);
  work.catch((error: unknown) =>
    warn(`What ${by} asked for in the web view was not done: ${String(error)}.`),
  );
  return `This is being written for ${jobList(numbers)}, which takes a while. Open this page again to see how far it is.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
