/**
 * How far a relay lets us come before a password or a mail: connection, greeting, EHLO, TLS, then QUIT. Called by `check`.
 * The session machine does it by the rules of the run, so what hinders us here hinders a delivery. It is given no password,
 * so none can be sent: a wrong one counts against us at many providers.
 */
import { type DeliveryRules, sessionOptions } from '../../delivery/rules.ts';
import type { Host } from '../../routing/hosts.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import { SmtpClient } from '../../smtp/client.ts';
import { next } from '../../smtp/machine/machine.ts';
import type { Session, SessionPolicy } from '../../smtp/machine/session.ts';
import type { Failure } from '../../smtp/outcome.ts';

export type HandshakeResult =
  | {
      readonly kind: 'welcome';
      /** the first line of the greeting */
      readonly greeting: string;
      /** the version that was agreed on; null: mail would go in clear */
      readonly tls: string | null;
    }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** STARTTLS broke the connection; a run connects again without it */
  | { readonly kind: 'tls-unusable'; readonly failure: Failure };

export type HandshakeDeps = Pick<RunDeps, 'connect' | 'clock'>;

/** Milliseconds for each step. Nobody waits longer at a prompt, and a server that takes longer is slow for real mail, too. */
const STEP = 20_000;

export function probeHandshake(
  host: Host,
  address: string,
  withoutTls: boolean,
  rules: DeliveryRules,
  ports: HandshakeDeps,
): Promise<HandshakeResult> {
  const plan = sessionOptions(rules, host, address, { number: 0, withoutTls });
  const steps = Object.entries(plan.deadlines).map(([step, time]) => [step, Math.min(time, STEP)]);
  const withoutPassword = {
    ...plan,
    credentials: null,
    policy: { ...plan.policy, credentials: false },
    deadlines: Object.fromEntries(steps) as typeof plan.deadlines,
  };
  return new Promise((resolve) => {
    let greeting: string | null = null;
    let session: Session | null = null;
    const nothing = (): void => {};
    const noMail = (): never => {
      throw new Error('no mail is sent in an introduction');
    };
    new SmtpClient(withoutPassword, ports, (driver) => ({
      connected: nothing,
      trace: (event, step) => {
        session = step.session;
        if (event.type === 'reply') greeting ??= event.reply.text.split('\n', 1)[0] ?? '';
      },
      ready: () => {
        const failure = session === null ? null : passwordTrouble(session, plan.policy);
        const tls = driver.tlsFacts?.protocol ?? null;
        resolve(
          failure === null ? { kind: 'welcome', greeting: greeting ?? '', tls } : { kind: 'failed', failure },
        );
        driver.quit();
      },
      hostFailed: (failure) => resolve({ kind: 'failed', failure }),
      tlsUnusable: (failure) => resolve({ kind: 'tls-unusable', failure }),
      ended: nothing,
      closed: nothing,
      nextTransaction: () => null,
      body: noMail,
      outcome: noMail,
      transactionDone: noMail,
      requeue: noMail,
    }));
  });
}

/** What the machine says, with a password in hand, to a server that has come this far; null: it would send it. */
function passwordTrouble(session: Session, policy: SessionPolicy): Failure | null {
  const introduced = { code: 250, enhanced: null, text: '' };
  const { effects } = next({ ...session, policy, state: 'helo' }, { type: 'reply', reply: introduced });
  for (const effect of effects) if (effect.type === 'host-failed') return effect.failure;
  return null;
}
