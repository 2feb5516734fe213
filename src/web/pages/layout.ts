/** The frame of every page: head, navigation, the notice of what was done, and the form that ends the session. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import type { Session } from '../sessions.ts';
import { STYLE_PATH } from '../style/sheet.ts';

export const SECTIONS = [
  ['/', 'Queue'],
  ['/destinations', 'Destinations'],
  ['/history', 'History'],
  ['/tls', 'TLS'],
  ['/activity', 'Activity'],
] as const satisfies readonly (readonly [string, string])[];

export interface Frame {
  readonly title: string;
  /** the spool, for people */
  readonly name: string;
  readonly path: string;
  readonly session: Pick<Session, 'user' | 'csrf'>;
  /** what was just done; null: nothing */
  readonly notice: string | null;
  readonly content: Markup;
  /** seconds after which the browser asks again; 0: never */
  readonly refresh?: number;
}

export function document(title: string, body: Markup, refresh = 0): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${refresh > 0 && html`<meta http-equiv="refresh" content="${refresh}">\n`}<title>${title} · spoolroom</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
${body}
</html>
`;
}

export function framed({ title, name, path, session, notice, content, refresh = 0 }: Frame): Markup {
  return document(
    title,
    html`<body>
<a class="skip" href="#content">Skip to content</a>
<header class="top">
<p class="brand"><a href="/">spoolroom</a> <span class="where">${name}</span></p>
<nav aria-label="Pages"><ul>${SECTIONS.map(
      ([target, label]) =>
        html`<li><a href="${target}"${isCurrent(path, target) && html` aria-current="page"`}>${label}</a></li>`,
    )}</ul></nav>
<form class="leave" method="post" action="/logout">${csrfField(session)}<span class="user">${session.user}</span> <button class="quiet">Log out</button></form>
</header>
<main id="content" tabindex="-1">
${notice !== null && html`<p class="notice" role="status">${notice}</p>`}
${content}
</main>
</body>`,
    refresh,
  );
}

function isCurrent(path: string, target: string): boolean {
  return target === '/' ? path === '/' || path.startsWith('/job/') || path === '/jobs' : path === target;
}

export function csrfField({ csrf }: Pick<Session, 'csrf'>): Markup {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}
