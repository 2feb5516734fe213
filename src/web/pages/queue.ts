/** The queue: counts, the words that select, one page of jobs, and what can be done with them. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { cellsOf, type ListedJob } from '../../output/queue-list.ts';
import { wholeDuration } from '../../output/text.ts';
import type { Action, QueueCounts, QueueList, QueueOrder, SelectionFields } from '../ports.ts';
import type { Session } from '../sessions.ts';
import { csrfField } from './layout.ts';
import {
  count,
  filterToggle,
  hiddenFields,
  link,
  type Paging,
  pager,
  refreshForm,
  selectField,
  textField,
} from './parts.ts';

export interface QueuePage {
  readonly list: QueueList;
  readonly fields: SelectionFields;
  readonly order: QueueOrder;
  readonly paging: Paging;
  /** seconds */
  readonly refresh: number;
  readonly session: Pick<Session, 'csrf'>;
  /** path and query of this page */
  readonly target: string;
}

export const STATUS_WORDS = ['new', 'deferred', 'delivered', 'refused', 'held'] as const;

export function queueContent(shown: QueuePage): Markup {
  const { list, fields, refresh } = shown;
  const { counts } = list;
  return html`<div class="head"><h1>Queue</h1>${countsStrip(counts)}</div>
${list.notes.map((note) => html`<p class="warning">${note}</p>`)}
${filterForm(fields, shown.order)}
${list.jobs.length === 0 ? emptyText(list) : jobsForm(shown)}
${list.isWhole && refreshForm('/', { ...fields, order: shown.order }, refresh)}`;
}

