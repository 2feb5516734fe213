/**
 * A server that does exactly what the script of a test says, byte by byte: for peers that split their replies, close,
 * reset, stay silent or send unsolicited replies. The script is an async function, called once for each connection; when it
 * returns the connection stays open and silent. `close()` rejects with the first failure of a script, so that a test fails
 * if the client sends something unexpected.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ServerCertificate } from './certificates.ts';

export interface RawPeer {
  readonly clientAddress: string;
  /** Sends the text (one character per byte); an array is sent in separate segments, one read each at the client. */
  say(text: string | readonly string[]): Promise<void>;
  /** The next line without its CRLF, or null when the client has ended. */
  line(): Promise<string | null>;
  /** The next line must be this, or match it. */
  expect(line: string | RegExp): Promise<string>;
  /** Everything up to and including this text. */
  until(text: string): Promise<string>;
  /** Resolves when the client has closed or reset the connection. */
  gone(): Promise<void>;
  /** Continues in TLS; rejects when the handshake fails. */
  startTls(certificate: ServerCertificate): Promise<{ readonly servername: string | false }>;
  /** Ends our side. */
  end(): void;
  /** Closes with a TCP reset, after the client has read what was sent. */
  reset(): Promise<void>;
}

export interface RawServer {
  readonly host: string;
  readonly port: number;
  /** connections so far */
  readonly connections: number;
  /** what each read returned, of all connections, in order */
  readonly reads: readonly string[];
  /** Drops all connections. Rejects when a script has failed. */
  close(): Promise<void>;
}

export type Script = (peer: RawPeer, connection: number) => Promise<void> | void;

export type Listen = { readonly host?: string; readonly port?: number } | { readonly path: string };

/**
 * Long enough for the other end, in the same process, to read what was written before. Never after a write: a
 * script must be able to continue with TLS before the client's handshake comes in.
 */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}

export async function startRawServer(script: Script, listen: Listen = {}): Promise<RawServer> {
  const sockets = new Set<net.Socket>();
  const reads: string[] = [];
  const failures: unknown[] = [];
  let connections = 0;

  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const peer = createPeer(socket, (text) => reads.push(text));
    const run = async () => script(peer, ++connections);
    run().catch((error) => {
      failures.push(error);
      socket.destroy();
    });
  });
  server.listen('path' in listen ? listen : { host: '127.0.0.1', port: 0, ...listen });
  await once(server, 'listening');
  const address = server.address();

  return {
    host: typeof address === 'string' ? address : (address?.address ?? ''),
    port: typeof address === 'string' ? 0 : (address?.port ?? 0),
    get connections() {
      return connections;
    },
    reads,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
      if (failures.length > 0) throw failures[0];
    },
  };
}

function createPeer(plain: net.Socket, read: (text: string) => void): RawPeer {
  let socket = plain;
  let received = '';
  let over = false;
  let wake = () => {};

  function listen(to: net.Socket): void {
    const end = () => {
      over = true;
      wake();
    };
    to.on('error', end).on('end', end).on('close', end);
    to.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      read(text);
      received += text;
      wake();
    });
  }
  listen(plain);

  function change(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
    });
  }

  async function upTo(end: string): Promise<string | null> {
    while (!received.includes(end)) {
      if (over) return null;
      await change();
    }
    const length = received.indexOf(end) + end.length;
    const text = received.slice(0, length);
    received = received.slice(length);
    return text;
  }

  async function line(): Promise<string | null> {
    return (await upTo('\r\n'))?.slice(0, -2) ?? null;
  }

  return {
    clientAddress: plain.remoteAddress ?? '',
    line,
    async say(text) {
      for (const piece of typeof text === 'string' ? [text] : text) {
        await turns();
        socket.write(piece, 'latin1');
      }
    },
    async expect(expected) {
      const got = await line();
      if (got === null) assert.fail(`expected ${expected}, but the client has gone`);
      if (typeof expected === 'string') assert.equal(got, expected);
      else assert.match(got, expected);
      return got;
    },
    async until(text) {
      return (await upTo(text)) ?? assert.fail(`the client has gone before ${JSON.stringify(text)}`);
    },
    async gone() {
      while (!over) await change();
    },
    async startTls({ cert, key }) {
      plain.removeAllListeners('data');
      const secured = new TLSSocket(plain, { isServer: true, cert, key });
      socket = secured;
      listen(secured);
      await once(secured, 'secure');
      return { servername: servernameOf(secured) };
    },
    end: () => void socket.end(),
    async reset() {
      await turns();
      plain.resetAndDestroy();
    },
  };
}

/** What the client asked for by SNI; Node's types leave the field out. */
function servernameOf(socket: TLSSocket): string | false {
  const { servername } = socket as TLSSocket & { readonly servername?: string | false | null };
  return servername ?? false;
}
