/**
 * One connection to the intake: bytes from a socket become events of the receiver's machine, and its effects become bytes,
 * messages, timers and handshakes. What the client's bytes mean is said by the machine's state alone. Work in one turn of the
 * event loop is bounded, and nothing is read while the client does not read our answers or the disk does not keep up.
 */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { accept, createLineReader, type ServerConnection } from '#net-stream-utils';
import type { Clock, Timer } from '../platform/clock.ts';
import { MovingDeadline } from '../platform/timers.ts';
import { type StuffedPosition, unstuffDots } from '../smtp/dot-stuffing.ts';
import type { LoginThrottle } from './login-throttle.ts';
import { BOUNDS } from './receiver/bounds.ts';
import { readCommand } from './receiver/commands.ts';
import { next } from './receiver/machine.ts';
import {
  beginSession,
  type Policy,
  type Session,
  type SessionEffect,
  type SessionEvent,
} from './receiver/session.ts';
import { STATES, type State } from './receiver/states.ts';
import { replyBytes } from './reply.ts';
import type { Client, IncomingMessage, TransactionHandler } from './transaction-handler.ts';

export interface LoginFailure {
  readonly user: string;
  /** IP address; '' on a unix socket */
  readonly address: string;
  /** of this address, lately */
  readonly failures: number;
  /** false: there were too many failures, and the password was not looked at */
  readonly heard: boolean;
}

export interface ConnectionDeps {
  readonly policy: Policy;
  readonly handler: TransactionHandler;
  readonly clock: Clock;
  readonly authenticate: (user: string, password: string) => boolean;
  readonly throttle: LoginThrottle;
  readonly tls: SecureContext | null;
  loginFailed(failure: LoginFailure): void;
  /** it is gone; what broke it, or null when it was closed */
  closed(connection: IntakeConnection, error: string | null): void;
}

const EMPTY: Buffer = Buffer.alloc(0);

export class IntakeConnection {
  readonly #deps: ConnectionDeps;
  readonly #wire: ServerConnection;
  readonly #client: Client;
  readonly #lines = createLineReader(BOUNDS.line.value);
  #session: Session;
  #state: State;
  /** said and not yet sent: what is said in a row leaves in one system call */
  #replies = '';
  /** read and not yet understood */
  #input = EMPTY;
  /** the client has closed its side */
  #ended = false;
  /** it does not read our answers */
  #clogged = false;
  /** what has to come to its end before more is understood: the disk is slow, or others have their turn */
  #pending = 0;
  #message: IncomingMessage | null = null;
  #position: StuffedPosition = 'line-start';
  /** octets of the chunk still to come */
  #octets = 0;
  /** from when the client was last heard or got its turn */
  readonly #deadline: MovingDeadline;
  /** milliseconds that the client has now; null: no limit */
  #limit: number | null = null;
  #loginTimer: Timer | null = null;
  #stopping = false;
  #error: string | null = null;

