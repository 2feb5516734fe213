/**
 * A simulated world: names, servers, a clock, no network. It provides resolver and connections, so that the same code that
 * delivers to real hosts delivers to scripted ones. Worlds are data; worlds.ts has the built-in ones and reads world files.
 */
import type {
  CloseReason,
  Connect,
  Connection,
  ConnectionEvents,
  Endpoint,
  TlsOptions,
} from '#net-stream-utils';
import { createLineReader } from '#net-stream-utils';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { LookupError, LookupResult, MxRecord, Resolver, StsPolicy } from '../../platform/dns.ts';
import { tlsaFromText } from '../../tls-policy/tlsa.ts';
import type { Accepted, ScriptMemory, ServerAction, ServerScript } from './server.ts';
import { millisecondsOf, ScriptedServer } from './server.ts';

export interface Zone {
  /** preference and host, or the error of the lookup */
  readonly mx?: readonly (readonly [number, string])[] | LookupError;
  readonly a?: readonly string[] | LookupError;
  readonly aaaa?: readonly string[] | LookupError;
  /** `3 1 1 HEX`, as zone files have it; in a world without any, DANE is off */
  readonly tlsa?: readonly string[] | LookupError;
  /** in a world without any, MTA-STS is off */
  readonly sts?: Omit<StsPolicy, 'id' | 'maxAge'> | LookupError;
  /** the lookups that DNSSEC proves: all, or those with these types */
  readonly secure?: true | readonly string[];
  /** the name at the end of the aliases */
  readonly canonical?: string;
  /** how long the lookup takes, instead of the latency of the world */
  readonly after?: string;
}

export interface WorldScript {
  /** by domain or host name; `*` stands for all others */
  readonly names: { readonly [name: string]: Zone };
  /** by address; `*` stands for all others */
  readonly servers: { readonly [address: string]: ServerScript };
  /** milliseconds for bytes to arrive and for lookups */
  readonly latency?: number;
  /** made from a transcript: has no defaults for what is not given here */
  readonly recorded?: boolean;
}

export interface Arrival extends Accepted {
  readonly address: string;
}

/** A world in use, with the messages that its servers accepted. */
export class World {
  /**
   * Resolves when a recorded world is asked for something that was not recorded; completes "The recording does not say ...".
   * What was asked for is never answered.
   */
  readonly unrecorded: Promise<string>;
  readonly arrived: Arrival[] = [];
  readonly lookups: string[] = [];
  connections = 0;
  /** connections open now, and the most that were open at a time */
  open = 0;
  mostOpen = 0;
  readonly #script: WorldScript;
  readonly #clock: Clock;
  #reportUnrecorded: (what: string) => void = () => {};
  readonly #memories = new Map<string, ScriptMemory>();

  readonly resolver: Resolver;

  constructor(script: WorldScript, clock: Clock) {
    this.#script = script;
    this.#clock = clock;
    this.resolver = this.#resolver();
    this.unrecorded = new Promise((resolve) => {
      this.#reportUnrecorded = resolve;
    });
  }

  readonly connect: Connect = (endpoint, events, tls) => this.#connect(endpoint, events, tls);