export function countsStrip({ jobs, due, held, oldest, delivering, unreadable }: QueueCounts): Markup {
  const items: readonly (readonly [string, string | Markup])[] = [
    ['jobs', count(jobs)],
    ['due now', count(due)],
    ['held', held === 0 ? '0' : link('/', { status: 'held' }, count(held))],
    ...(unreadable > 0 ? ([['unreadable', count(unreadable)]] as const) : []),
    ['oldest', oldest === null ? '–' : wholeDuration(oldest)],
    ['delivering', delivering ?? 'no process'],
  ];
  return html`<dl class="counts">${items.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A word that cannot be used, with the fields to correct it. */
export function queueProblem(text: string, fields: SelectionFields, order: QueueOrder): Markup {
  return html`<h1>Queue</h1><p class="problem" role="alert">${text}</p>${filterForm(fields, order)}`;
}

function filterForm(fields: SelectionFields, order: QueueOrder): Markup {
  const isUsed = Object.keys(fields).length > 0;
  return html`${filterToggle('Select jobs', isUsed)}
<form class="filter" method="get" action="/" role="search" aria-label="Select jobs">
${textField('jobs', 'Jobs', fields, '4, 10-20')}
${textField('from', 'From', fields, 'alice@, example.org, <>')}
${textField('to', 'To', fields, 'bob@example.com')}
${textField('domain', 'Domain', fields, 'example.com')}
${textField('older', 'Older than', fields, '4h, 2d')}
${textField('answer', 'Answer', fields, 'text of the last reply')}
${selectField('status', 'Status', fields.status ?? '', [['', 'any'], ...STATUS_WORDS.map((word) => [word, word] as const)])}
${order !== 'newest' && html`<input type="hidden" name="order" value="${order}">`}
<div class="buttons"><button>Select</button>${isUsed && html` <a class="button quiet" href="/">Clear</a>`}</div>
</form>`;
}

function emptyText({ selected, counts, isWhole }: QueueList): Markup {
  const isEmpty = counts.jobs === 0 && isWhole;
  return html`<p class="empty">${isEmpty ? 'The queue is empty.' : `No jobs${selected}${isWhole ? '' : ' so far'}.`}</p>`;
}

const ACTIONS: readonly (readonly [Action, string])[] = [
  ['retry', 'Retry'],
  ['hold', 'Hold'],
  ['release', 'Release'],
  ['give-up', 'Remove, tell senders'],
  ['remove', 'Remove silently'],
];

function jobsForm(shown: QueuePage): Markup {
  const { list, fields, paging, session, target } = shown;
  const whole =
    Object.keys(fields).length > 0 ? `all ${count(list.total)} selected` : `all ${count(list.total)}`;
  return html`<form method="post" action="/jobs">
${csrfField(session)}
<input type="hidden" name="target" value="${target}">
${hiddenFields(fields)}
${jobTable(shown)}
<div class="foot">
<fieldset class="actions"><legend class="hidden">What to do</legend>
${selectField('scope', 'With', 'checked', [
  ['checked', 'checked jobs'],
  ['all', whole],
])}
<div class="buttons">${ACTIONS.map(([action, label]) => html`<button name="action" value="${action}"${isGrave(action) && html` class="grave"`}>${label}</button> `)}</div>
</fieldset>
${pager('/', { ...fields, order: shown.order }, paging)}
</div>
</form>`;
}

export function isGrave(action: Action): boolean {
  return action === 'remove' || action === 'give-up';
}

function jobTable({ list: { jobs, now, total, selected }, fields, order, paging }: QueuePage): Markup {
  const { first } = paging;
  const sorted = (name: QueueOrder, label: string, direction: string): Markup =>
    html`<th scope="col" class="${label.toLowerCase()}"${order === name && html` aria-sort="${direction}"`}>${
      order === name
        ? html`${label} <span aria-hidden="true">${direction === 'ascending' ? '▴' : '▾'}</span>`
        : link('/', { ...fields, order: name }, label)
    }</th>`;
  return html`<table class="jobs">
<caption class="hidden">Jobs ${count(first + 1)} to ${count(first + jobs.length)} of ${count(total)}${selected}</caption>
<thead><tr><th scope="col" class="pick"><span class="hidden">Check</span></th>${sorted('newest', 'Job', 'descending')}${sorted('oldest', 'Age', 'descending')}${sorted('next', 'Next', 'ascending')}<th scope="col" class="size">Size</th><th scope="col" class="sender">Sender</th><th scope="col" class="recipient">Recipient</th><th scope="col" class="why">Last answer</th></tr></thead>
<tbody>
${jobs.map((job) => jobRow(job, now))}
</tbody>
</table>`;
}

function jobRow(job: ListedJob, now: number): Markup {
  const [number, age, size, next, sender, recipient, why] = cellsOf(job, now);
  return html`<tr>
<td class="pick"><input type="checkbox" name="job" value="${number}" aria-label="Job ${number}"></td>
<th scope="row" class="job"><a href="/job/${number}">${number}</a></th>
<td class="age">${age}</td>
<td class="next">${nextCell(job, next)}</td>
<td class="size">${size}</td>
<td class="sender" title="${sender}">${sender}</td>
<td class="recipient" title="${recipient}">${recipient}<span class="below">${why}</span></td>
<td class="why" title="${why}">${why}</td>
</tr>
`;
}

const TAGS: { readonly [next: string]: string } = {
  held: 'later',
  leaves: 'bad',
  now: 'ok',
  report: 'bad',
  ends: 'ok',
};

export function nextCell({ throttled }: ListedJob, next: string): Markup {
  const kind = TAGS[next];
  if (kind === undefined)
    return html`${next}${throttled !== null && html` <span class="tag later">slowed</span>`}`;
  return html`<span class="tag ${kind}">${next}</span>`;
}

/** Jobs without boxes, for the question before something is done. */
export function plainJobs(jobs: readonly ListedJob[], now: number, caption: string): Markup {
  return html`<table class="jobs plain">
<caption>${caption}</caption>
<thead><tr><th scope="col" class="job">Job</th><th scope="col" class="age">Age</th><th scope="col" class="next">Next</th><th scope="col" class="size">Size</th><th scope="col" class="sender">Sender</th><th scope="col" class="recipient">Recipient</th><th scope="col" class="why">Last answer</th></tr></thead>
<tbody>${jobs.map((job) => {
    const [number, age, size, next, sender, recipient, why] = cellsOf(job, now);
    return html`<tr><th scope="row" class="job"><a href="/job/${number}">${number}</a></th><td class="age">${age}</td><td class="next">${nextCell(job, next)}</td><td class="size">${size}</td><td class="sender" title="${sender}">${sender}</td><td class="recipient" title="${recipient}">${recipient}<span class="below">${why}</span></td><td class="why" title="${why}">${why}</td></tr>\n`;
  })}</tbody>
</table>`;
}
