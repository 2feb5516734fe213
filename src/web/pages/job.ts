/** One job: why it is there, its envelope and header, what can be done, its attempts with a timeline, its history. Pure. */
import { type Hole, html, type Markup } from '../../output/html/markup.ts';
import type { ListedJob } from '../../output/queue-list.ts';
import { STATUS_WORDS } from '../../output/replay/replay-report.ts';
import type { Action, JobDetails } from '../ports.ts';
import type { Session } from '../sessions.ts';
import { eventList } from './history.ts';
import { csrfField } from './layout.ts';
import { count } from './parts.ts';
import { isGrave } from './queue.ts';

const ACTIONS: readonly (readonly [Action, string])[] = [
  ['retry', 'Retry'],
  ['hold', 'Hold'],
  ['release', 'Release'],
  ['give-up', 'Remove, tell sender'],
  ['remove', 'Remove silently'],
];

export function jobContent(details: JobDetails, session: Pick<Session, 'csrf'>): Markup {
  const { number, job, sentences, envelope, header, attempts, shown, history } = details;
  return html`<div class="head"><h1>Job ${number}</h1>${job === null ? html`<span class="tag">has left the queue</span>` : actionsForm(job, session)}</div>
<section class="panel" aria-labelledby="why"><h2 id="why" class="hidden">Why it is here</h2>
${sentences.map((sentence) => html`<p>${withCommand(sentence)}</p>\n`)}</section>
${job !== null && recipientList(job)}
${
  attempts.length > 0 &&
  html`<section aria-labelledby="attempts"><h2 id="attempts">Recorded attempts</h2>
<ul class="attempts">${attempts.map(
    ({ name, at }) =>
      html`<li><a href="/job/${number}?attempt=${encodeURIComponent(name)}"${shown !== null && 'name' in shown && shown.name === name && html` aria-current="true"`}><time datetime="${at}">${at.replace('T', ' ').replace('Z', '')}</time></a></li>`,
  )}</ul>
${shown !== null && ('name' in shown ? shown.timeline : html`<p class="problem">${shown.text}</p>`)}</section>`
}
${
  job !== null &&
  html`<div class="pair">
<section class="panel" aria-labelledby="header"><h2 id="header">Header of the message</h2>${
    typeof header === 'string'
      ? html`<p class="soft">${header}</p>`
      : html`<pre class="mono">${header.join('\n')}</pre>`
  }</section>
<section class="panel" aria-labelledby="envelope"><h2 id="envelope">Envelope</h2><dl class="facts">${envelope.map(
    ([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`,
  )}${typeof job.size === 'number' && html`<dt>stored</dt><dd>${count(job.size)} bytes</dd>`}</dl></section>
</div>`
}
${history !== null && html`<section class="panel" aria-labelledby="history"><h2 id="history">History</h2>${eventList(history)}</section>`}`;
}

/** A command at the end of a sentence looks like one. */
function withCommand(sentence: string): Hole {
  const [, words, command] = /^(.*: )(spoolroom .+)$/s.exec(sentence) ?? [];
  return command === undefined ? sentence : html`${words}<code>${command}</code>`;
}

const TAGS: { readonly [status: number]: string } = { 2: 'ok', 3: 'later', 4: 'later', 5: 'bad' };

function recipientList({ recipients }: ListedJob): Markup {
  return html`<section class="panel" aria-labelledby="recipients"><h2 id="recipients">Recipients</h2><ul class="outcomes">${recipients.map(
    ({ address, status, text }) =>
      html`<li><span class="tag ${TAGS[status] ?? ''}">${STATUS_WORDS[status] ?? `status ${status}`}</span> <b>${address}</b> ${text}</li>`,
  )}</ul></section>`;
}

/** Hold or release, whichever applies. */
function actionsForm(job: ListedJob, session: Pick<Session, 'csrf'>): Markup {
  const isHeld = job.request?.request === 'hold';
  const offered = ACTIONS.filter(([action]) =>
    action === 'release' ? isHeld : !(isHeld && (action === 'hold' || action === 'retry')),
  );
  return html`<form class="buttons" method="post" action="/jobs">${csrfField(session)}<input type="hidden" name="jobs" value="${job.job}"><input type="hidden" name="scope" value="all"><input type="hidden" name="target" value="/job/${job.job}">${offered.map(
    ([action, label]) =>
      html`<button name="action" value="${action}"${isGrave(action) && html` class="grave"`}>${label}</button> `,
  )}</form>`;
}
