/**
 * One session on one connection: feeds the session machine with what the network does and performs the effects
 * that concern the connection. Whatever concerns deliveries goes to the listener, which is the dispatcher's slot.
 * It decides nothing: every decision is a row of smtp/machine/table.ts.
 */
import type { CloseReason, Connect, Connection, Endpoint, TlsFacts, TlsOptions } from '#net-stream-utils';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { Credentials } from '../routing/hosts.ts';
import { stuffDots } from './dot-stuffing.ts';
import { mayChain, next, repliesAllowed } from './machine/machine.ts';
import type { Session, SessionEffect, SessionEvent, SessionPolicy, Step } from './machine/session.ts';
import { beginSession } from './machine/session.ts';
import type { Deadline } from './machine/states.ts';
import { STATES } from './machine/states.ts';
import { connectFailure, describeClose } from './network-errors.ts';
import type { Failure, Outcome, Peer } from './outcome.ts';
import type { PartialReply } from './reply.ts';
import { NO_LINES, readReplyLine } from './reply.ts';
import { authCommand } from './sasl.ts';
import type { MessageRequirements, Transaction } from './transaction.ts';
import { unsupportedRequirement } from './transaction.ts';

export interface SessionOptions {
  /** names it in transcripts */
  readonly number: number;
  readonly endpoint: Endpoint;
  readonly peer: Peer;
  readonly policy: SessionPolicy;
  readonly credentials: Credentials | null;
  readonly tls: TlsOptions;
  /** milliseconds for each state, and for the connect */
  readonly deadlines: { readonly [name in Deadline | 'connect']: number };
}

export interface ClientListener {
  /** the connection stands, the greeting is to come */
  connected(): void;
  /** idle, and willing to take a transaction */
  ready(): void;
  body(transaction: number): OutgoingMessage;
  /** the transaction whose envelope is to travel with the end of this message, if there is one */
  nextTransaction(): Transaction | null;
  outcome(transaction: number, recipients: readonly number[], verdict: Outcome): void;
  transactionDone(transaction: number): void;
  requeue(transaction: number): void;
  hostFailed(failure: Failure): void;
  tlsUnusable(failure: Failure): void;
  /** nothing more comes from this session; its place is free (QUIT may still be on its way) */
  ended(): void;
  /** the connection is closed */
  closed(): void;
  /** every step of the machine, for transcripts */
  trace(event: SessionEvent, step: Step): void;
}

export interface ClientDeps {
  readonly connect: Connect;
  readonly clock: Clock;
}

export class SmtpClient {
  readonly plan: SessionOptions;
  tlsFacts: TlsFacts | null = null;
  readonly #ports: ClientDeps;
  #listener: ClientListener;
  #session: Session;
  readonly #connection: Connection;
  #partial: PartialReply = NO_LINES;
  #deadline: Timer | null = null;
  #opening = true;
  #over = false;
  #gone = false;
  #handling = false;
  readonly #events: SessionEvent[] = [];
  #wakeWriter: () => void = () => {};

