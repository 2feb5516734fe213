/** What stands in place of a page that cannot be shown. Pure. */
import { html, type Markup } from '../../output/html/markup.ts';
import { document } from './layout.ts';

const TEXTS: { readonly [status: number]: readonly [string, string] } = {
  400: ['Not understood', 'The request was not understood.'],
  401: ['Who is there?', 'A user and a password are needed.'],
  403: [
    'Not from here',
    'The form came from another page than ours, or from before the last login. Open the page again.',
  ],
  404: ['Not found', 'There is no such page.'],
  405: ['Not possible', 'That cannot be done with this address.'],
  413: ['Too large', 'The form is too large. Select by words instead of by single jobs.'],
  415: ['Not a form', 'Only forms can be sent here.'],
  421: [
    'Another name',
    'This is not the address of the web view. Open it as localhost, or set web.origin to the address that browsers use.',
  ],
  429: ['Too many logins', 'Too many logins at the same time. Try again in a minute.'],
  500: ['An error', 'That is a bug of this program; its log says more. Mail is not affected.'],
};

export function errorPage(status: number): Markup {
  const [title, text] = TEXTS[status] ?? ['An error', `Status ${status}.`];
  return document(
    title,
    html`<body class="bare"><main class="card"><h1>${title}</h1><p>${text}</p><p><a href="/">Back to the queue</a></p></main></body>`,
  );
}

/** A sentence in the frame of the other pages. */
export function problemContent(title: string, text: string): Markup {
  return html`<h1>${title}</h1><p class="problem" role="alert">${text}</p>`;
}