  constructor(socket: Socket, id: string, full: boolean, deps: ConnectionDeps) {
    this.#deps = deps;
    this.#session = beginSession(deps.policy);
    this.#state = STATES[this.#session.state];
    this.#deadline = new MovingDeadline(deps.clock, (limit) => {
      // The last limit is over, but we do not wait for the client.
      if (this.#limit === null) return;
      if (this.#pending > 0) this.#deadline.set(limit);
      else this.#told({ type: 'timeout' });
    });
    this.#wire = accept(socket, {
      bytes: (bytes) => this.#read(bytes),
      ended: () => {
        this.#ended = true;
        this.#proceed();
      },
      drained: () => {
        this.#clogged = false;
        this.#proceed();
      },
      secured: () => this.#continue({ type: 'secured' }),
      closed: (error) => {
        this.#error = error;
        this.#told({ type: 'connection-lost' });
      },
    });
    this.#client = { id, address: this.#wire.remoteAddress };
    deps.handler.expect(this.#client, null);
    this.#told({ type: 'connected', full });
  }

  /** The intake shuts down: the connection ends now, or with the message that is being received. */
  stop(): void {
    this.#stopping = true;
    this.#told({ type: 'stop' });
  }

  /** There is no time left for a message that is still being received. */
  stopNow(): void {
    this.#told({ type: 'stop-now' });
  }

  #read(bytes: Buffer): void {
    this.#extendDeadline();
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    this.#proceed();
  }

  /** Understand what has been read, as far as that is possible now; nothing more is read where that is not possible. */
  #proceed(): void {
    let steps = 0;
    while (this.#pending === 0 && !this.#clogged && this.#step()) {
      if (++steps === BOUNDS.linesPerTurn.value) this.#waitFor(new Promise(setImmediate));
    }
    this.#send();
    if (this.#pending > 0 || this.#clogged || this.#state.reads === 'nothing') {
      if (this.#input.length > 0) this.#wire.pause();
    } else if (this.#ended) this.#told({ type: 'client-done' });
    else this.#wire.resume();
  }

  #waitFor(done: Promise<unknown>): void {
    this.#pending++;
    done.then(() => {
      this.#pending--;
      this.#extendDeadline();
      this.#proceed();
    });
  }

  /** One line, or one piece of a message. False: nothing can be done with what has been read. */
  #step(): boolean {
    switch (this.#state.reads) {
      case 'commands':
      case 'responses':
        return this.#input.length > 0 && this.#readLine();
      case 'data':
        return this.#input.length > 0 && this.#readData();
      case 'octets':
        return (this.#input.length > 0 || this.#octets === 0) && this.#readOctets();
      case 'ignored':
        this.#input = EMPTY;
        return false;
      case 'nothing':
        return false;
    }
  }

  #readLine(): boolean {
    const { line, end, overlong } = this.#lines.take(this.#input, 0);
    this.#input = behind(this.#input, end);
    if (line === null) return false;
    if (overlong) this.#happen({ type: 'too-long' });
    else if (this.#state.reads === 'responses') this.#happen({ type: 'response', text: line });
    else {
      const command = readCommand(line);
      const early = this.#input.length > 0;
      this.#happen(command.type === 'STARTTLS' ? { ...command, early } : command);
    }
    return true;
  }

  #readData(): boolean {
    const { pieces, end, position } = unstuffDots(this.#input, this.#position);
    this.#position = position;
    this.#input = end === null ? EMPTY : behind(this.#input, end);
    this.#keep(pieces);
    if (end !== null) this.#happen({ type: 'message-end' });
    return true;
  }

  #readOctets(): boolean {
    const octets = this.#input.subarray(0, this.#octets);
    this.#input = behind(this.#input, octets.length);
    this.#octets -= octets.length;
    this.#keep([octets]);
    if (this.#octets === 0) this.#happen({ type: 'chunk-end' });
    return true;
  }

  /** Bytes of a message; those that belong to none are thrown away. */
  #keep(pieces: readonly Buffer[]): void {
    let written: Promise<void> | null = null;
    for (const piece of pieces) written = this.#message?.add(piece) ?? written;
    if (written !== null) this.#waitFor(written);
  }

  /** Something happened that the client was waiting for. */
  #continue(event: SessionEvent): void {
    this.#extendDeadline();
    this.#happen(event);
    this.#proceed();
  }

  /** Something happened to which it is answered at once. */
  #told(event: SessionEvent): void {
    this.#happen(event);
    this.#send();
  }

  #happen(event: SessionEvent): void {
    const { session, effects } = next(this.#session, event);
    this.#session = session;
    this.#state = STATES[session.state];
    for (const effect of effects) this.#perform(effect);
    this.#watchDeadline();
  }

  #send(): void {
    const replies = this.#replies;
    if (replies === '') return;
    this.#replies = '';
    if (!this.#wire.write(replies)) this.#clogged = true;
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'reply':
        this.#replies += replyBytes(effect.reply);
        break;
      case 'sender':
        this.#deps.handler.expect(this.#client, effect.sender);
        break;
      case 'begin-message':
        this.#position = 'line-start';
        this.#message = this.#deps.handler.begin(this.#client, effect.envelope);
        break;
      case 'read-octets':
        this.#octets = effect.count;
        break;
      case 'end-message':
        this.#message?.finish().then((reply) => this.#continue({ type: 'stored', reply }));
        this.#message = null;
        break;
      case 'abort-message':
        this.#message?.abort();
        this.#message = null;
        break;
      case 'verify':
        this.#verify(effect.user, effect.password);
        break;
      case 'start-tls':
        if (this.#deps.tls === null) throw new Error('STARTTLS was offered without a certificate');
        this.#send();
        this.#wire.startTls(this.#deps.tls);
        break;
      case 'end':
        this.#send();
        this.#wire.end();
        break;
      case 'destroy':
        this.#destroy();
        break;
    }
  }

  #verify(user: string, password: string): void {
    const { throttle, authenticate, clock } = this.#deps;
    const { address } = this.#client;
    const attempt = throttle.attempt(user, address, () => authenticate(user, password));
    if (attempt.kind !== 'accepted')
      this.#deps.loginFailed({ user, address, failures: attempt.failures, heard: attempt.kind === 'failed' });
    const answer = (): void => this.#continue({ type: 'verified', user, result: attempt.kind });
    if (attempt.delay === 0) queueMicrotask(answer);
    else this.#loginTimer = clock.after(attempt.delay, answer);
  }

  #watchDeadline(): void {
    const { deadline } = this.#state;
    const bound = deadline === 'closing' && this.#stopping ? 'stopping' : deadline;
    const limit = bound === null ? null : BOUNDS[bound].value;
    if (limit === this.#limit) return;
    this.#limit = limit;
    if (limit !== null) this.#deadline.set(limit);
  }

  /** What comes while we close is ignored, and so is its time. */
  #extendDeadline(): void {
    if (this.#limit !== null && this.#state.reads !== 'ignored') this.#deadline.set(this.#limit);
  }

  #destroy(): void {
    this.#deadline.cancel();
    this.#loginTimer?.cancel();
    this.#wire.destroy();
    this.#deps.handler.left(this.#client);
    this.#deps.closed(this, this.#error);
  }
}

function behind(bytes: Buffer, end: number): Buffer {
  return end === bytes.length ? EMPTY : bytes.subarray(end);
}
