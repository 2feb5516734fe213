/** Listens to a session that nobody uses: of it only the end matters. */
import type { OutgoingMessage } from '../../message/outgoing.ts';
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { ClientListener } from '../../smtp/client/listener.ts';
import type { SessionEvent, Step } from '../../smtp/machine/session.ts';
import type { Trace } from '../trace.ts';
import type { ConnectionTarget } from './target.ts';

/** What is told of the end. */
interface SessionOwner {
  ended(target: ConnectionTarget, client: SmtpClient): void;
  closed(client: SmtpClient): void;
}

export class IdleListener implements ClientListener {
  readonly #owner: SessionOwner;
  readonly #target: ConnectionTarget;
  readonly #client: SmtpClient;
  readonly #trace: Trace;

  constructor(owner: SessionOwner, target: ConnectionTarget, client: SmtpClient, trace: Trace) {
    this.#owner = owner;
    this.#target = target;
    this.#client = client;
    this.#trace = trace;
  }

  connected(): void {}
  ready(): void {}
  convertMessage(): void {}
  outcome(): void {}
  transactionDone(): void {}
  requeue(): void {}
  hostFailed(): void {}
  tlsUnusable(): void {}
  extensionRefused(): void {}

  body(): OutgoingMessage {
    throw new Error('an idle session has no message');
  }

  nextTransaction(): null {
    return null;
  }

  ended(): void {
    this.#owner.ended(this.#target, this.#client);
  }

  closed(): void {
    this.#owner.closed(this.#client);
  }

  trace(event: SessionEvent, step: Step): void {
    this.#trace([], { what: 'session', session: this.#client.options.number, event, step });
  }
}
