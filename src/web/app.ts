/** The routes of the web view as a table, and what each answers. */
import { timingSafeEqual } from 'node:crypto';
import type { Markup } from '../output/html/markup.ts';
import { basicLogin, type Logins } from './login.ts';
import { activityContent } from './pages/activity.ts';
import { confirmContent } from './pages/confirm.ts';
import { destinationsContent } from './pages/destinations.ts';
import { errorPage, problemContent } from './pages/error.ts';
import { historyContent, historyProblem } from './pages/history.ts';
import { jobContent } from './pages/job.ts';
import { framed } from './pages/layout.ts';
import { loginPage } from './pages/login.ts';
import { REFRESHES } from './pages/parts.ts';
import { queueContent, queueProblem } from './pages/queue.ts';
import { tlsContent } from './pages/tls.ts';
import { ACTIONS, type Action, QUEUE_ORDERS, type SelectionFields, type WebModel } from './ports.ts';
import { localTarget, page, seeOther, type WebRequest, type WebResponse } from './request.ts';
import type { Session } from './sessions.ts';
import { ICON, SHEET, STYLE_PATH } from './style/sheet.ts';

export interface AppDeps {
  readonly model: WebModel;
  readonly logins: Logins;
  /** events of the history by which it can be searched */
  readonly events: readonly string[];
  /** whether metrics need a password */
  readonly metrics: 'password' | 'open';
}

/** A request of somebody who is logged in. */
type OwnRequest = WebRequest & { readonly session: Session };

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: RegExp;
  /** the answer to anybody */
  readonly open?: (request: WebRequest, deps: AppDeps) => Promise<WebResponse>;
  /** the answer to who is logged in; `part` is what the path has in brackets */
  readonly own?: (request: OwnRequest, deps: AppDeps, part: string) => Promise<WebResponse>;
}

const ROUTES: readonly Route[] = [
  { method: 'GET', path: /^\/$/, own: queuePage },
  { method: 'POST', path: /^\/jobs$/, own: act },
  { method: 'GET', path: /^\/job\/(\d{1,15})$/, own: jobPage },
  { method: 'GET', path: /^\/destinations$/, own: destinationsPage },
  { method: 'GET', path: /^\/history$/, own: historyPage },
  { method: 'GET', path: /^\/tls$/, own: tlsPage },
  { method: 'GET', path: /^\/activity$/, own: activityPage },
  { method: 'GET', path: /^\/metrics$/, open: metrics },
  { method: 'GET', path: /^\/login$/, open: async (request) => loginForm(request) },
  { method: 'POST', path: /^\/login$/, open: logIn },
  { method: 'POST', path: /^\/logout$/, own: logOut },
  {
    method: 'GET',
    path: new RegExp(`^${STYLE_PATH}$`),
    open: async () => asset(SHEET, 'text/css; charset=utf-8'),
  },
  { method: 'GET', path: /^\/icon\.svg$/, open: async () => asset(ICON, 'image/svg+xml') },
];

/** Whether a POST to this path is read from anybody. */
export function isOpenPost(path: string): boolean {
  return ROUTES.some((route) => route.method === 'POST' && route.open !== undefined && route.path.test(path));
}

export async function answer(request: WebRequest, deps: AppDeps): Promise<WebResponse> {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const here = ROUTES.filter(({ path }) => path.test(request.path));
  const route = here.find((each) => each.method === method);
  if (route === undefined) return failure(here.length === 0 ? 404 : 405);
  if (route.open !== undefined) return route.open(request, deps);
  const { session } = request;
  if (session === null) return method === 'GET' ? toLogin(request.target) : failure(403);
  if (method === 'POST' && !isSame(request.form.get('csrf') ?? '', session.csrf)) return failure(403);
  const [, part = ''] = route.path.exec(request.path) ?? [];
  return route.own?.({ ...request, session }, deps, part) ?? failure(404);
}

function failure(status: number): WebResponse {
  return page(errorPage(status), status);
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function asset(body: string, type: string): WebResponse {
  const headers = { 'Content-Type': type, 'Cache-Control': 'public, max-age=31536000, immutable' };
  return { status: 200, body, headers };
}

/** A page in the frame, with the notice of what was just done. */
function show(
  { path, session }: OwnRequest,
  { model }: AppDeps,
  title: string,
  content: Markup,
  { refresh = 0, status = 200 }: { readonly refresh?: number; readonly status?: number } = {},
): WebResponse {
  const { notice } = session;
  session.notice = null;
  return page(framed({ title, name: model.name, path, session, notice, content, refresh }), status);
}

function showProblem(
  request: OwnRequest,
  deps: AppDeps,
  title: string,
  text: string,
  status = 400,
): WebResponse {
  return show(request, deps, title, problemContent(title, text), { status });
}

// Logging in and out.

function toLogin(target: string): WebResponse {
  return seeOther(target === '/' ? '/login' : `/login?target=${encodeURIComponent(target)}`);
}

function loginForm({ query, session }: WebRequest): WebResponse {
  const target = localTarget(query.get('target'));
  return session === null ? page(loginPage({ target, user: '', problem: null })) : seeOther(target);
}

async function logIn({ form, address }: WebRequest, { logins }: AppDeps): Promise<WebResponse> {
  const [user, target] = [form.get('user') ?? '', localTarget(form.get('target'))];
  const result = await logins.check(user, form.get('password') ?? '', address);
  if (result.kind === 'in')
    return seeOther(target, { 'Set-Cookie': logins.begin(user, result.line, address) });
  if (result.kind === 'busy') return failure(429);
  return page(loginPage({ target, user, problem: 'The user or the password is wrong.' }), 401);
}

async function logOut({ session }: OwnRequest, { logins }: AppDeps): Promise<WebResponse> {
  return seeOther('/login', { 'Set-Cookie': logins.end(session) });
}

// The queue.

/** Seconds. */
const SOON = 2;
/** Jobs of a page. */
const PAGE = 50;
const HISTORY_PAGE = 30;

const QUEUE_FIELDS = ['jobs', 'from', 'to', 'domain', 'older', 'answer', 'status'];
const HISTORY_FIELDS = [
  ...['words', 'from', 'to', 'domain', 'older', 'answer', 'status', 'relay', 'message-id', 'since', 'until'],
];

/** Those that say something. */
function fieldsIn(query: URLSearchParams, names: readonly string[]): SelectionFields {
  const given = names.map((name) => [name, query.get(name)?.trim() ?? ''] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== ''));
}

