/**
 * One connection to a Citadel server: greeting, TLS where the connection leaves this machine, login, and then one command
 * after the other. Repeats nothing by itself: only the caller knows whether a command may be sent twice.
 */
import type { CloseReason, Connect, Connection, Endpoint, TlsOptions } from '#net-stream-utils';
import type { ByteString } from '../../../platform/bytes.ts';
import type { Clock, Random, Timer } from '../../../platform/clock.ts';
import { describeError, QueueError, UnavailableError } from '../../../platform/system-errors.ts';
import { randomHex } from '../../../storage/queue-id.ts';
import type { Login } from './login.ts';
import {
  accessLevel,
  COMMANDS,
  createDecoder,
  isAbsence,
  isOneLine,
  isSendable,
  isTemporary,
  type ProtocolToken,
} from './protocol.ts';

export interface ServerAddress {
  /** a unix socket's path (`citadel-admin.socket`) or an IP address */
  readonly endpoint: Endpoint;
  /** how to protect the connection by STLS; null only for this machine's own sockets */
  readonly tls: TlsOptions | null;
}

export interface SessionDeps {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
}

export interface CommandResult {
  readonly code: number;
  /** behind the code */
  readonly text: ByteString;
  /** listing or binary, line ends as sent; '' when a sink took it */
  readonly body: ByteString;
}

export interface Command {
  /** without its line end */
  readonly line: ByteString;
  /** sent when the server asks for it; ends in a line end, holds no line `000` */
  readonly text?: ByteString;
  /** takes the answer's body in pieces, each valid only during the call */
  readonly sink?: (bytes: Buffer, status: ByteString) => void;
  /** the answer is a listing of text that users wrote: an ECHO marks its end */
  readonly guarded?: true;
}

/** There is no connection to the server, or it was lost; the command may have been carried out or not. */
export class ConnectionLost extends UnavailableError {}

/** The server accepts no session at the moment, but may in a minute. */
export class ServerBusy extends UnavailableError {}

/** An administrator has to make the queue room. */
export class QueueRoomMissing extends QueueError {
  readonly what: string;
  /** a sentence */
  readonly remedy =
    'Start the server once with its own SMTP module, which makes the room, and then as it was built for spoolroom again.';

  constructor(what: string) {
    super();
    this.what = what;
    this.message = `${what} No message is delivered. ${this.remedy}`;
  }
}

/** Milliseconds without a byte after which the server counts as gone. */
const SILENCE = 60_000;
/** Bytes of an answer without a sink. */
const LONGEST_BODY = 268_435_456;
const ADMIN = 6;
const CLOSED = 'it was closed';
/** a unix socket's path, or a loopback address */
const THIS_MACHINE = /^(?:\/|127\.|::1$)/;

interface Waiting {
  readonly command: Command | null;
  readonly resolve: (answer: CommandResult) => void;
  readonly reject: (error: Error) => void;
  status: { readonly code: number; readonly text: ByteString } | null;
  readonly body: Buffer[];
  size: number;
  /** what the sink threw; the rest of the answer is read and dropped, so that the session stays usable */
  refusal: Error | null;
}

function lostReason(reason: CloseReason): string {
  switch (reason.kind) {
    case 'ended':
      return 'it closed the connection';
    case 'overlong':
      return 'it sent a line without an end';
    case 'error':
      return describeError(Object.assign(new Error(reason.message), { code: reason.code }));
    case 'tls':
      return reason.message;
  }
}