  #resolver(): Resolver {
    const zones = Object.values(this.#script.names);
    return {
      mx: (name) =>
        this.#lookUp(name, 'mx', ({ mx }) =>
          mx === undefined || typeof mx === 'string'
            ? mx
            : mx.map(
                ([preference, exchange]): MxRecord => ({ preference, exchange: exchange.replace('$', name) }),
              ),
        ),
      addresses: async (name, family, how) => {
        const read = (zone: Zone) => (family === 4 ? zone.a : zone.aaaa);
        const { secure, ...lookup } = await this.#lookUp(name, family === 4 ? 'a' : 'aaaa', read);
        return secure === true && how === 'proved' ? { ...lookup, secure } : lookup;
      },
      ...(zones.every(({ tlsa }) => tlsa === undefined)
        ? {}
        : {
            tlsa: (name) =>
              this.#lookUp(name, 'tlsa', ({ tlsa }) =>
                typeof tlsa === 'string' ? tlsa : tlsa?.flatMap((text) => tlsaFromText(text) ?? []),
              ),
          }),
      ...(zones.every(({ sts }) => sts === undefined)
        ? {}
        : {
            sts: (domain) =>
              this.#lookUp(domain, 'sts', ({ sts }) =>
                sts === undefined || typeof sts === 'string' ? sts : [{ id: '1', maxAge: 86_400, ...sts }],
              ),
          }),
    };
  }

  #lookUp<T>(
    name: string,
    type: string,
    read: (zone: Zone) => readonly T[] | LookupError | undefined,
  ): Promise<LookupResult<T>> {
    this.lookups.push(`${type} ${name}`);
    const zone = this.#script.names[name] ?? this.#script.names['*'];
    const known = zone === undefined ? undefined : read(zone);
    if (known === undefined && this.#script.recorded === true) {
      this.#reportUnrecorded(`what the DNS says to "${type.toUpperCase()} ${name}"`);
      return new Promise(() => {});
    }
    const answer = known ?? (zone === undefined ? 'no-domain' : 'no-data');
    const { secure, canonical } = zone ?? {};
    const details = {
      ...(secure === true || secure?.includes(type) ? { secure: true as const } : {}),
      ...(canonical === undefined ? {} : { canonical }),
    };
    const lookup: LookupResult<T> =
      typeof answer === 'string'
        ? { kind: 'failed', fault: answer, ...details }
        : { kind: 'found', records: answer, ...details };
    const delay = zone?.after === undefined ? this.#latency : millisecondsOf(zone.after);
    return new Promise((resolve) => this.#clock.after(delay, () => resolve(lookup)));
  }

  get #latency(): number {
    return this.#script.latency ?? 1;
  }

  #connect({ address }: Endpoint, events: ConnectionEvents, tls: TlsOptions | undefined): Connection {
    const memory = this.#memories.get(address) ?? new Map<string, number>();
    this.#memories.set(address, memory);
    this.connections++;
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    return new SimulatedConnection(events, tls, {
      address,
      script: this.#script.servers[address] ?? this.#script.servers['*'],
      memory,
      clock: this.#clock,
      latency: this.#latency,
      isRecorded: this.#script.recorded === true,
      accept: (message) => this.arrived.push({ ...message, address }),
      closed: () => this.open--,
      reportUnrecorded: (what) => this.#reportUnrecorded(what),
    });
  }
}

/** What a connection needs to know of the world. */
interface Surroundings {
  readonly address: string;
  /** undefined: nothing runs at this address */
  readonly script: ServerScript | undefined;
  readonly memory: ScriptMemory;
  readonly clock: Clock;
  readonly latency: number;
  readonly isRecorded: boolean;
  accept(message: Accepted): void;
  closed(): void;
  reportUnrecorded(what: string): void;
}

const EXPIRED = { code: 'CERT_HAS_EXPIRED', message: 'certificate has expired' } as const;

class SimulatedConnection implements Connection {
  readonly #events: ConnectionEvents;
  readonly #implicitTls: TlsOptions | undefined;
  readonly #world: Surroundings;
  readonly #server: ScriptedServer;
  readonly #reader = createLineReader();
  readonly #timers = new Set<Timer>();
  #isOpen = true;
  /** monotonic milliseconds at which the server has sent its last reply so far: a slow reply delays the next ones */
  #busyUntil = 0;

