/**
 * Whether the relays take our mail at all, seen from what happens in deliveries. While one does not, mail only waits, and
 * nothing else would tell the administrator before it is given up.
 */
import type { Observer, Traced } from '../delivery/trace.ts';
import type { LookupError } from '../platform/dns.ts';
import type { Relay } from '../routing/hosts.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import { NO_RELAYING } from '../smtp/reply-readings.ts';
import { describePeer, joinedLines } from '../smtp/status-text.ts';
import { type Alerts, NAME_SERVERS, RELAY } from './alerts.ts';

interface Kind {
  readonly name: string;
  readonly is: (failure: Failure) => boolean;
  /** seconds it has to last */
  readonly after: number;
  /** follows "The relay HOST" */
  readonly says: string;
  readonly advice: string;
}

/** The first that fits. What only a person can mend is told at once. */
const KINDS: readonly Kind[] = [
  {
    name: 'login',
    is: ({ stage, code }) => stage === 'auth' && code !== null && code >= 500,
    after: 0,
    says: 'rejects our login',
    advice: 'Correct its user name and password in the settings.',
  },
  {
    name: 'tls',
    is: ({ stage }) => stage === 'starttls' || stage === 'handshake' || stage === 'capabilities',
    after: 0,
    says: 'cannot be used with the protection that the settings demand',
    advice: 'Check its certificate, and the settings relay-tls, tls-host, tls-ca and tls-pin.',
  },
  {
    name: 'stranger',
    is: isStranger,
    after: 0,
    says: 'does not pass on mail from us',
    advice: 'Give its entry in the settings a user name and a password, or let it accept this machine.',
  },
  {
    name: 'away',
    is: () => true,
    after: 3600,
    says: 'has taken no mail for more than an hour',
    advice: 'Check the server, the network and the entry of the relay.',
  },
];

/** Stages at which a server has not let us begin yet; a failure at any other one shows that it is there. */
const BEFORE_READY = new Set<string>([
  ...['routing', 'payload', 'lookup', 'connect', 'greeting'],
  ...['ehlo', 'helo', 'capabilities', 'starttls', 'handshake', 'auth'],
]);

const NO_ANSWER: ReadonlyMap<LookupError | null, string> = new Map([
  ['timeout', 'they are silent'],
  ['local-fault', 'they cannot be reached from here'],
]);

export class RelayAlerts {
  readonly #relays: readonly Relay[];
  readonly #alerts: Alerts;
  /** an alert of an earlier process may be there */
  #mayBeSilent = true;
  /** those about which there is an alert, by the begin of its key */
  readonly #away: Set<string>;

  constructor(relays: readonly Relay[], alerts: Alerts) {
    this.#relays = relays;
    this.#alerts = alerts;
    alerts.clear((key) => key.startsWith(RELAY) && !isOfRelay(key, relays));
    const begins = relays.map(({ host, port }) => keyOf(host, port));
    this.#away = new Set(begins.filter((begin) => alerts.some((key) => key.startsWith(begin))));
  }

  readonly observer: Observer = {
    lookup: (_, event) => this.#observeLookup(event),
    failure: (_, { event }) => {
      if (event.type === 'host-failed') this.#failed(event.failure);
    },
    outcome: (_, { outcome }) => {
      if (outcome.kind === 'failed' && isStranger(outcome)) this.#failed(outcome);
      else if (this.#away.size > 0) this.#observeOutcome(outcome);
    },
  };

  #observeLookup({ question, name, answer }: Traced<'lookup'>): void {
    // Without an answer, there is no policy either: that is none.
    if (question !== 'sts') this.#lookedUp(name, answer.kind === 'failed' ? answer.fault : null);
    const isMissing = question !== 'mx' && answer.kind === 'failed' && answer.fault !== 'no-data';
    if (isMissing) this.#lookupFailed(name, answer.fault);
  }

  #observeOutcome(outcome: Outcome): void {
    if (outcome.peer === null) return;
    if (outcome.kind === 'failed' && BEFORE_READY.has(outcome.stage)) return;
    const begin = keyOf(outcome.peer.host, outcome.peer.port);
    if (this.#away.delete(begin)) this.#alerts.clear((key) => key.startsWith(begin));
  }

  /** An answer that there is no such name is one, too. */
  #lookedUp(name: string, fault: LookupError | null): void {
    const problem = NO_ANSWER.get(fault);
    if (problem !== undefined) {
      const text = `For more than an hour no name server has answered (${problem}; last asked for ${name}). Mail that needs a lookup waits. Check the network and the name servers: the setting dns, or those of the system.`;
      this.#alerts.raise(NAME_SERVERS, text, 3600);
    } else if (this.#mayBeSilent) {
      this.#alerts.clear((key) => key === NAME_SERVERS);
    }
    this.#mayBeSilent = problem !== undefined;
  }

  #lookupFailed(name: string, fault: string): void {
    for (const { host, port } of this.#relays.filter((relay) => relay.host === name))
      this.#raise('away', host, port, `The relay ${host}`, `its address cannot be looked up: ${fault}`);
  }

  #failed(failure: Failure): void {
    const { peer, code, text } = failure;
    if (peer === null || !this.#relays.some(({ host, port }) => host === peer.host && port === peer.port))
      return;
    const kind = KINDS.find(({ is }) => is(failure));
    const reply = `${code === null ? '' : `${code} `}${joinedLines(text)}`;
    if (kind !== undefined)
      this.#raise(kind.name, peer.host, peer.port, `The relay ${describePeer(peer)}`, reply);
  }

  #raise(name: string, host: string, port: number, subject: string, why: string): void {
    const kind = KINDS.find((each) => each.name === name);
    if (kind === undefined) return;
    const { says, after, advice } = kind;
    const text = `${subject} ${says} (${why}). Mail that needs it waits. ${advice}`;
    const begin = keyOf(host, port);
    this.#away.add(begin);
    this.#alerts.raise(begin + name, text, after);
  }
}

/** It wants a login, or takes no mail for others from us. */
function isStranger({ stage, code, permanent, text }: Failure): boolean {
  if (stage !== 'mail' && stage !== 'rcpt') return false;
  return code === 530 || (code !== null && code >= 500 && !permanent && NO_RELAYING.test(text));
}

/** The begin of the keys of its alerts. */
function keyOf(host: string, port: number): string {
  return `${RELAY}${host}:${port} `;
}

/** Whether the key of an alert is about one of these relays. */
export function isOfRelay(key: string, relays: readonly Relay[]): boolean {
  return relays.some(({ host, port }) => key.startsWith(keyOf(host, port)));
}
