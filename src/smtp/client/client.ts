/**
 * One SMTP session on one connection: passes what the network does to the session machine and performs the effects that
 * concern the connection. What concerns deliveries goes to the listener. It decides nothing: every decision is a row of
 * smtp/machine/table.ts.
 */
import type { CloseReason, Connection, TlsFacts } from '#net-stream-utils';
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { MovingDeadline } from '../../platform/timers.ts';
import { stuffText } from '../dot-stuffing.ts';
import { mayPipelineNext, next, repliesAllowed } from '../machine/machine.ts';
import type { Session, SessionEffect, SessionEvent } from '../machine/session.ts';
import { beginSession } from '../machine/session.ts';
import type { StateName } from '../machine/states.ts';
import { STATES } from '../machine/states.ts';
import { connectFailure, describeClose, interruptedConnect } from '../network-errors.ts';
import type { Failure } from '../outcome.ts';
import type { PartialReply } from '../reply.ts';
import { NO_LINES, readReplyLine } from '../reply.ts';
import { authCommand, newNonce } from '../sasl.ts';
import type { MessageRequirements, Transaction } from '../transaction.ts';
import { unsupportedRequirement } from '../transaction.ts';
import { streamBody } from './body.ts';
import type { ClientDeps, ClientListener, SessionOptions } from './listener.ts';

const OWED: { readonly [about in 'envelope' | 'message']: ReadonlySet<StateName> } = {
  envelope: new Set(['mail', 'rcpt', 'data', 'drain', 'rset']),
  message: new Set(['dot']),
};

/**
 * `connecting` until the connection is open (and TLS negotiated, where that comes first); `open` while the session may carry
 * transactions; `ending` once QUIT is sent; `closed` when the connection is destroyed. It only ever moves forward.
 */
type Lifecycle = 'connecting' | 'open' | 'ending' | 'closed';

export class SmtpClient {
  readonly options: SessionOptions;
  tlsFacts: TlsFacts | null = null;
  #listener: ClientListener;
  #session: Session;
  readonly #connection: Connection;
  #partial: PartialReply = NO_LINES;
  /** of AUTH in progress */
  #exchange: { readonly challenges: ByteString[]; readonly nonce: string } = { challenges: [], nonce: '' };
  readonly #deadline: MovingDeadline;
  #lifecycle: Lifecycle = 'connecting';
  /** an event is being handled */
  #isBusy = false;
  /** those it causes wait until it is done */
  readonly #events: SessionEvent[] = [];
  #wakeWriter: () => void = () => {};

