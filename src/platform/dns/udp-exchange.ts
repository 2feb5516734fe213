/**
 * Questions to name servers over UDP. Those that wait for one server at the same time share a socket, because opening one costs more
 * than all else of a question. It is closed when nothing waits any more, and replaced after some questions. It is connected:
 * packets from elsewhere do not come through, and a refusal is noticed.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface ExchangeEvents {
  packet(bytes: Buffer): void;
  failed(): void;
}

/** Questions over one socket. */
const MOST_QUESTIONS = 100;

/** The sockets that take further questions, by server. */
const shared = new Map<NameServer, SharedSocket>();

/** Sends the question and calls for each packet with its id; returns what ends the exchange. */
export function askByUdp(server: NameServer, question: Buffer, events: ExchangeEvents): () => void {
  const id = idOf(question);
  let socket = shared.get(server);
  if (socket?.takes(id) !== true) {
    socket = new SharedSocket(server, (closed) => {
      if (shared.get(server) === closed) shared.delete(server);
    });
    shared.set(server, socket);
  }
  return socket.ask(id, question, events);
}

class SharedSocket {
  readonly #socket;
  readonly #leave: (socket: SharedSocket) => void;
  /** by id of the question */
  readonly #waiting = new Map<number, ExchangeEvents>();
  /** what waits for the socket to be connected; null: it is */
  #unsent: Buffer[] | null = [];
  #asked = 0;
  #isOpen = true;

  /** `leave` is called when no more questions are taken. */
  constructor({ address, port }: NameServer, leave: (socket: SharedSocket) => void) {
    this.#leave = leave;
    this.#socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    this.#socket.on('message', (bytes) => {
      if (bytes.length >= 2) this.#waiting.get(idOf(bytes))?.packet(bytes);
    });
    this.#socket.on('error', () => this.#fail());
    this.#socket.once('connect', () => {
      for (const question of this.#unsent ?? []) this.#send(question);
      this.#unsent = null;
    });
    // Without a callback, which would get the error in place of the listener.
    this.#socket.connect(port, address);
  }

  takes(id: number): boolean {
    return this.#asked < MOST_QUESTIONS && !this.#waiting.has(id);
  }

  ask(id: number, question: Buffer, events: ExchangeEvents): () => void {
    this.#asked++;
    this.#waiting.set(id, events);
    if (this.#unsent === null) this.#send(question);
    else this.#unsent.push(question);
    return () => {
      // What an answer leads to is often the next question.
      if (this.#waiting.delete(id) && this.#waiting.size === 0) setImmediate(() => this.#closeUnused());
    };
  }

  /** A refusal of an earlier question may be told when the next one is sent. */
  #send(question: Buffer): void {
    this.#socket.send(question, this.#sent);
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#fail();
  };

  #fail(): void {
    this.#leave(this);
    for (const { failed } of [...this.#waiting.values()]) failed();
  }

  #closeUnused(): void {
    if (this.#waiting.size > 0 || !this.#isOpen) return;
    this.#isOpen = false;
    this.#leave(this);
    this.#socket.close();
  }
}

/** Its first two bytes (RFC 1035 4.1.1). */
function idOf(packet: Uint8Array): number {
  return ((packet[0] ?? 0) << 8) | (packet[1] ?? 0);
}
