/** What became of messages: words that select, and a line for each message that opens to its whole story. Pure. */
import type { HistoryRecord } from '../../history/record.ts';
import { eventSentence, type RecipientState, type StoryFacts } from '../../output/history-text.ts';
import { html, type Markup } from '../../output/html/markup.ts';
import { sizeText } from '../../output/queue-list.ts';
import { formatTime } from '../../platform/clock.ts';
import type { HistoryList, SelectionFields } from '../ports.ts';
import { filterToggle, type Paging, pager, selectField, textField } from './parts.ts';

export interface HistoryPage {
  readonly list: HistoryList;
  readonly fields: SelectionFields;
  readonly paging: Paging;
  readonly events: readonly string[];
}

export function historyContent({ list, fields, paging, events }: HistoryPage): Markup {
  const { stories, since } = list;
  return html`<h1>History</h1>
${historyForm(fields, events)}
${
  stories.length === 0
    ? html`<p class="empty">${since === null ? 'No history is kept yet.' : `Nothing is known of such messages. History is kept since ${since}.`}</p>`
    : html`<div><p class="stories"><span>Last event</span><span>Sender</span><span>Recipient</span><span>State</span></p>${stories.map(storyMarkup)}</div>
<div class="foot"><p class="soft">Times are UTC.</p>${pager('/history', fields, paging)}</div>`
}`;
}

/** A word that cannot be used, with the fields to correct it. */
export function historyProblem(text: string, fields: SelectionFields, events: readonly string[]): Markup {
  return html`<h1>History</h1><p class="problem" role="alert">${text}</p>${historyForm(fields, events)}`;
}

function historyForm(fields: SelectionFields, events: readonly string[]): Markup {
  return html`${filterToggle('Search', Object.keys(fields).length > 0)}
<form class="filter" method="get" action="/history" role="search" aria-label="Select messages">
${textField('words', 'Anything', fields, 'address, Message-ID, job')}
${textField('from', 'From', fields, 'alice@')}
${textField('to', 'To', fields, 'bob@example.com')}
${textField('domain', 'Domain', fields, 'example.com')}
${textField('answer', 'Answer', fields, 'text of a reply')}
${textField('relay', 'Server', fields, 'name or address')}
${textField('message-id', 'Message-ID', fields, 'part of it')}
${textField('since', 'Since', fields, 'yesterday, 2h, 2026-11-27')}
${textField('until', 'Until', fields, 'now')}
${selectField('status', 'Event', fields.status ?? '', [['', 'any'], ...events.map((event) => [event, event] as const)])}
<div class="buttons"><button>Search</button>${Object.keys(fields).length > 0 && html` <a class="button quiet" href="/history">Clear</a>`}</div>
</form>`;
}

const STATES: { readonly [state in RecipientState]: string } = {
  queued: '',
  delivered: 'ok',
  deferred: 'later',
  refused: 'bad',
  removed: 'bad',
};

function storyMarkup({ job, submitted, sender, size, messageId, recipients, events }: StoryFacts): Markup {
  const addresses = Object.keys(recipients);
  const counts = new Map<RecipientState, number>();
  for (const state of Object.values(recipients)) counts.set(state, (counts.get(state) ?? 0) + 1);
  const last = events[events.length - 1] ?? events[0];
  const queued = submitted === null ? '' : `, queued ${formatTime(submitted)}`;
  const [first = '(no recipient)'] = addresses;
  const more = addresses.length > 1 ? ` +${addresses.length - 1}` : '';
  return html`<details class="story"><summary>${timeMarkup(last.at)}<span class="sender">${sender ?? '(sender of the message)'}</span><span class="recipient">${first}${more}</span><span>${[
    ...counts,
  ].map(
    ([state, count]) => html`<span class="tag ${STATES[state]}">${count > 1 && `${count} `}${state}</span> `,
  )}</span></summary>
<p class="soft">job <a href="/job/${job}">${job}</a>${queued}${size !== null && `, ${sizeText(size)}`}${messageId !== null && `, ${messageId}`}</p>
${eventList(events)}</details>
`;
}

export function eventList(events: readonly HistoryRecord[]): Markup {
  return html`<ul class="events">${events.map(
    (record) =>
      html`<li>${timeMarkup(record.at)}<span><span class="tag ${EVENT_TAGS[record.event] ?? ''}">${record.event}</span></span><span>${eventSentence(record)}</span></li>`,
  )}</ul>`;
}

const EVENT_TAGS: { readonly [event in HistoryRecord['event']]?: string } = {
  delivered: 'ok',
  deferred: 'later',
  refused: 'bad',
  remove: 'bad',
  'give-up': 'bad',
  hold: 'later',
};

/** `2026-11-28 10:00:00` */
function timeMarkup(at: string): Markup {
  return html`<time datetime="${at}">${at.slice(0, 19).replace('T', ' ')}</time>`;
}