  /** Connects at once; `listenerFor` is called before any event. */
  constructor(
    options: SessionOptions,
    deps: ClientDeps,
    listenerFor: (client: SmtpClient) => ClientListener,
  ) {
    this.options = options;
    this.#deadline = new MovingDeadline(deps.clock, (milliseconds) => this.#timeout(milliseconds / 1000));
    this.#listener = listenerFor(this);
    this.#session = beginSession(options.policy, options.peer);
    const implicit = options.policy.tls === 'implicit';
    this.#connection = deps.connect(
      options.endpoint,
      {
        connected: () => {
          if (!implicit) this.#connected();
        },
        secured: (facts) => {
          this.tlsFacts = facts;
          if (implicit) this.#connected();
          else this.#handle({ type: 'secured', tls: facts });
        },
        lines: (lines, partial) => this.#read(lines, partial),
        drained: () => this.#wakeWriter(),
        closed: (reason) => this.#closed(reason),
      },
      implicit ? options.tls : undefined,
    );
    this.#deadline.set(options.deadlines.connect);
  }

  get ready(): boolean {
    return this.#lifecycle === 'open' && this.#session.state === 'ready';
  }

  /** transactions completed on this session */
  get transactions(): number {
    return this.#session.transactions;
  }

  /** most transactions the server accepts in one session (RFC 9422); infinite when it gave no limit */
  get mailMax(): number {
    return this.#session.capabilities.mailMax ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Since when the server owes an answer, monotonic milliseconds; null: it does not. `envelope`: the session may be cut off, and
   * no message goes out twice; `message`: about one that it has got whole.
   */
  owesSince(about: 'envelope' | 'message'): number | null {
    const isOwed = this.#lifecycle === 'open' && OWED[about].has(this.#session.state);
    return isOwed ? this.#deadline.setAt : null;
  }

  /** Whether the server takes the parameters of RFC 3461. */
  get takesDsn(): boolean {
    return this.#session.capabilities.dsn;
  }

  /** Whether the server's capabilities allow such a message. */
  supports(requirements: MessageRequirements): boolean {
    return unsupportedRequirement(requirements, this.#session.capabilities) === null;
  }

  /** From now on events go to this listener: an idle session is given to another user. */
  setListener(listener: ClientListener): void {
    this.#listener = listener;
  }

  startTransaction(transaction: Transaction): void {
    this.#handle({ type: 'start-transaction', transaction });
  }

  quit(): void {
    this.#handle({ type: 'quit' });
  }

  /** Closes a session that waits for the reply to QUIT. Any other session is left alone. */
  destroy(): void {
    if (this.#lifecycle === 'ending') this.#destroy();
  }

  /** Ends the session now, in any state; the machine says what that means for the recipients. `text` completes "HOST ...". */
  interrupt(text: ByteString): void {
    if (this.#lifecycle === 'connecting') this.#connectFailed(interruptedConnect(text, this.options.peer));
    else this.#handle({ type: 'connection-lost', text, ours: true });
  }

  #connected(): void {
    this.#lifecycle = 'open';
    this.#listener.connected();
    this.#setStateDeadline();
  }

  #closed(reason: CloseReason): void {
    if (this.#lifecycle === 'connecting') this.#connectFailed(connectFailure(reason, this.options.peer));
    else this.#handle(closeEvent(reason));
  }

  #connectFailed(failure: Failure): void {
    this.#end();
    this.#destroy();
    this.#listener.hostFailed(failure);
  }

  /**
   * A reply that comes before its command is early, however the network cut the bytes into reads. A piece of a reply is no answer
   * yet: the server has its time for the whole.
   */
  #read(lines: readonly ByteString[], partial: boolean): void {
    let allowed = repliesAllowed(this.#session);
    let isAnswer = false;
    for (const line of lines) {
      const step = readReplyLine(this.#partial, line);
      if (step.type === 'more') {
        this.#partial = step.partial;
        continue;
      }
      this.#partial = NO_LINES;
      isAnswer = true;
      if (step.type === 'protocol-error' || allowed-- > 0) this.#take(step);
      else this.#take({ type: 'early-talker', text: line });
      if (this.#session.state === 'closed') return;
    }
    if (partial && allowed <= 0) this.#handle({ type: 'early-talker', text: '' });
    else if (isAnswer) this.#setStateDeadline();
  }

  #handle(event: SessionEvent): void {
    if (this.#take(event)) this.#setStateDeadline();
  }

  /** Run to completion: an effect that causes another event does not nest, the event waits its turn. False: it waits. */
  #take(event: SessionEvent): boolean {
    if (this.#lifecycle === 'closed') return true;
    if (this.#isBusy) {
      this.#events.push(event);
      return false;
    }
    this.#isBusy = true;
    for (let each: SessionEvent | undefined = event; each !== undefined; each = this.#events.shift()) {
      const step = next(this.#session, each);
      this.#session = step.session;
      this.#listener.trace(each, step);
      for (const effect of step.effects) this.#perform(effect);
    }
    this.#isBusy = false;
    return true;
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'write':
        this.#connection.write(effect.bytes);
        return;
      case 'authenticate': {
        if (this.options.credentials === null) throw new Error('AUTH without credentials');
        const { mechanism, challenge } = effect;
        if (challenge === null) this.#exchange = { challenges: [], nonce: newNonce() };
        else this.#exchange.challenges.push(challenge);
        const { challenges, nonce } = this.#exchange;
        const { withoutInitialResponse } = this.#session;
        const login = { ...this.options.credentials, nonce, withoutInitialResponse };
        const line = authCommand(mechanism, challenges, login);
        this.#connection.write(`${line}\r\n`);
        return;
      }
      case 'start-tls':
        this.#connection.startTls(this.options.tls);
        return;
      case 'send-body':
        this.#sendBody(this.#listener.body(effect.transaction), effect);
        return;
      case 'convert-message':
        this.#listener.convertMessage(effect.transaction);
        return;
      case 'outcome':
        this.#listener.outcome(effect.transaction, effect.recipients, effect.outcome);
        return;
      case 'transaction-done':
        this.#listener.transactionDone(effect.transaction);
        return;
      case 'requeue':
        this.#listener.requeue(effect.transaction);
        return;
      case 'host-failed':
        this.#listener.hostFailed(effect.failure);
        return;
      case 'tls-unusable':
        this.#listener.tlsUnusable(effect.failure);
        return;
      case 'extension-refused':
        this.#listener.extensionRefused(effect.extension, effect.failure);
        return;
      case 'mechanisms-refused':
        this.#listener.mechanismsRefused?.(effect.mechanisms);
        return;
      case 'ready':
        this.#listener.ready();
        return;
      case 'end':
        this.#connection.end();
        this.#end();
        return;
      case 'destroy':
        this.#end();
        this.#destroy();
        return;
    }
  }

  /** A small message goes out in one write with the end of data and the next envelope. */
  #sendBody(message: OutgoingMessage, { transaction, stuffed }: SendBody): void {
    if (message.text === null) {
      void this.#streamBody(message, { transaction, stuffed });
      return;
    }
    if (!this.#mayEnd(transaction)) return;
    this.#connection.write(stuffed ? stuffText(message.text) : message.text);
    this.#bodySent();
  }

  /** The last piece ends the message, with or without a dot after it (RFC 3030), so each one is asked for. */
  #mayEnd(transaction: number): boolean {
    if (this.#listener.mayEnd?.(transaction) !== false) return true;
    this.#handle({ type: 'payload-error', text: 'another process may have the message now' });
    return false;
  }

  async #streamBody(message: OutgoingMessage, { transaction, stuffed }: SendBody): Promise<void> {
    const mayGoOn = (): boolean => this.#session.state === 'body' && this.#mayEnd(transaction);
    const write = (bytes: Buffer): Promise<void> | null => {
      const more = this.#connection.write(bytes);
      this.#setStateDeadline();
      return more ? null : new Promise((wake) => (this.#wakeWriter = wake));
    };
    const problem = await streamBody(message, stuffed, { mayGoOn, write });
    if (problem !== null) this.#handle({ type: 'payload-error', text: problem });
    else if (mayGoOn()) this.#bodySent();
  }

  #bodySent(): void {
    if (this.#session.state !== 'body') return;
    this.#handle({
      type: 'body-sent',
      pipelined: mayPipelineNext(this.#session) ? this.#listener.nextTransaction() : null,
    });
  }

  #setStateDeadline(): void {
    if (this.#lifecycle === 'closed') return;
    const { deadline } = STATES[this.#session.state];
    if (deadline !== null) this.#deadline.set(this.options.deadlines[deadline]);
  }

  #timeout(seconds: number): void {
    if (this.#lifecycle === 'connecting')
      this.#closed({ kind: 'error', code: 'ETIMEDOUT', message: `no answer in ${seconds} seconds` });
    else if (this.#session.state === 'ready') this.quit();
    else this.#handle({ type: 'timeout', seconds });
  }

  #destroy(): void {
    if (this.#lifecycle === 'closed') return;
    this.#lifecycle = 'closed';
    this.#deadline.cancel();
    this.#connection.destroy();
    this.#wakeWriter();
    this.#listener.closed();
  }

  #end(): void {
    if (this.#lifecycle === 'ending' || this.#lifecycle === 'closed') return;
    this.#lifecycle = 'ending';
    this.#listener.ended();
  }
}

type SendBody = Pick<Extract<SessionEffect, { type: 'send-body' }>, 'transaction' | 'stuffed'>;

function closeEvent(reason: CloseReason): SessionEvent {
  const text = describeClose(reason);
  if (reason.kind !== 'tls') return { type: 'connection-lost', text };
  return { type: 'tls-failed', text, ...(reason.code === undefined ? {} : { code: reason.code }) };
}
