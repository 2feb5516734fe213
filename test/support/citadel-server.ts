/**
 * The queue room of a Citadel server on a socket: the commands the program uses, in the bytes of three eras, compared with
 * recorded sessions (test/queue/citadel/double.test.ts). It keeps its messages between connections, deletes only what it is
 * asked to delete, and can be made to fail at any command.
 */
import { once } from 'node:events';
import * as net from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ServerCertificate } from './certificates.ts';
import {
  briefOf,
  type Era,
  fieldsOf,
  HEADER,
  listOf,
  nativeOf,
  partOf,
  ROOM,
  renderedOf,
  type StoredDouble,
} from './citadel-message.ts';

export type { Era, StoredDouble };
export { listOf };

/** What happens instead of, or after, a command. */
export type Fault =
  /** the connection breaks before the command does anything */
  | 'lost-before'
  /** the command is executed, and the connection breaks before its answer */
  | 'lost-after'
  | { readonly answer: string };

export interface CitadelDouble {
  /** of the socket, or its address */
  readonly path: string;
  /** 0 for a unix socket */
  readonly port: number;
  readonly messages: Map<number, StoredDouble>;
  /** MSG3 returns these as well */
  readonly deleted: Map<number, StoredDouble>;
  /** messages in the room where a session begins */
  readonly lobby: Set<number>;
  /** all commands so far, of all connections; passwords blanked; without the ECHO behind a listing */
  readonly commands: string[];
  /** called before each command, and before a posted text is taken (`(text)`); null: nothing unusual */
  fault: (line: string) => Fault | null | Promise<Fault | null>;
  /** sent instead of the greeting, when not null */
  greeting: string | null;
  /** unix seconds */
  time: number;
  /** the lines of the relay table */
  config: string;
  /** puts a delivery list into the room, as the server itself does; returns its number */
  post(list: string): number;
  /** A message of a user as MSG2 and MSG3 give it. */
  postMail(rendered: string, native?: string): number;
  put(message: StoredDouble): number;
  close(): Promise<void>;
}

interface Facts {
  readonly greeting: string;
  readonly hasNative: boolean;
  readonly hasKeys: boolean;
  /** the room where a message to an outside recipient was posted */
  readonly sent: string;
  readonly bounceto: (user: string) => string;
}

const ERAS: Readonly<Record<Era, Facts>> = {
  '2012': {
    ...{ greeting: 'citref', hasNative: true, hasKeys: false, sent: 'Mail' },
    bounceto: (user) => `${user}@citref`,
  },
  '2016': {
    ...{ greeting: 'citref', hasNative: true, hasKeys: true, sent: '0000000010.Sent Items' },
    bounceto: (user) => `${user}@citref`,
  },
  '2023': {
    ...{ greeting: 'citref.example', hasNative: false, hasKeys: true, sent: '0000000002.Sent Items' },
    bounceto: (user) => user,
  },
};

const NOT_SPOKEN = '530 Unrecognized or unsupported command.\n';

export interface DoubleOptions {
  readonly era: Era;
  /** whether the socket is citadel-admin.socket */
  readonly admin?: boolean;
  readonly highest?: number;
  /** for STLS */
  readonly certificate?: ServerCertificate;
}

interface Client {
  socket: net.Socket;
  user: string | null;
  level: number;
  inRoom: boolean;
  /** collects a text until its line `000`; then this is called */
  taking: ((text: string) => string) | null;
  text: string;
  rest: string;
  /** one line after the other */
  turn: Promise<void>;
}

const USERS: Readonly<
  Record<string, { readonly password: string; readonly reply: string; readonly level: number }>
> = {
  admin: { password: 'adminpass', reply: 'admin|6|0|0|0|1|0', level: 6 },
  alice: { password: 'alicepass', reply: 'alice|4|0|0|0|2|0', level: 4 },
};

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

