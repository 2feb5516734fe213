/**
 * How far a server lets us come without a message and without a password: connection, greeting, EHLO or LHLO, TLS, for some
 * servers MAIL and RCPT, QUIT. The SMTP machine of the queue run does it, so what stops the probe would stop a delivery. It is given no password, so none
 * can be sent: many providers lock an account after wrong ones.
 */
import type { Connect } from '#net-stream-utils';
import { hasEightBit } from '../../message/charset.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { Clock } from '../../platform/clock.ts';
import { SmtpClient } from '../../smtp/client/client.ts';
import type { SessionOptions } from '../../smtp/client/listener.ts';
import { next } from '../../smtp/machine/machine.ts';
import type { Session, SessionPolicy } from '../../smtp/machine/session.ts';
import type { Failure, Outcome } from '../../smtp/outcome.ts';
import type { Transaction } from '../../smtp/transaction.ts';

export type ProbeResult =
  | {
      readonly kind: 'ready';
      /** the first line of the greeting, as the server sent it */
      readonly greeting: string;
      /** the TLS version; null: mail would go in the clear */
      readonly tls: string | null;
      /** why the server was asked again without TLS; null: it was not */
      readonly tlsFailure: Failure | null;
      /** what it says to mail from the null sender, by recipient */
      readonly recipients: ReadonlyMap<ByteString, Outcome>;
    }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface ProbeDeps {
  readonly connect: Connect;
  readonly clock: Clock;
}

/** Milliseconds for each step: a server that takes longer is slow for real mail as well. */
const STEP = 20_000;

/**
 * As in a queue run, a server whose STARTTLS fails is tried again without it where the options allow that.
 * @param recipients for whom it is asked whether it would take a report
 */
export async function probeServer(
  optionsFor: (withoutTls: boolean) => SessionOptions,
  deps: ProbeDeps,
  recipients: readonly ByteString[] = [],
): Promise<ProbeResult> {
  const first = await probe(optionsFor(false), deps, recipients);
  if (first.kind !== 'tls-unusable') return first;
  const second = await probe(optionsFor(true), deps, recipients);
  if (second.kind === 'ready') return { ...second, tlsFailure: first.failure };
  return { kind: 'failed', failure: second.failure };
}

function probe(
  options: SessionOptions,
  deps: ProbeDeps,
  recipients: readonly ByteString[],
): Promise<ProbeResult | { readonly kind: 'tls-unusable'; readonly failure: Failure }> {
  const deadlines = Object.entries(options.deadlines).map(([step, time]) => [step, Math.min(time, STEP)]);
  const withoutPassword = {
    ...options,
    credentials: null,
    policy: { ...options.policy, credentials: false },
    deadlines: Object.fromEntries(deadlines) as typeof options.deadlines,
  };
  return new Promise((resolve) => {
    let greeting: string | null = null;
    let session: Session | null = null;
    const outcomes = new Map<ByteString, Outcome>();
    const pending = [...recipients];
    let asked: ByteString | null = null;
    const ignore = (): void => {};
    const noMessage = (): never => {
      throw new Error('a probe sends no message');
    };
    const finish = (tls: string | null): void => {
      const failure = session === null ? null : passwordFailure(session, options.policy);
      resolve(
        failure === null
          ? { kind: 'ready', greeting: greeting ?? '', tls, tlsFailure: null, recipients: outcomes }
          : { kind: 'failed', failure },
      );
    };
    new SmtpClient(withoutPassword, deps, (client) => ({
      connected: ignore,
      trace: (event, step) => {
        session = step.session;
        if (event.type === 'reply') greeting ??= event.reply.text.split('\n', 1)[0] ?? '';
      },
      ready: () => {
        const recipient = pending.shift();
        if (recipient !== undefined) {
          asked = recipient;
          client.startTransaction(envelopeFor(recipient));
          return;
        }
        finish(client.tlsFacts?.protocol ?? null);
        client.quit();
      },
      hostFailed: (failure) => {
        if (asked === null) return resolve({ kind: 'failed', failure });
        if (!outcomes.has(asked)) outcomes.set(asked, { kind: 'failed', ...failure });
        finish(client.tlsFacts?.protocol ?? null);
      },
      tlsUnusable: (failure) => resolve({ kind: 'tls-unusable', failure }),
      ended: ignore,
      closed: ignore,
      nextTransaction: () => null,
      body: noMessage,
      outcome: (_transaction, _recipients, outcome) => {
        if (asked !== null) outcomes.set(asked, outcome);
      },
      transactionDone: ignore,
      requeue: () => finish(client.tlsFacts?.protocol ?? null),
      convertMessage: noMessage,
      extensionRefused: (_extension, failure) => resolve({ kind: 'failed', failure }),
    }));
  });
}

/** From the null sender, as reports are. */
function envelopeFor(address: ByteString): Transaction {
  const message = { size: 0, eightBit: false, smtpUtf8: hasEightBit(address), dsn: null };
  return { id: 1, sender: '', recipients: [{ id: 0, address }], ...message, envelopeOnly: true };
}

/** Why the machine would not send a password to this server; null: it would. */
function passwordFailure(session: Session, policy: SessionPolicy): Failure | null {
  const accepted = { code: 250, enhanced: null, text: '' };
  const { effects } = next({ ...session, policy, state: 'helo' }, { type: 'reply', reply: accepted });
  for (const effect of effects) if (effect.type === 'host-failed') return effect.failure;
  return null;
}
