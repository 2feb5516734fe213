/** Live counters: what is in the queue now, what happened in the last hour and today. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { wholeDuration } from '../../output/text.ts';
import type { DayCounts, QueueCounts } from '../ports.ts';
import { count, refreshForm } from './parts.ts';

export function activityContent(queue: QueueCounts, events: DayCounts, refresh: number): Markup {
  return html`<h1>Activity</h1>
<h2>Queue</h2>
${numbers([
  ['jobs', count(queue.jobs)],
  ...(queue.pending === null ? [] : ([['pending recipients', count(queue.pending)]] as const)),
  ['due now', count(queue.due)],
  ['held', count(queue.held)],
  ['age of the oldest', queue.oldest === null ? '–' : wholeDuration(queue.oldest)],
  ['delivering', queue.delivering ?? 'no process'],
])}
${table(events)}
${refreshForm('/activity', {}, refresh)}`;
}

function numbers(all: readonly (readonly [string, string])[]): Markup {
  return html`<dl class="big">${all.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const EVENTS: readonly (readonly [string, string])[] = [
  ['queued', 'queued'],
  ['delivered', 'delivered'],
  ['deferred', 'deferred'],
  ['refused', 'refused'],
  ['reported', 'reported to senders'],
];

function table({ today, lastHour }: DayCounts): Markup {
  return html`<h2>Recipients</h2>
<table class="rows"><caption class="hidden">What happened to recipients</caption>
<thead><tr><th scope="col">Event</th><th scope="col" class="number">Last 60 minutes</th><th scope="col" class="number">Today (UTC)</th></tr></thead>
<tbody>${EVENTS.map(
    ([event, label]) =>
      html`<tr><th scope="row">${label}</th><td class="number">${count(lastHour[event] ?? 0)}</td><td class="number">${count(today[event] ?? 0)}</td></tr>`,
  )}</tbody></table>`;
}