/** For people: a path, or an address with its port. */
export function serverName({ endpoint: { address, port } }: ServerAddress): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export class CitadelSession {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #decoder = createDecoder();
  readonly #connection: Connection;
  #waiting: Waiting | null = null;
  #secured: (() => void) | null = null;
  #lost: ConnectionLost | null = null;
  #timer: Timer;

  private constructor(address: ServerAddress, deps: SessionDeps) {
    this.#name = serverName(address);
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#timer = this.#silence();
    this.#connection = deps.connect(address.endpoint, {
      connected: () => {},
      lines: () => {},
      bytes: (bytes) => this.#read(bytes),
      drained: () => {},
      secured: () => this.#secured?.(),
      closed: (reason) => this.#end(lostReason(reason)),
    });
  }

  /** Connect, log in and go to the queue room. Rejects with a sentence for people. */
  static async open(address: ServerAddress, login: Login, deps: SessionDeps): Promise<CitadelSession> {
    const session = new CitadelSession(address, deps);
    try {
      await session.#begin(address, login);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** One command and its answer, whatever its code. Commands go one after the other; the caller sees to that. */
  ask(command: Command): Promise<CommandResult> {
    if (!isOneLine(command.line) || (command.text !== undefined && !isSendable(command.text)))
      throw new Error('a command that would end before its end');
    return this.#exchange(command, () => this.#connection.write(this.#encode(command)));
  }

  #encode({ line, guarded }: Command): string {
    if (guarded === undefined) return `${line}\n`;
    const word = randomHex(this.#random, 2);
    this.#decoder.guard(word);
    return `${line}\nECHO ${word}\n`;
  }

  close(): void {
    if (this.#lost === null) this.#connection.write(`${COMMANDS.quit}\n`);
    this.#connection.end();
    this.#end(CLOSED);
  }

  async #begin({ endpoint, tls }: ServerAddress, { user, password }: Login): Promise<void> {
    if (tls === null && !THIS_MACHINE.test(endpoint.address))
      throw this.#unusable('the password would be sent to another machine without TLS');
    const greeting = await this.#exchange(null, () => {});
    if (greeting.code > 200 && greeting.code < 300)
      throw this.#unusable(`it is not a Citadel server; its greeting is ${greeting.code} ${greeting.text}`);
    this.#expect(greeting, 200, 'it does not accept connections');
    if (tls !== null) await this.#startTls(tls);
    this.#expect(await this.ask({ line: COMMANDS.user(user) }), 300, `it does not know the user ${user}`);
    const level = this.#expect(
      await this.ask({ line: COMMANDS.password(password) }),
      200,
      `it refused the password of the user ${user}`,
    );
    if (accessLevel(level.text) < ADMIN)
      throw this.#unusable(`the user ${user} is not an admin there and may not enter the queue room`);
    const room = await this.ask({ line: COMMANDS.goto });
    if (isAbsence(room.code))
      throw new QueueRoomMissing(
        `The Citadel server at ${this.#name} has no queue room (${room.code} ${room.text}).`,
      );
    this.#expect(room, 200, 'it does not open its queue room');
  }

  async #startTls(tls: TlsOptions): Promise<void> {
    this.#expect(await this.ask({ line: COMMANDS.startTls }), 200, 'it does not offer TLS');
    // An attacker on the network must not be able to inject the beginning of an answer before TLS starts.
    if (!this.#decoder.isClear()) this.#end('it sent clear text instead of the TLS handshake');
    if (this.#lost !== null) throw this.#lost;
    await new Promise<void>((resolve, reject) => {
      this.#secured = resolve;
      this.#waiting = waitingFor(null, () => {}, reject);
      this.#rearm();
      this.#connection.startTls(tls);
    });
    this.#waiting = null;
  }

  #expect(answer: CommandResult, code: number, otherwise: string): CommandResult {
    if (Math.floor(answer.code / 100) === Math.floor(code / 100)) return answer;
    throw this.#unusable(
      `${otherwise} (${answer.code} ${answer.text})`,
      isTemporary(answer.code) ? ServerBusy : QueueError,
    );
  }

  #unusable(reason: string, ErrorClass = QueueError): QueueError {
    return new ErrorClass(
      `The Citadel server at ${this.#name} cannot be used: ${reason}. Its messages stay in its queue.`,
    );
  }

  #exchange(command: Command | null, start: () => void): Promise<CommandResult> {
    if (this.#waiting !== null) throw new Error('a command before the answer to the last one');
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) {
        reject(this.#lost);
        return;
      }
      this.#waiting = waitingFor(command, resolve, reject);
      this.#rearm();
      start();
    });
  }

  #silence(): Timer {
    return this.#clock.after(SILENCE, () => this.#end(`it sent nothing for ${SILENCE / 1000} seconds`));
  }

  #rearm(): void {
    this.#timer.cancel();
    this.#timer = this.#silence();
  }

  #read(bytes: Buffer): void {
    // The answer to QUIT is ignored, and starts no timer.
    if (this.#lost !== null) return;
    this.#rearm();
    for (const token of this.#decoder.feed(bytes)) this.#token(token);
  }

  #token(token: ProtocolToken): void {
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#end('it sent an answer without a command');
      return;
    }
    switch (token.kind) {
      case 'broken':
        this.#end(`it sent ${token.reason}`);
        return;
      case 'status':
        waiting.status = token;
        this.#sendText(waiting, token.code);
        return;
      case 'data':
        this.#take(waiting, token.bytes);
        return;
      case 'end':
        this.#answer(waiting);
    }
  }

  /** Codes 4xx and 8xx ask for the text. */
  #sendText({ command }: Waiting, code: number): void {
    if (code < 400 || (code >= 500 && code < 800)) return;
    this.#connection.write(`${command?.text ?? ''}000\n`);
  }

  #take(waiting: Waiting, bytes: Buffer): void {
    const { command, status } = waiting;
    if (command?.sink !== undefined) {
      if (waiting.refusal === null) waiting.refusal = refusalOf(command.sink, bytes, status?.text ?? '');
      return;
    }
    waiting.size += bytes.length;
    if (waiting.size > LONGEST_BODY) this.#end('it sent an answer without an end');
    else waiting.body.push(Buffer.from(bytes));
  }

  #answer({ status, body, resolve, reject, refusal }: Waiting): void {
    this.#waiting = null;
    this.#timer.cancel();
    if (refusal !== null) {
      reject(refusal);
      return;
    }
    resolve({
      code: status?.code ?? 0,
      text: status?.text ?? '',
      body: Buffer.concat(body).toString('latin1'),
    });
  }

  #end(reason: string): void {
    if (this.#lost !== null) return;
    this.#lost = new ConnectionLost(
      `The connection to the Citadel server at ${this.#name} is lost: ${reason}. Its messages stay in its queue.`,
    );
    this.#timer.cancel();
    if (reason !== CLOSED) this.#connection.destroy();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(this.#lost);
  }
}

function waitingFor(
  command: Command | null,
  resolve: Waiting['resolve'],
  reject: Waiting['reject'],
): Waiting {
  return { command, resolve, reject, status: null, body: [], size: 0, refusal: null };
}

function refusalOf(sink: NonNullable<Command['sink']>, bytes: Buffer, status: ByteString): Error | null {
  try {
    sink(bytes, status);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
