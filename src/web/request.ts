/** A request as the pages see it, and what they answer. Pure. */
import type { Markup } from '../output/html/markup.ts';
import type { Session } from './sessions.ts';

export interface WebRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** without the query */
  readonly path: string;
  /** path and query, to come back to */
  readonly target: string;
  readonly query: URLSearchParams;
  /** of a POST; else empty */
  readonly form: URLSearchParams;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  /** of the client, or as its proxy says; `unix` */
  readonly address: string;
  readonly session: Session | null;
}

export interface WebResponse {
  readonly status: number;
  readonly body: string;
  readonly headers: { readonly [name: string]: string };
}

export function page(body: Markup, status = 200, headers: WebResponse['headers'] = {}): WebResponse {
  return { status, body: body.text, headers: { 'Content-Type': 'text/html; charset=utf-8', ...headers } };
}

/** The browser goes on with a GET. */
export function seeOther(location: string, headers: WebResponse['headers'] = {}): WebResponse {
  return { status: 303, body: '', headers: { Location: location, ...headers } };
}

/** A path of ours with its query; anything else becomes `/`, so that nobody is sent elsewhere. */
export function localTarget(text: string | null): string {
  return text !== null && /^\/(?![/\\])[\x21-\x7e]*$/.test(text) && !text.includes('\\') ? text : '/';
}

/** The value of a cookie; null: there is none. Of several, the first. */
export function cookieIn(header: string | undefined, name: string): string | null {
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return null;
}
