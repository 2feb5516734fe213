/** Pieces that several pages have: fields, links with a query, pages of a list. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import type { SelectionFields } from '../ports.ts';

/** With a comma at each thousand. */
export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

type Query = { readonly [name: string]: string | number | undefined };

/** Without what is empty, and without what holds anyway. */
export function queryText(query: Query): string {
  const given = Object.entries(query).filter(([name, value]) => !isDefault(name, value));
  const pairs = given.map(([name, value]): [string, string] => [name, String(value)]);
  const text = new URLSearchParams(pairs).toString();
  return text === '' ? '' : `?${text}`;
}

function isDefault(name: string, value: string | number | undefined): boolean {
  if (value === undefined || value === '') return true;
  return (
    (name === 'order' && value === 'newest') ||
    (name === 'page' && value === 1) ||
    (name === 'refresh' && value === 0)
  );
}

export function link(path: string, query: Query, label: string | Markup): Markup {
  return html`<a href="${path}${queryText(query)}">${label}</a>`;
}

export function textField(
  name: string,
  label: string,
  fields: SelectionFields,
  example: string,
  type = 'text',
): Markup {
  return html`<div class="field"><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" type="${type}" value="${fields[name]}" placeholder="${example}" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="500"></div>`;
}

export function selectField(
  name: string,
  label: string,
  value: string,
  options: readonly (readonly [value: string, label: string])[],
): Markup {
  return html`<div class="field"><label for="f-${name}">${label}</label><select id="f-${name}" name="${name}">${options.map(
    ([each, text]) => html`<option value="${each}"${each === value && html` selected`}>${text}</option>`,
  )}</select></div>`;
}

/** On a phone the fields that follow take too much room until they are wanted. */
export function filterToggle(label: string, isUsed: boolean): Markup {
  return html`<input type="checkbox" class="toggle" id="toggle"${isUsed && html` checked`}><label class="button" for="toggle">${label} …</label>`;
}

export function hiddenFields(fields: Query): Markup {
  return html`${Object.entries(fields).map(([name, value]) => value !== undefined && value !== '' && html`<input type="hidden" name="${name}" value="${value}">`)}`;
}

export interface Paging {
  /** position of the first one shown, from 0 on */
  readonly first: number;
  readonly shown: number;
  /** null: not known */
  readonly total: number | null;
  readonly size: number;
  /** whether there are more behind */
  readonly more: boolean;
}

export function pager(path: string, query: Query, { first, shown, total, size, more }: Paging): Markup {
  const page = Math.floor(first / size) + 1;
  const last = total === null ? null : Math.max(1, Math.ceil(total / size));
  const to = (number: number, label: Markup): Markup =>
    html`<a class="button quiet" href="${path}${queryText({ ...query, page: number })}">${label}</a>`;
  return html`<nav class="pager" aria-label="Pages of the list">
<p>${shown === 0 ? '0' : html`${count(first + 1)}–${count(first + shown)}`}${total !== null && html` of ${count(total)}`}</p>
${page > 2 && to(1, html`First`)}
${page > 1 && to(page - 1, html`<span aria-hidden="true">‹</span> Previous`)}
${more && to(page + 1, html`Next <span aria-hidden="true">›</span>`)}
${more && last !== null && last > page + 1 && to(last, html`Last`)}
</nav>`;
}

export const REFRESHES = [0, 5, 15, 60] as const;

/** Whether the browser asks again by itself; without scripts, and the reader decides. */
export function refreshForm(path: string, query: Query, refresh: number): Markup {
  return html`<form class="refresh" method="get" action="${path}">${hiddenFields({ ...query, order: query.order === 'newest' ? undefined : query.order })}
${selectField(
  'refresh',
  'Refresh',
  String(refresh),
  REFRESHES.map((each) => [String(each), each === 0 ? 'by hand' : `every ${each} s`] as const),
)}
<button class="quiet">Set</button></form>`;
}
