/** The question before something is done to many jobs, or cannot be undone. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import type { Action, Plan, SelectionFields } from '../ports.ts';
import type { Session } from '../sessions.ts';
import { csrfField } from './layout.ts';
import { count, hiddenFields } from './parts.ts';
import { isGrave, plainJobs } from './queue.ts';

export interface ConfirmPage {
  readonly action: Action;
  readonly plan: Plan;
  readonly fields: SelectionFields;
  readonly session: Pick<Session, 'csrf'>;
  readonly target: string;
}

export function confirmContent({ action, plan, fields, session, target }: ConfirmPage): Markup {
  const { deed, jobs, now, count: all } = plan;
  const question = `${deed.charAt(0).toUpperCase()}${deed.slice(1)}?`;
  const caption = all > jobs.length ? `The first ${jobs.length} of ${count(all)} jobs` : 'The jobs';
  return html`<h1>${question}</h1>
<form class="question" method="post" action="/jobs">
${csrfField(session)}
${hiddenFields(fields)}
<input type="hidden" name="target" value="${target}">
<input type="hidden" name="scope" value="all">
<input type="hidden" name="confirmed" value="${all}">
<div class="buttons"><button name="action" value="${action}" class="main${isGrave(action) && ' grave'}">Yes, ${action === 'give-up' ? 'remove and tell senders' : action}</button> <a class="button quiet" href="${target}">Cancel</a></div>
</form>
${plainJobs(jobs, now, caption)}`;
}
