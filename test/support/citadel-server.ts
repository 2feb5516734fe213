/**
 * A Citadel server's queue room behind a unix socket: the commands the live room uses, in the bytes of three eras. How
 * far it is right is tested against recorded sessions (test/room/citadel/double.test.ts). It keeps its messages between
 * connections, forgets nothing it was not told to, and can be made to fail at any command.
 */
import { once } from 'node:events';
import * as net from 'node:net';

export type Era = '2012' | '2016' | '2023';

export interface StoredDouble {
  /** MSG3, in the eras that have it */
  readonly native: string | null;
  /** the whole text of a delivery list, without its header line; null for mail */
  readonly list: string | null;
  /** MSG2 as sent, with CRLF */
  readonly rendered: string;
}

/** What happens instead of, or after, a command. */
export type Fault =
  /** the connection breaks before the command does anything */
  | 'lost-before'
  /** the command is done, and the connection breaks before its answer */
  | 'lost-after'
  | { readonly answer: string };

export interface CitadelDouble {
  readonly path: string;
  readonly messages: Map<number, StoredDouble>;
  /** MSG3 hands these out as well */
  readonly deleted: Map<number, StoredDouble>;
  /** all commands so far, of all connections; passwords blanked */
  readonly commands: string[];
  /** called before each command; null: nothing unusual */
  fault: (line: string) => Fault | null;
  /** said instead of the greeting, when not null */
  greeting: string | null;
  /** unix seconds */
  time: number;
  /** the lines of the relay table */
  config: string;
  /** puts a delivery list into the room, as the server itself does; gives its number */
  post(list: string): number;
  postMail(rendered: string, native?: string): number;
  close(): Promise<void>;
}

interface Facts {
  readonly greeting: string;
  readonly hasNative: boolean;
  readonly hasKeys: boolean;
}

const ERAS: Readonly<Record<Era, Facts>> = {
  '2012': { greeting: 'citref', hasNative: true, hasKeys: false },
  '2016': { greeting: 'citref', hasNative: true, hasKeys: true },
  '2023': { greeting: 'citref.example', hasNative: false, hasKeys: true },
};

const ROOM = '__CitadelSMTPspoolout__';
const HEADER = 'Content-type: application/x-citadel-delivery-list\n\n';
const NOT_SPOKEN = '530 Unrecognized or unsupported command.\n';

export interface DoubleOptions {
  readonly era: Era;
  /** whether the socket is citadel-admin.socket */
  readonly admin?: boolean;
  readonly highest?: number;
}

interface Client {
  user: string | null;
  level: number;
  inRoom: boolean;
  /** collects a text until its line `000`; then this is called */
  taking: ((text: string) => string) | null;
  text: string;
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

function mailDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString().replace('GMT', '-0000');
}

