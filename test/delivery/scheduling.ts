/** Attempts through the real scheduler in a scripted world: what each test of the scheduler starts from. */

import { type AttemptedMessage, DeliveryAttempt, type PreparedMessage } from '../../src/delivery/attempt.ts';
import type { RefusalStore } from '../../src/delivery/connections/refusals.ts';
import type { DeliveryDeps, DeliveryRules } from '../../src/delivery/rules.ts';
import { Scheduler } from '../../src/delivery/scheduler.ts';
import { Throttle } from '../../src/delivery/throttling/throttle.ts';

import { type OutgoingMessage, outgoingFrom } from '../../src/message/outgoing.ts';

import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import { type DestinationRules, NO_DESTINATION_RULES } from '../../src/routing/destination-rules.ts';
import type { Relay } from '../../src/routing/hosts.ts';
import { destinationOf } from '../../src/routing/route.ts';
import type { SharedLimits } from '../../src/routing/shared-limits.ts';
import type { Failure, Outcome } from '../../src/smtp/outcome.ts';
import { emptyJob } from '../support/jobs.ts';

const MINUTE = 60_000;

export const DEADLINES: DeliveryRules['deadlines'] = {
  connect: 30_000,
  greeting: 5 * MINUTE,
  ehlo: 5 * MINUTE,
  starttls: 2 * MINUTE,
  handshake: MINUTE,
  auth: 2 * MINUTE,
  idle: 5000,
  mail: 5 * MINUTE,
  rcpt: 5 * MINUTE,
  data: 2 * MINUTE,
  body: 3 * MINUTE,
  dot: 10 * MINUTE,
  rset: 20_000,
  quit: 5000,
  silence: 30_000,
  delivery: 120 * MINUTE,
  stop: 10_000,
};

export function rulesWith(
  limits: Partial<DeliveryRules['limits']> = {},
  more: {
    readonly relays?: readonly Relay[];
    readonly tls?: 'none' | 'opportunistic' | 'require';
    readonly destinations?: DestinationRules;
  } = {},
): DeliveryRules {
  return {
    routing: {
      relays: more.relays ?? [],
      destinations: more.destinations ?? NO_DESTINATION_RULES,
      ownNames: ['me.example'],
      mxPort: 25,
      loops: null,
    },
    limits: { sessions: 20, destination: 10, host: 10, messages: 100, recipients: 100, rate: 0, ...limits },
    deadlines: DEADLINES,
    localAddresses: [],
    policyFor: (host, withoutTls) => ({
      ehloName: 'me.example',
      tls: host.implicitTls
        ? 'implicit'
        : host.protection !== undefined
          ? 'require'
          : withoutTls
            ? 'none'
            : (more.tls ?? 'opportunistic'),
      credentials: host.credentials !== null,
      authInClear: false,
      recipients: 100,
    }),
    tlsFor: (host) => ({ serverName: host.name, verify: false }),
  };
}

export function message(text: string): OutgoingMessage {
  return outgoingFrom(Buffer.from(text, 'latin1'));
}

export interface TestMessage {
  readonly to: readonly string[];
  readonly text?: string;
  readonly sender?: string;
  readonly requireTls?: true;
  readonly broken?: Failure;
}

/** The scheduler never looks at the job itself. */
const QUEUED = { control: 1, job: emptyJob('2012'), warnings: [] };

/** Outcomes as `address: status words`, in the order in which they were reached. */
export interface Delivered {
  readonly world: World;
  readonly clock: VirtualClock;
  readonly outcomes: readonly { readonly address: string; readonly outcome: Outcome; readonly at: number }[];
  /** `address: why` */
  readonly heldBack: readonly string[];
  readonly rows: readonly string[];
  /** lines written, bodies apart */
  readonly commands: readonly string[];
  readonly warnings: readonly string[];
  /** most messages that were read and not done at the same time */
  readonly mostLoaded: number;
}

/** The scheduler as it is, in a scripted world. */
export function schedulerIn(
  { connect, resolver }: World,
  clock: VirtualClock,
  rules: DeliveryRules,
  {
    trace = () => {},
    silent = () => {},
    warn = () => {},
    throttle = new Throttle({ now: () => clock.now(), changed: () => {}, warn }),
    refusalStore,
    shared,
  }: Partial<Pick<DeliveryDeps, 'trace' | 'silent' | 'throttle' | 'refusalStore' | 'shared'>> & {
    warn?: (text: string) => void;
  } = {},
): Scheduler {
  const remembered = {
    ...(refusalStore === undefined ? {} : { refusalStore }),
    ...(shared === undefined ? {} : { shared }),
  };
  const deps = { connect, resolver, clock, random: () => 0.5, trace, silent, throttle, ...remembered };
  return new Scheduler(rules, deps);
}