  constructor(events: ConnectionEvents, implicitTls: TlsOptions | undefined, world: Surroundings) {
    this.#events = events;
    this.#implicitTls = implicitTls;
    this.#world = world;
    const { script, memory, isRecorded, address } = world;
    this.#server = new ScriptedServer(script ?? {}, memory, (message) => world.accept(message), isRecorded);
    if (script === undefined && isRecorded)
      world.reportUnrecorded(`what happens when ${address} is contacted`);
    else this.#after(this.#duration(script?.connectAfter), () => this.#contact());
  }

  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    this.#after(this.#world.latency, () => this.#perform(this.#server.receive(bytes)));
    return true;
  }

  startTls(options: TlsOptions): void {
    this.#handshake(options, () => {});
  }

  end(): void {}

  destroy(): void {
    if (this.#isOpen) this.#world.closed();
    this.#isOpen = false;
    for (const timer of this.#timers) timer.cancel();
  }

  #contact(): void {
    const { script, isRecorded, address } = this.#world;
    switch (script === undefined ? 'refused' : script.connect) {
      case undefined:
        this.#open();
        return;
      case 'refused':
        this.#close({ kind: 'error', code: 'ECONNREFUSED', message: 'refused' });
        return;
      case 'unreachable':
        this.#close({ kind: 'error', code: 'EHOSTUNREACH', message: 'no route' });
        return;
      case 'silence':
        if (isRecorded) this.#world.reportUnrecorded(`whether ${address} answers after a longer time`);
        return;
    }
  }

  #open(): void {
    this.#events.connected();
    const greet = (): void => this.#perform(this.#server.greet());
    if (this.#implicitTls !== undefined) this.#handshake(this.#implicitTls, greet);
    else greet();
  }

  #handshake({ verify, dane }: TlsOptions, then: () => void): void {
    const { script } = this.#world;
    this.#after(this.#duration(script?.handshakeAfter), () => {
      if (script?.tlsBroken === true) {
        this.#close({ kind: 'tls', message: 'the server does not speak TLS' });
        return;
      }
      const facts = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' };
      const given = script?.certificate;
      const wrong = given === 'wrong' ? EXPIRED : given;
      if (wrong !== undefined && dane !== undefined)
        this.#close({
          kind: 'tls',
          message: "the server's certificate does not match its TLSA records",
          code: 'TLSA_MISMATCH',
        });
      else if (wrong !== undefined && verify) this.#close({ kind: 'tls', ...wrong });
      else {
        const proof = dane === undefined ? 'pkix' : 'dane';
        this.#events.secured(
          wrong === undefined ? { ...facts, proof } : { ...facts, proof: null, problem: wrong.code },
        );
        then();
      }
    });
  }

  #perform(actions: readonly ServerAction[]): void {
    const now = this.#world.clock.monotonic();
    this.#busyUntil = Math.max(this.#busyUntil, now);
    for (const action of actions) {
      if (action.do === 'wait') this.#busyUntil += action.milliseconds;
      // The client starts the handshake.
      else if (action.do !== 'start-tls')
        this.#after(this.#busyUntil - now + this.#world.latency, () => this.#do(action));
    }
  }

  #do(action: Exclude<ServerAction, { readonly do: 'wait' | 'start-tls' }>): void {
    switch (action.do) {
      case 'send': {
        const { lines, partial } = this.#reader.feed(action.bytes);
        this.#events.lines(lines, partial);
        return;
      }
      case 'close':
        this.#close({ kind: 'ended' });
        return;
      case 'reset':
        this.#close({ kind: 'error', code: 'ECONNRESET', message: 'reset' });
        return;
      case 'unrecorded':
        this.#world.reportUnrecorded(`what ${this.#world.address} answers to ${action.command}`);
        return;
    }
  }

  #close(reason: CloseReason): void {
    this.destroy();
    this.#events.closed(reason);
  }

  #duration(given: string | undefined): number {
    return given === undefined ? this.#world.latency : millisecondsOf(given);
  }

  /** Calls later, unless the connection has been destroyed by then. */
  #after(milliseconds: number, call: () => void): void {
    const timer = this.#world.clock.after(milliseconds, () => {
      this.#timers.delete(timer);
      call();
    });
    this.#timers.add(timer);
  }
}