/** @param path of a unix socket; `tcp`: any port of 127.0.0.1 */
export async function startCitadel(path: string, options: DoubleOptions): Promise<CitadelDouble> {
  const { era, certificate } = options;
  const facts = ERAS[era];
  const admin = options.admin ?? true;
  const messages = new Map<number, StoredDouble>();
  const deleted = new Map<number, StoredDouble>();
  let highest = options.highest ?? 0;
  const sockets = new Set<net.Socket>();

  function put(message: StoredDouble): number {
    messages.set(++highest, message);
    return highest;
  }

  function idFor(number: number): string {
    return `${hex(double.time)}-${hex(number)}@citref.example`;
  }

  /** A message of a user, as ENT0 stores it. */
  function written(
    client: Client,
    fields: Record<string, string>,
    format: number,
    text: string,
  ): StoredDouble {
    const user = client.user ?? '';
    const all = {
      ...{ I: idFor(highest + 1), P: user, T: String(double.time), A: user, F: `${user}@citref.example` },
      ...(era === '2023' ? {} : { N: 'citref', H: 'Citadel Server' }),
      ...fields,
    };
    const isWhole = text === '' || text.endsWith('\n');
    return { anonymous: 'A', format, fields: all, text: isWhole ? text : `${text}\n` };
  }

  /** A control message as the server creates it. */
  function control(list: string): number {
    const fields = {
      ...{ I: idFor(highest + 1), P: 'Citadel', T: String(double.time), A: 'Citadel', O: ROOM },
      ...{ J: 'do not journal', U: 'QMSG' },
    };
    return put({ anonymous: 'A', format: 4, fields, text: HEADER + list });
  }

  function goto(client: Client, room: string): string {
    if (!admin && client.user === null) return '520 Not logged in.\n';
    if (room === '_MAIL_' && client.user !== null) {
      client.inRoom = false;
      return `200 Mail|0|0|0|16390|0|0|1|0|0|0|1|1|0|0|${double.time}|\n`;
    }
    const name = room === '_MAIL_' ? 'Mail' : room;
    if (room !== ROOM || (!admin && client.level < 6)) return `572 room '${name}' not found\n`;
    client.inRoom = true;
    const newest = Math.max(0, ...messages.keys());
    const count = messages.size;
    return `200 ${ROOM}|${count}|${count}|0|6|${newest}|0|0|${client.level >= 6 ? 1 : 0}|0|0|11|11|0|1|${double.time}|\n`;
  }

  function addressIn(recipient: string): string {
    return /<(.*)>/.exec(recipient)?.[1] ?? recipient.trim();
  }

  function post(client: Client, parameters: readonly string[]): string {
    const [mode, to = '', , format, subject = '', , confirm] = parameters;
    if (client.user === null) return '520 Not logged in.\n';
    if (mode !== '1') return '512 Not spoken by this double.\n';
    client.taking = (text) => {
      const stored = text.replaceAll('\r\n', '\n');
      const room = to === '' ? ROOM : facts.sent;
      const fields: Record<string, string> = {
        O: room,
        ...(to !== '' && { R: to }),
        ...(subject !== '' && { U: subject }),
      };
      const message = written(client, fields, Number(format), stored);
      const number = highest + 1;
      // Otherwise it goes to the room the user is in.
      if (client.inRoom || to !== '') put(message);
      else highest++;
      if (to !== '') {
        const remotes = to.split(',').map((each) => `remote|${addressIn(each)}|0||\n`);
        const bounceto = facts.bounceto(client.user ?? '');
        control(`msgid|${number}\nsubmitted|${double.time}\nbounceto|${bounceto}\n${remotes.join('')}`);
      }
      return confirm === '1' ? `${number}\nMessage accepted.\n\n000\n` : '';
    };
    return confirm === '1' ? '800 send message\n' : '400 send message\n';
  }

  function list(client: Client, [which = '', count = '', template, mode]: readonly string[]): string {
    if (!admin && client.user === null) return '520 Not logged in.\n';
    const numbers = [...(client.inRoom ? messages.keys() : double.lobby)];
    const chosen =
      which === 'LAST'
        ? numbers.slice(-Number(count))
        : numbers.filter((number) => which !== 'GT' || number > Number(count));
    const line = (number: number): string => {
      const message = messages.get(number);
      return mode === '1' && message !== undefined ? briefOf(number, message, era) : `${number}\n`;
    };
    if (template !== '1') return `100  \n${chosen.map(line).join('')}000\n`;
    client.taking = (text) => {
      const subject = /^subj\|(.*)$/im.exec(text)?.[1];
      return `${chosen
        .filter((number) => messages.get(number)?.fields.U === subject)
        .map(line)
        .join('')}000\n`;
    };
    return '800 Send template then receive message list\n';
  }

  /** MSG0, MSG2, MSG4 */
  function show(client: Client, form: string, number: number, mode: string): string {
    if (!admin && client.user === null) return '520 Not logged in.\n';
    const message = client.inRoom ? messages.get(number) : undefined;
    if (message === undefined) return `550 message ${number} was not found in this room\n`;
    const heads = mode === '1';
    const said =
      form === 'MSG2'
        ? renderedOf(message, era, heads)
        : fieldsOf(message, era, form === 'MSG0' ? form : 'MSG4', heads);
    return `100 msg:\n${said}000\n`;
  }

  function remove(client: Client, numbers: string): string {
    if (!admin && client.level < 6) return '550 Higher access required.\n';
    let count = 0;
    for (const number of numbers.split(',').map(Number)) {
      const message = messages.get(number);
      if (message === undefined) continue;
      messages.delete(number);
      deleted.set(number, message);
      count++;
    }
    if (count === 0) return '575 Message not found.\n';
    return `200 ${count} message${count === 1 ? '' : 's'} deleted.\n`;
  }

  function native(number: number): string {
    if (!facts.hasNative) return NOT_SPOKEN;
    if (!admin) return '550 This command is for internal programs only.\n';
    const message = messages.get(number) ?? deleted.get(number);
    if (message === undefined || (message.rendered !== undefined && message.native === undefined))
      return `575 Message ${number} not found.\n`;
    const bytes = nativeOf(message, era);
    return `600 ${bytes.length}\n${bytes}`;
  }

  function part(number: number): string {
    const message = messages.get(number);
    return message === undefined ? `550 message ${number} was not found in this room\n` : partOf(message);
  }

  function configuration(client: Client, [what = '', key = '']: readonly string[]): string {
    if (!admin && client.level < 6)
      return `550 This command requires ${era === '2012' ? 'Aide' : 'Admin'} access.\n`;
    if (what === 'GETSYS') return `100 ${key}\n${double.config}000\n`;
    if (what === 'GETVAL' && facts.hasKeys) return key === 'c_fqdn' ? '200 citref.example|\n' : '200 |\n';
    if (what === 'GET') return '100 Configuration...\ncitref\ncitref.example\nCitadel Server\n000\n';
    return '512 Illegal option.\n';
  }

  function answer(client: Client, line: string): string {
    const [verb = '', rest = ''] = [line.slice(0, 4), line.slice(5)];
    const parameters = rest.split('|');
    const number = Number(parameters[0]);
    switch (verb) {
      case 'IDEN':
        return '200 Ok\n';
      case 'ECHO':
        return `200 ${rest}\n`;
      case 'STLS':
        return certificate === undefined ? NOT_SPOKEN : '200 Begin TLS negotiation now\n';
      case 'USER':
        client.user = null;
        return rest in USERS ? `300 Password required for ${rest}\n` : `570 ${rest} not found.\n`;
      case 'PASS':
        return login(client, rest);
      case 'GOTO':
        return goto(client, rest);
      case 'MSGS':
        return list(client, parameters);
      case 'MSG0':
      case 'MSG2':
      case 'MSG4':
        return show(client, verb, number, parameters[1] ?? '');
      case 'MSG3':
        return native(number);
      case 'DLAT':
        return part(number);
      case 'ENT0':
        return post(client, parameters);
      case 'DELE':
        return remove(client, rest);
      case 'CONF':
        return configuration(client, parameters);
      case 'SMTP':
        return era === '2023' ? NOT_SPOKEN : '512 Invalid command.\n';
      case 'QUIT':
        return '200 Goodbye.\n';
    }
    return NOT_SPOKEN;
  }

  function login(client: Client, password: string): string {
    const [name, user] = Object.entries(USERS).find(([, each]) => each.password === password) ?? [];
    if (name === undefined || user === undefined) return '540 Wrong password.\n';
    client.user = name;
    client.level = user.level;
    return `200 ${user.reply}\n`;
  }

  /** One line of the client. */
  async function take(client: Client, line: string): Promise<void> {
    if (client.socket.destroyed) return;
    if (client.taking !== null) await takeText(client, line, client.taking);
    else await takeCommand(client, line);
  }

  async function takeText(client: Client, line: string, done: (text: string) => string): Promise<void> {
    if (line !== '000') {
      client.text += `${line}\n`;
      return;
    }
    client.taking = null;
    const fault = await double.fault('(text)');
    if (fault === 'lost-before') return void client.socket.destroy();
    const said = done(client.text);
    if (fault === 'lost-after') return void client.socket.destroy();
    client.socket.write(said, 'latin1');
  }

  async function takeCommand(client: Client, line: string): Promise<void> {
    client.text = '';
    const isEcho = line.startsWith('ECHO ');
    if (!isEcho) double.commands.push(line.startsWith('PASS') ? 'PASS' : line);
    const fault = isEcho ? null : await double.fault(line);
    if (fault === 'lost-before') return void client.socket.destroy();
    const said = typeof fault === 'object' && fault !== null ? fault.answer : answer(client, line);
    if (fault === 'lost-after') return void client.socket.destroy();
    client.socket.write(said, 'latin1');
    if (line === 'QUIT') client.socket.end();
    if (line === 'STLS' && certificate !== undefined && fault === null) secure(client, certificate);
  }

  function secure(client: Client, { cert, key }: ServerCertificate): void {
    const plain = client.socket;
    plain.removeAllListeners('data');
    client.socket = new TLSSocket(plain, { isServer: true, cert, key });
    client.rest = '';
    listen(client);
  }

  function listen(client: Client): void {
    const { socket } = client;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const lines = (client.rest + bytes.toString('latin1')).split('\n');
      client.rest = lines.pop() ?? '';
      for (const line of lines) client.turn = client.turn.then(() => take(client, line));
    });
  }

  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const client: Client = {
      socket,
      user: null,
      level: 0,
      inRoom: false,
      taking: null,
      text: '',
      rest: '',
      turn: Promise.resolve(),
    };
    const kind = admin ? 'server ADMIN CONNECTION ready.' : 'server ready.';
    socket.write(double.greeting ?? `200 ${facts.greeting} Citadel ${kind}\n`);
    if (double.greeting !== null) socket.end();
    else listen(client);
  });

  if (path === 'tcp') server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  const isPath = address === null || typeof address === 'string';

  const double: CitadelDouble = {
    path: isPath ? path : address.address,
    port: isPath ? 0 : address.port,
    messages,
    deleted,
    lobby: new Set(),
    commands: [],
    fault: () => null,
    greeting: null,
    time: 1_342_224_000,
    config: 'citref.example|localhost\n127.0.0.1:2526|smarthost\n',
    post: control,
    put,
    postMail(rendered, bytes) {
      const fields = { I: idFor(highest + 1), A: 'alice', O: facts.sent, R: 'somebody@example.com' };
      const native = bytes === undefined ? {} : { native: bytes };
      return put({ anonymous: 'A', format: 1, fields, text: rendered, rendered, ...native });
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
  return double;
}
