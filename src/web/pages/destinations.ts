/** Where mail waits to go: pending recipients by domain and age, and the hosts that asked us to send less. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { AGES } from '../../output/queue-list.ts';
import type { Destinations } from '../ports.ts';
import { count, link, refreshForm } from './parts.ts';

/** Rows of the table; the rest is summed up. */
const MOST = 200;

export function destinationsContent(
  { destinations, throttled, slowed }: Destinations,
  refresh: number,
): Markup {
  const unknown = destinations.some(({ ages }) => (ages.at(-1) ?? 0) > 0);
  const heads = [
    ...AGES.map((age) => `≤ ${ageText(age)}`),
    `> ${ageText(AGES[AGES.length - 1] ?? 0)}`,
    ...(unknown ? ['unknown'] : []),
  ];
  const rest = destinations.slice(MOST);
  return html`<h1>Destinations</h1>
${slowed !== null && html`<p class="warning">${slowed}</p>`}
<h2>Hosts that asked us to send less</h2>
${throttled.length === 0 ? html`<p class="soft">None.</p>` : throttleTable(throttled)}
<h2>Pending recipients by age</h2>
${
  destinations.length === 0
    ? html`<p class="empty">No recipient is pending.</p>`
    : html`<div class="scroll" tabindex="0" role="region" aria-label="Pending recipients by destination and age"><table class="rows">
<caption class="hidden">Pending recipients by destination and age</caption>
<thead><tr><th scope="col">Destination</th><th scope="col" class="number">All</th>${heads.map((head) => html`<th scope="col" class="number">${head}</th>`)}</tr></thead>
<tbody>${destinations
        .slice(0, MOST)
        .map(
          ({ destination, total, ages }) =>
            html`<tr><th scope="row">${destination === '' ? '(no address)' : link('/', { domain: destination }, destination)}</th><td class="number"><b>${count(total)}</b></td>${ages
              .slice(0, heads.length)
              .map(
                (each) =>
                  html`<td class="number${each === 0 && ' zero'}">${each === 0 ? '·' : count(each)}</td>`,
              )}</tr>\n`,
        )}</tbody></table></div>
${rest.length > 0 && html`<p class="soft">${count(rest.length)} other destinations with ${count(rest.reduce((sum, { total }) => sum + total, 0))} recipients.</p>`}`
}
${refreshForm('/destinations', {}, refresh)}`;
}

function ageText(minutes: number): string {
  return minutes < 120 ? `${minutes} min` : `${Math.round((minutes / 60) * 10) / 10} h`;
}

function throttleTable(groups: Destinations['throttled']): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Hosts that asked us to send less"><table class="rows"><caption class="hidden">Hosts that asked us to send less</caption>
<thead><tr><th scope="col">Receiver</th><th scope="col">State</th><th scope="col">Until</th><th scope="col" class="number">Waiting</th><th scope="col" class="said">What it said</th></tr></thead>
<tbody>${groups.map(
    ({ receiver, state, until, rate, waiting, answer }) =>
      html`<tr><th scope="row">${receiver}</th><td><span class="tag later">${state}</span>${state === 'limited' && ` ${rate} a minute`}</td><td><time datetime="${until}">${until.replace('T', ' ').replace('Z', '')}</time></td><td class="number">${count(waiting)}</td><td>${answer}</td></tr>`,
  )}</tbody></table></div>`;
}