  /** Connects at once; `listenerFor` is called before anything can happen. */
  constructor(plan: SessionOptions, ports: ClientDeps, listenerFor: (driver: SmtpClient) => ClientListener) {
    this.plan = plan;
    this.#ports = ports;
    this.#listener = listenerFor(this);
    this.#session = beginSession(plan.policy, plan.peer);
    const implicit = plan.policy.tls === 'implicit';
    this.#connection = ports.connect(
      plan.endpoint,
      {
        connected: () => {
          if (!implicit) this.#opened();
        },
        secured: (facts) => {
          this.tlsFacts = facts;
          if (implicit) this.#opened();
          else this.#handle({ type: 'secured' });
        },
        lines: (lines, partial) => this.#read(lines, partial),
        drained: () => this.#wakeWriter(),
        closed: (reason) => this.#closed(reason),
      },
      implicit ? plan.tls : undefined,
    );
    this.#arm(plan.deadlines.connect);
  }

  get ready(): boolean {
    return !this.#over && !this.#opening && this.#session.state === 'ready';
  }

  /** transactions ended here */
  get transactions(): number {
    return this.#session.transactions;
  }

  /** most transactions the peer takes in one session (RFC 9422), if it said so */
  get mailMax(): number {
    return this.#session.capabilities.mailMax ?? Number.POSITIVE_INFINITY;
  }

  /** Whether nothing the peer said of itself keeps it from taking such a message. */
  supports(demands: MessageRequirements): boolean {
    return unsupportedRequirement(demands, this.#session.capabilities) === null;
  }

  /** An idle session changes hands. */
  setListener(listener: ClientListener): void {
    this.#listener = listener;
  }

  startTransaction(transaction: Transaction): void {
    this.#handle({ type: 'offer', transaction });
  }

  quit(): void {
    this.#handle({ type: 'leave' });
  }

  /** Drop a session that is taking leave: its place is needed. */
  destroy(): void {
    if (this.#over) this.#destroy();
  }

  /** End now, whatever the state; the machine says what that means for the recipients. */
  interrupt(text: ByteString): void {
    if (this.#opening) this.#failOpening(text);
    else this.#handle({ type: 'lost', text });
  }

  #opened(): void {
    this.#opening = false;
    this.#listener.connected();
    this.#armForState();
  }

  #closed(reason: CloseReason): void {
    if (this.#opening) this.#failOpening(describeClose(reason), reason.kind === 'tls' ? '4.7.5' : '4.4.1');
    else this.#handle({ type: reason.kind === 'tls' ? 'tls-failed' : 'lost', text: describeClose(reason) });
  }

  #failOpening(text: string, enhanced?: string): void {
    this.#end();
    this.#destroy();
    this.#listener.hostFailed(connectFailure(text, this.plan.peer, enhanced));
  }

  /** Replies that came before the command they seem to answer are early, however they were cut into reads. */
  #read(lines: readonly ByteString[], partial: boolean): void {
    let allowed = repliesAllowed(this.#session);
    for (const line of lines) {
      const step = readReplyLine(this.#partial, line);
      this.#partial = step.kind === 'more' ? step.partial : NO_LINES;
      if (step.kind === 'more') continue;
      if (step.kind === 'garbage') this.#handle({ type: 'garbage', text: step.line });
      else if (allowed-- > 0) this.#handle({ type: 'reply', reply: step.reply });
      else this.#handle({ type: 'early', text: line });
      if (this.#session.state === 'closed') return;
    }
    if (partial && allowed <= 0) this.#handle({ type: 'early', text: '' });
  }

  /** Events wait for each other, so that an effect may cause the next event without nesting. */
  #handle(event: SessionEvent): void {
    if (this.#gone) return;
    this.#events.push(event);
    if (this.#handling) return;
    this.#handling = true;
    for (let each = this.#events.shift(); each !== undefined; each = this.#events.shift()) {
      const step = next(this.#session, each);
      this.#session = step.session;
      this.#listener.trace(each, step);
      for (const effect of step.effects) this.#perform(effect);
      if (!this.#gone) this.#armForState();
    }
    this.#handling = false;
  }

  #perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'write':
        this.#connection.write(effect.bytes);
        return;
      case 'authenticate': {
        if (this.plan.credentials === null) throw new Error('AUTH without credentials');
        const { mechanism, step, challenge } = effect;
        this.#connection.write(`${authCommand(mechanism, step, challenge, this.plan.credentials)}\r\n`);
        return;
      }
      case 'start-tls':
        this.#connection.startTls(this.plan.tls);
        return;
      case 'send-body':
        this.#sendBody(this.#listener.body(effect.transaction), effect.stuffed);
        return;
      case 'verdict':
        this.#listener.outcome(effect.transaction, effect.recipients, effect.verdict);
        return;
      case 'transaction-done':
        this.#listener.transactionDone(effect.transaction);
        return;
      case 'hand-back':
        this.#listener.requeue(effect.transaction);
        return;
      case 'host-failed':
        this.#listener.hostFailed(effect.failure);
        return;
      case 'tls-unusable':
        this.#listener.tlsUnusable(effect.failure);
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

  /** A small message leaves in the same write as its end and the next envelope. */
  #sendBody(message: OutgoingMessage, stuffed: boolean): void {
    if (message.bytes === null) {
      void this.#streamBody(message, stuffed);
      return;
    }
    this.#connection.write(stuffed ? stuffDots(message.bytes, 'line-start').bytes : message.bytes);
    this.#bodySent();
  }

  async #streamBody(message: OutgoingMessage, stuffed: boolean): Promise<void> {
    let sent = 0;
    let stuffing = stuffDots(Buffer.alloc(0), 'line-start');
    try {
      for await (const chunk of message.chunks()) {
        if (this.#session.state !== 'body') return;
        sent += chunk.length;
        stuffing = stuffDots(chunk, stuffing.position);
        const more = this.#connection.write(stuffed ? stuffing.bytes : chunk);
        this.#armForState();
        if (!more) await new Promise<void>((wake) => (this.#wakeWriter = wake));
      }
    } catch (error) {
      this.#handle({ type: 'payload-lost', text: error instanceof Error ? error.message : String(error) });
      return;
    }
    if (sent === message.size) this.#bodySent();
    else
      this.#handle({
        type: 'payload-lost',
        text: `it changed while it was sent (${sent} bytes of ${message.size})`,
      });
  }

  #bodySent(): void {
    if (this.#session.state !== 'body') return;
    this.#handle({
      type: 'body-sent',
      following: mayChain(this.#session) ? this.#listener.nextTransaction() : null,
    });
  }

  #armForState(): void {
    const { deadline } = STATES[this.#session.state];
    if (deadline !== null) this.#arm(this.plan.deadlines[deadline]);
  }

  #arm(milliseconds: number): void {
    this.#deadline?.cancel();
    this.#deadline = this.#ports.clock.after(milliseconds, () => this.#silence(milliseconds / 1000));
  }

  #silence(seconds: number): void {
    if (this.#opening)
      this.#closed({ kind: 'error', code: 'ETIMEDOUT', message: `no answer in ${seconds} seconds` });
    else if (this.#session.state === 'ready') this.quit();
    else this.#handle({ type: 'silence', seconds });
  }

  #destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#deadline?.cancel();
    this.#connection.destroy();
    this.#wakeWriter();
    this.#listener.closed();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.ended();
  }
}