export async function deliver(
  script: WorldScript,
  messages: readonly TestMessage[],
  rules: DeliveryRules = rulesWith(),
  during: (scheduler: Scheduler, clock: VirtualClock) => void = () => {},
  remembered: {
    readonly refusalStore?: RefusalStore;
    readonly at?: number;
    readonly observe?: DeliveryDeps['trace'];
    readonly silent?: DeliveryDeps['silent'];
    readonly shared?: (clock: VirtualClock) => SharedLimits;
  } = {},
): Promise<Delivered> {
  const clock = new VirtualClock(remembered.at ?? 1_400_000_000_000);
  const world = new World(script, clock);
  const outcomes: { address: string; outcome: Outcome; at: number }[] = [];
  const heldBack: string[] = [];
  const rows: string[] = [];
  const commands: string[] = [];
  const warnings: string[] = [];
  const loaded = new Set<AttemptedMessage>();
  let mostLoaded = 0;
  const { refusalStore } = remembered;
  const scheduler = schedulerIn(world, clock, rules, {
    ...(refusalStore === undefined ? {} : { refusalStore }),
    ...(remembered.shared === undefined ? {} : { shared: remembered.shared(clock) }),
    warn: (text) => warnings.push(text),
    silent: (found) => {
      remembered.silent?.(found);
      warnings.push(`${found.cut} of ${found.sessions}, ${found.waiting} waiting for ${found.waited} ms`);
    },
    trace: (attempts, event) => {
      remembered.observe?.(attempts, event);
      if (event.what !== 'session') return;
      rows.push(...event.step.rows);
      for (const effect of event.step.effects) {
        if (effect.type === 'write') commands.push(...effect.bytes.split('\r\n').slice(0, -1));
      }
    },
  });
  const events: AttemptEvents = {
    outcome: (address, outcome) => outcomes.push({ address, outcome, at: clock.monotonic() }),
    heldBack: (address, why) => heldBack.push(`${address}: ${why}`),
    loaded: (message) => {
      loaded.add(message);
      mostLoaded = Math.max(mostLoaded, loaded.size);
    },
    done: (message) => loaded.delete(message),
  };
  for (const testMessage of messages) {
    for (const attempt of attemptsFor(testMessage, rules, events)) scheduler.add(attempt);
  }
  during(scheduler, clock);
  await clock.runUntil(scheduler.run());
  return { world, clock, outcomes, heldBack, rows, commands, warnings, mostLoaded };
}

interface AttemptEvents {
  outcome(address: string, outcome: Outcome): void;
  heldBack(address: string, why: string): void;
  loaded(message: AttemptedMessage): void;
  done(message: AttemptedMessage): void;
}

function attemptsFor(
  testMessage: TestMessage,
  rules: DeliveryRules,
  events: AttemptEvents,
): readonly DeliveryAttempt[] {
  const domains = [...new Set(testMessage.to.map((address) => address.slice(address.indexOf('@') + 1)))];
  return domains.map((domain) => {
    const recipients = testMessage.to.filter((address) => address.endsWith(`@${domain}`));
    const prepared: PreparedMessage = {
      outgoing: message(testMessage.text ?? 'Subject: x\r\n\r\nhello\r\n'),
      sender: testMessage.sender ?? 'me@me.example',
    };
    const attempted: AttemptedMessage = {
      job: QUEUED,
      dsn: testMessage.requireTls ? { ret: null, envid: null, requireTls: true } : null,
      load: async () => {
        events.loaded(attempted);
        return testMessage.broken ?? prepared;
      },
      recordOutcome: (_, ids, outcome) => {
        for (const id of ids) events.outcome(recipients[id] ?? '?', outcome);
        return outcome;
      },
      holdBack: (_, ids, reason) => {
        for (const id of ids) events.heldBack(recipients[id] ?? '?', reason.text);
      },
      attemptDone: () => events.done(attempted),
    };
    return new DeliveryAttempt(
      attempted,
      destinationOf(domain, 'me@me.example', rules.routing),
      recipients.map((address, id) => ({ id, address })),
      false,
    );
  });
}

/** `address: 2|4|5 text` sorted, for comparing a whole outcome at once. */
export function summary({ outcomes }: Delivered): readonly string[] {
  return outcomes
    .map(({ address, outcome }) => {
      const status = outcome.kind === 'delivered' ? 2 : outcome.permanent ? 5 : 4;
      return `${address}: ${status} ${outcome.text}`;
    })
    .sort();
}