function firstIn(query: URLSearchParams, size: number): number {
  const number = Number(query.get('page') ?? 1);
  return Number.isSafeInteger(number) && number > 1 && number < 1e9 ? (number - 1) * size : 0;
}

function refreshIn(query: URLSearchParams): number {
  const wanted = Number(query.get('refresh') ?? 0);
  return REFRESHES.find((each) => each === wanted) ?? 0;
}

async function queuePage(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const { query, session, target } = request;
  const fields = fieldsIn(query, QUEUE_FIELDS);
  const order = QUEUE_ORDERS.find((each) => each === query.get('order')) ?? 'newest';
  const first = firstIn(query, PAGE);
  const list = await deps.model.list({ fields, order, first, count: PAGE });
  if (list.kind === 'problem')
    return show(request, deps, 'Queue', queueProblem(list.text, fields, order), { status: 400 });
  const shown = list.jobs.length;
  const paging = { first, shown, total: list.total, size: PAGE, more: first + shown < list.total };
  // What is not read yet is there a little later.
  const refresh = list.isWhole ? refreshIn(query) : SOON;
  const content = queueContent({ list, fields, order, paging, refresh, session, target });
  return show(request, deps, 'Queue', content, { refresh });
}

async function act(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const { form, session } = request;
  const action: Action | undefined = ACTIONS.find((each) => each === form.get('action'));
  if (action === undefined) return failure(400);
  const target = localTarget(form.get('target'));
  const isAll = form.get('scope') === 'all';
  const checked = form.getAll('job').join(',');
  if (!isAll && checked === '') {
    session.notice = 'No job was checked, so nothing was changed.';
    return seeOther(target);
  }
  const fields: SelectionFields = isAll ? fieldsIn(form, QUEUE_FIELDS) : { jobs: checked };
  const plan = await deps.model.plan(action, fields);
  if (plan.kind === 'problem') return showProblem(request, deps, 'Nothing was changed', plan.text, 409);
  // What came since the question was not asked about.
  const isConfirmed = Number(form.get('confirmed') ?? 0) >= plan.count;
  if (plan.asks && !isConfirmed)
    return show(request, deps, 'Confirm', confirmContent({ action, plan, fields, session, target }));
  session.notice = await plan.perform(session.user);
  return seeOther(target);
}

async function jobPage(request: OwnRequest, deps: AppDeps, number: string): Promise<WebResponse> {
  const details = await deps.model.job(number, request.query.get('attempt'));
  const title = `Job ${number}`;
  return details.kind === 'problem'
    ? showProblem(request, deps, title, details.text, 404)
    : show(request, deps, title, jobContent(details, request.session));
}

// What else is known.

async function historyPage(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const fields = fieldsIn(request.query, HISTORY_FIELDS);
  const first = firstIn(request.query, HISTORY_PAGE);
  const list = await deps.model.history({ fields, first, count: HISTORY_PAGE });
  if (list.kind === 'problem')
    return show(request, deps, 'History', historyProblem(list.text, fields, deps.events), { status: 400 });
  const { length: shown } = list.stories;
  const paging = { first, shown, total: null, size: HISTORY_PAGE, more: list.more };
  return show(request, deps, 'History', historyContent({ list, fields, paging, events: deps.events }));
}

async function destinationsPage(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const refresh = refreshIn(request.query);
  const content = destinationsContent(await deps.model.destinations(), refresh);
  return show(request, deps, 'Destinations', content, { refresh });
}

async function tlsPage(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const day = await deps.model.tls(request.query.get('day') ?? 'today');
  return day.kind === 'problem'
    ? showProblem(request, deps, 'TLS results', day.text)
    : show(request, deps, 'TLS results', tlsContent(day));
}

async function activityPage(request: OwnRequest, deps: AppDeps): Promise<WebResponse> {
  const refresh = refreshIn(request.query);
  const [queue, events] = [await deps.model.counts(), await deps.model.events()];
  return show(request, deps, 'Activity', activityContent(queue, events, refresh), { refresh });
}

async function metrics(request: WebRequest, deps: AppDeps): Promise<WebResponse> {
  const { model, logins } = deps;
  if (deps.metrics === 'password' && request.session === null) {
    const { authorization } = request.headers;
    const given = basicLogin(typeof authorization === 'string' ? authorization : undefined);
    const result = given === null ? null : await logins.check(given.user, given.password, request.address);
    if (result?.kind !== 'in')
      return page(errorPage(401), 401, {
        'WWW-Authenticate': 'Basic realm="spoolroom metrics", charset="UTF-8"',
      });
  }
  const { accept } = request.headers;
  const { type, text } = await model.metrics(typeof accept === 'string' ? accept : undefined);
  return { status: 200, body: text, headers: { 'Content-Type': type } };
}
