/** A web view over a spool of a test, and a client that does as little as it is told. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openWeb, type WebView } from '../../src/cli/web/listener.ts';
import type { LogEvent } from '../../src/output/log/log-events.ts';
import { readSettings } from '../../src/settings/read.ts';
import { shellCommand } from '../../src/settings/shell-words.ts';
import { passwordLine } from '../../src/web/password.ts';
import { HEADER, listFor, MAIL, NOW, spoolOf, temporaryDirectory, writeMessage } from '../support/spool.ts';

export const USER = 'alice';
export const PASSWORD = 'correct horse battery';
const LINE = passwordLine(PASSWORD);

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export class Client {
  readonly #target: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  cookie = '';

  constructor(address: string) {
    const url = address.startsWith('unix:') ? null : new URL(address);
    this.#target =
      url === null
        ? { socketPath: address.slice('unix:'.length) }
        : { host: url.hostname, port: Number(url.port) };
  }

  ask(method: string, target: string, headers: http.OutgoingHttpHeaders = {}, body = ''): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          ...this.#target,
          method,
          path: target,
          headers: { cookie: this.cookie, host: 'localhost', ...headers },
          agent: false,
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece) => pieces.push(piece));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(pieces).toString('utf8'),
            }),
          );
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  get(target: string, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.ask('GET', target, headers);
  }

  post(
    target: string,
    form: Readonly<Record<string, string>> | URLSearchParams,
    headers = {},
  ): Promise<Answer> {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.ask('POST', target, { ...type, ...headers }, new URLSearchParams(form).toString());
  }

  async logIn(password = PASSWORD, target = '/'): Promise<Answer> {
    const answer = await this.post('/login', { user: USER, password, target });
    this.cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? this.cookie;
    return answer;
  }

  /** The token of the forms of this session. */
  async csrf(): Promise<string> {
    return /name="csrf" value="([^"]+)"/.exec((await this.get('/')).body)?.[1] ?? '';
  }
}

export interface Started {
  readonly web: WebView;
  readonly client: Client;
  readonly spool: string;
  readonly users: string;
  readonly events: LogEvent[];
}

export async function startWeb(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  given: Readonly<Record<string, unknown>> = {},
): Promise<Started> {
  // A queue elsewhere has its state in a directory of its own.
  const isElsewhere = given.state !== undefined;
  const spool = isElsewhere ? String(given.state) : spoolOf(t, files);
  const users = path.join(temporaryDirectory(t), 'users');
  fs.writeFileSync(users, `${USER}:${await LINE}\n`, { mode: 0o600 });
  const read = readSettings({
    ...(isElsewhere ? {} : { spool }),
    'web.users': users,
    'web.listen': '127.0.0.1:0',
    hostname: 'queue.test',
    ...given,
  });
  if (!read.ok) throw new Error(JSON.stringify(read));
  const events: LogEvent[] = [];
  const log = {
    write: (event: LogEvent) => void events.push(event),
    reopen: async () => {},
    close: async () => {},
  };
  const web = await openWeb(read.settings, { spool, log, commandText: shellCommand, metrics: null });
  if ('kind' in web) throw new Error(web.text);
  t.after(() => web.close());
  return { web, client: new Client(web.address), spool, users, events };
}

/** This many jobs, the oldest with the lowest number. */
export function jobs(count: number, submitted = NOW): Record<string, string> {
  const files: Record<string, string> = {};
  for (let at = 0; at < count; at++) {
    files[2 * at + 1] = MAIL;
    files[2 * at + 2] = listFor(2 * at + 1, `bob${at}@example.com`).replace(
      `submitted|${NOW}`,
      `submitted|${submitted + at}`,
    );
  }
  return files;
}

export { HEADER, MAIL, NOW, writeMessage };
