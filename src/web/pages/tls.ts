/** How TLS went with each domain on a day. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { failuresOf, type PolicyTally } from '../../tls-report/tally.ts';
import type { TlsDay } from '../ports.ts';
import { count, selectField } from './parts.ts';

const POLICIES = { tlsa: 'DANE', sts: 'MTA-STS', 'no-policy-found': 'none' } as const;

export function tlsContent({ day, days, counts }: TlsDay): Markup {
  const known = [...new Set([...days, day])].sort().reverse();
  return html`<h1>TLS results</h1>
<form class="filter short" method="get" action="/tls">${selectField(
    'day',
    'Day (UTC)',
    day,
    known.map((each) => [each, each] as const),
  )}<div class="buttons"><button>Show</button></div></form>
${
  counts.length === 0
    ? html`<p class="empty">No TLS sessions were counted on ${day}.</p>`
    : html`<div class="scroll" tabindex="0" role="region" aria-label="TLS results"><table class="rows"><caption class="hidden">Sessions by domain and policy on ${day}</caption>
<thead><tr><th scope="col">Domain</th><th scope="col" class="number">As it should be</th><th scope="col" class="number">Not</th><th scope="col">Policy</th><th scope="col" class="said">What went wrong</th></tr></thead>
<tbody>${counts.flatMap(([domain, policies]) => policies.map((tally) => row(domain, tally)))}</tbody></table></div>`
}`;
}

function row(domain: string, tally: PolicyTally): Markup {
  const { policy, successes, failures } = tally;
  const failed = failuresOf(tally);
  const of = policy.type === 'tlsa' && policy.domain !== domain ? ` of ${policy.domain}` : '';
  return html`<tr><th scope="row">${domain}</th><td class="number">${count(successes)}</td><td class="number${failed === 0 && ' zero'}">${failed === 0 ? '·' : html`<span class="tag bad">${count(failed)}</span>`}</td><td>${POLICIES[policy.type]}${of}</td><td>${failures.map(
    ({ type, reason, host, address, count: times }) =>
      html`<div>${count(times)} × ${type}${reason !== undefined && ` (${reason})`}${host !== undefined && ` at ${host}`}${address !== undefined && ` [${address}]`}</div>`,
  )}</td></tr>`;
}
