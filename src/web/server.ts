/**
 * The HTTP server of the web view. Answers whoever can connect, so all that a client can make it hold is bounded: connections,
 * header, body, time. What a page may load and where its forms go is said in every answer.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { formatListenAddress, type ListenTarget } from '../intake/listen-address.ts';
import { listen, listenError, removeStale } from '../intake/listening.ts';
import { errorCode } from '../platform/system-errors.ts';
import { BOUNDS } from './bounds.ts';
import { isOurForm, isOurHost, type OriginRules } from './origin.ts';
import { errorPage } from './pages/error.ts';
import type { WebRequest, WebResponse } from './request.ts';
import { page } from './request.ts';
import type { Session } from './sessions.ts';

export interface ServerDeps {
  readonly origin: OriginRules;
  /** PEM; null: without TLS */
  readonly tls: { readonly key: string; readonly cert: string } | null;
  sessionOf(request: IncomingMessage): Session | null;
  /** whether a POST to this path needs no session */
  isOpen(path: string): boolean;
  answer(request: WebRequest): Promise<WebResponse>;
  /** what no page expected: full sentences */
  warn(text: string): void;
}

export interface RunningServer {
  /** as people write it, with the port that the system gave */
  readonly address: string;
  close(): Promise<void>;
}

/** On every answer. Forms tell where they come from only with a referrer policy that lets them. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** The system's error as a clause. */
export type Started = RunningServer | { readonly kind: 'refused'; readonly why: string };

export async function startServer(address: ListenTarget, deps: ServerDeps): Promise<Started> {
  const server = await serverFor(deps);
  server.maxConnections = BOUNDS.connections;
  try {
    if (address.kind === 'unix') await removeStale(address.path);
    const port = await begin(server, address);
    return { address: formatListenAddress(address, port), close: () => stop(server) };
  } catch (error) {
    const code = errorCode(error);
    if (code === null) throw error;
    return { kind: 'refused', why: await listenError(code, address) };
  }
}

async function serverFor(deps: ServerDeps): Promise<Server> {
  const options: ServerOptions = {
    maxHeaderSize: BOUNDS.header,
    headersTimeout: BOUNDS.headerTime,
    requestTimeout: BOUNDS.requestTime,
    keepAliveTimeout: BOUNDS.keepAlive,
    connectionsCheckingInterval: BOUNDS.headerTime / 2,
  };
  const listener: RequestListener = (request, response) => {
    serve(request, deps).then(
      (answer) => write(response, request, answer),
      (error: unknown) => {
        deps.warn(`The web view could not answer a request: ${error instanceof Error ? error.stack : error}`);
        write(response, request, page(errorPage(500), 500));
      },
    );
  };
  if (deps.tls === null) return createServer(options, listener);
  const https = await import('node:https');
  return https.createServer({ ...options, ...deps.tls, minVersion: 'TLSv1.2' }, listener);
}

/** Resolves to the port. */
async function begin(server: Server, address: ListenTarget): Promise<number> {
  const port = await listen(server, address);
  server.on('error', () => {});
  // Clients that speak no HTTP, or slowly, or too much.
  server.on('clientError', (error, socket) => {
    const isLong = 'code' in error && error.code === 'HPE_HEADER_OVERFLOW';
    const status = isLong ? '431 Request Header Fields Too Large' : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
  });
  return port;
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    const late = setTimeout(() => server.closeAllConnections(), BOUNDS.stopTime);
    server.once('close', () => clearTimeout(late));
  });
}

async function serve(message: IncomingMessage, deps: ServerDeps): Promise<WebResponse> {
  const { method = '', url = '', headers } = message;
  const { origin } = deps;
  if (!isOurHost(headers.host, origin)) return refuse(421);
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST')
    return refuse(405, { Allow: 'GET, HEAD, POST' });
  if (!url.startsWith('/') || url.length > BOUNDS.target) return refuse(400);
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  const query = new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
  const session = deps.sessionOf(message);
  const request = {
    method,
    path,
    target: url,
    query,
    headers,
    session,
    address: clientOf(message, origin),
  } as const;
  if (method !== 'POST') return deps.answer({ ...request, form: new URLSearchParams() });
  const site = header(headers['sec-fetch-site']);
  if (!isOurForm({ host: headers.host, origin: headers.origin, site }, origin)) return refuse(403);
  // Nothing is read from strangers but a login.
  if (session === null && !deps.isOpen(path)) return deps.answer({ ...request, form: new URLSearchParams() });
  const form = await bodyOf(message);
  return typeof form === 'number' ? refuse(form) : deps.answer({ ...request, form });
}

function refuse(status: number, headers: WebResponse['headers'] = {}): WebResponse {
  return page(errorPage(status), status, { Connection: 'close', ...headers });
}

function header(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** A proxy that we were told of adds the client at the end; others could say what they like. */
function clientOf({ socket, headers }: IncomingMessage, { origin }: OriginRules): string {
  const last = origin === null ? undefined : header(headers['x-forwarded-for'])?.split(',').at(-1)?.trim();
  if (last !== undefined && /^[\da-fA-F:.]{2,45}$/.test(last)) return last;
  return socket.remoteAddress ?? 'unix';
}

/** A form; else the status that refuses it. */
async function bodyOf(message: IncomingMessage): Promise<URLSearchParams | number> {
  const type = message.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') return 415;
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of message) {
      pieces.push(piece);
      length += piece.length;
      if (length > BOUNDS.body) return 413;
    }
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return 400;
  }
  return new URLSearchParams(Buffer.concat(pieces).toString('utf8'));
}

function write(
  response: ServerResponse,
  { method }: IncomingMessage,
  { status, headers, body }: WebResponse,
): void {
  // The client may be gone.
  response.on('error', () => {});
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...HEADERS, 'Content-Length': bytes.length, ...headers });
  response.end(method === 'HEAD' ? undefined : bytes);
}