export async function startCitadel(path: string, options: DoubleOptions): Promise<CitadelDouble> {
  const facts = ERAS[options.era];
  const admin = options.admin ?? true;
  const messages = new Map<number, StoredDouble>();
  const deleted = new Map<number, StoredDouble>();
  let highest = options.highest ?? 0;
  const sockets = new Set<net.Socket>();

  function posted(number: number, text: string, subject: string, format: number): StoredDouble {
    const id = `${hex(double.time)}-${hex(number)}@citref.example`;
    const list = format === 4 && text.startsWith(HEADER) ? text.slice(HEADER.length) : null;
    const fields: Readonly<Record<string, string>> = {
      I: id,
      P: 'admin',
      T: String(double.time),
      A: 'admin',
      F: 'admin@citref.example',
      O: ROOM,
      N: 'citref',
      H: 'Citadel Server',
      U: subject,
    };
    const native = Object.entries(fields).filter(([, value]) => value !== '');
    return {
      list,
      native: facts.hasNative
        ? `\xffA${String.fromCharCode(format)}${native.map(([letter, value]) => `${letter}${value}\0`).join('')}M${text}\0`
        : null,
      rendered:
        `Return-Path: admin\r\nDate: ${mailDate(double.time)}\r\nSubject: ${subject || '(no subject)'}\r\n` +
        `Message-ID: <${id}>\r\nFrom: "admin" <admin@citref.example>\r\n${format === 4 ? '' : '\r\n'}${text.replaceAll('\n', '\r\n')}`,
    };
  }

  function goto(client: Client, room: string): string {
    if (!admin && client.user === null) return '520 Not logged in.\n';
    if (room !== ROOM || (!admin && client.level < 6)) return `572 room '${room}' not found\n`;
    client.inRoom = true;
    const newest = Math.max(0, ...messages.keys());
    const count = messages.size;
    return `200 ${ROOM}|${count}|${count}|0|6|${newest}|0|0|${client.level >= 6 ? 1 : 0}|0|0|11|11|0|1|${double.time}|\n`;
  }

  function post(client: Client, [mode, , , format, subject = '', , confirm]: readonly string[]): string {
    if (client.user === null) return '520 Not logged in.\n';
    if (mode !== '1') return '512 Not spoken by this double.\n';
    client.taking = (text) => {
      const number = ++highest;
      const message = posted(number, text.replaceAll('\r\n', '\n'), subject, Number(format));
      // Else it lands in the room the user is in.
      if (client.inRoom) messages.set(number, message);
      return confirm === '1' ? `${number}\nMessage accepted.\n\n000\n` : '';
    };
    return confirm === '1' ? '800 send message\n' : '400 send message\n';
  }

  function remove(client: Client, list: string): string {
    if (!admin && client.level < 6) return '550 Higher access required.\n';
    let count = 0;
    for (const number of list.split(',').map(Number)) {
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
    const bytes = (messages.get(number) ?? deleted.get(number))?.native;
    return typeof bytes === 'string' ? `600 ${bytes.length}\n${bytes}` : `550 ${number}: no such message\n`;
  }

  function part(number: number): string {
    const message = messages.get(number);
    if (message === undefined) return `550 message ${number} was not found in this room\n`;
    if (message.list === null) return '512 This is not a MIME message.\n';
    return `600 ${message.list.length}|-1||application/x-citadel-delivery-list|\n${message.list}`;
  }

  function configuration(client: Client, [what = '', key = '']: readonly string[]): string {
    if (!admin && client.level < 6)
      return `550 This command requires ${options.era === '2023' ? 'Admin' : 'Aide'} access.\n`;
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
      case 'USER':
        client.user = null;
        return rest in USERS ? `300 Password required for ${rest}\n` : `570 ${rest} not found.\n`;
      case 'PASS':
        return login(client, rest);
      case 'GOTO':
        return goto(client, rest);
      case 'MSGS':
        if (!admin && client.user === null) return '520 Not logged in.\n';
        return `100  \n${[...messages.keys()].map((each) => `${each}\n`).join('')}000\n`;
      case 'MSG2': {
        if (!admin && client.user === null) return '520 Not logged in.\n';
        const message = messages.get(number);
        if (message === undefined) return `550 message ${number} was not found in this room\n`;
        return `100 msg:\n${message.rendered}000\n`;
      }
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
  function take(socket: net.Socket, client: Client, line: string): void {
    if (client.taking !== null) {
      if (line !== '000') client.text += `${line}\n`;
      else {
        const done = client.taking;
        client.taking = null;
        const fault = double.fault('(text)');
        if (fault === 'lost-before') return void socket.destroy();
        const said = done(client.text);
        if (fault === 'lost-after') return void socket.destroy();
        socket.write(said, 'latin1');
      }
      return;
    }
    client.text = '';
    double.commands.push(line.startsWith('PASS') ? 'PASS' : line);
    const fault = double.fault(line);
    if (fault === 'lost-before') return void socket.destroy();
    const said = typeof fault === 'object' && fault !== null ? fault.answer : answer(client, line);
    if (fault === 'lost-after') return void socket.destroy();
    socket.write(said, 'latin1');
    if (line === 'QUIT') socket.end();
  }

  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    const client: Client = { user: null, level: 0, inRoom: false, taking: null, text: '' };
    const kind = admin ? 'server ADMIN CONNECTION ready.' : 'server ready.';
    socket.write(double.greeting ?? `200 ${facts.greeting} Citadel ${kind}\n`);
    if (double.greeting !== null) {
      socket.end();
      return;
    }
    let rest = '';
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (!socket.destroyed) take(socket, client, line);
    });
  });

  const double: CitadelDouble = {
    path,
    messages,
    deleted,
    commands: [],
    fault: () => null,
    greeting: null,
    time: 1_342_224_000,
    config: 'citref.example|localhost\n127.0.0.1:2526|smarthost\n',
    post(list) {
      const number = ++highest;
      messages.set(number, posted(number, HEADER + list, 'QMSG', 4));
      return number;
    },
    postMail(rendered, bytes) {
      messages.set(++highest, { list: null, rendered, native: bytes ?? null });
      return highest;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
  server.listen(path);
  await once(server, 'listening');
  return double;
}
