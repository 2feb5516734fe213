/**
 * A small world without a network: names, servers, a clock. It implements the ports of a delivery, so that the
 * same driver code that talks to real hosts talks to scripted ones. Worlds are data; `worlds.ts` names the
 * built-in ones, world files have the same form.
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
import type { LookupError, LookupResult, MxRecord, Resolver } from '../../platform/dns.ts';
import type { Accepted, ScriptMemory, ServerAction, ServerScript } from './server.ts';
import { ScriptedServer, spanOf } from './server.ts';

export interface Zone {
  /** preference and host, or the fault the lookup meets */
  readonly mx?: readonly (readonly [number, string])[] | LookupError;
  readonly a?: readonly string[] | LookupError;
  readonly aaaa?: readonly string[] | LookupError;
  /** how long an answer takes, instead of the world's latency */
  readonly after?: string;
}

export interface WorldScript {
  /** what names exist; `*` stands for all others */
  readonly names: { readonly [name: string]: Zone };
  /** what runs at an address; `*` stands for all others */
  readonly servers: { readonly [address: string]: ServerScript };
  /** milliseconds for bytes to arrive and for names to be answered */
  readonly latency?: number;
  /** made from a recording: it knows what is written here and makes nothing up */
  readonly recorded?: boolean;
}

export interface Arrival extends Accepted {
  readonly address: string;
}

/** A world as the ports of a delivery, and what arrived in it. */
export class World {
  /** Resolves when a recorded world is asked something it has no answer to. What waits for the answer waits for ever. */
  readonly unknown: Promise<string>;
  readonly arrived: Arrival[] = [];
  readonly lookups: string[] = [];
  connections = 0;
  /** sessions open at this moment, and the most there ever were */
  open = 0;
  mostOpen = 0;
  readonly #script: WorldScript;
  readonly #clock: Clock;
  #giveUp: (asked: string) => void = () => {};
  readonly #memories = new Map<string, ScriptMemory>();

  constructor(script: WorldScript, clock: Clock) {
    this.#script = script;
    this.#clock = clock;
    this.unknown = new Promise((resolve) => {
      this.#giveUp = resolve;
    });
  }

  readonly resolver: Resolver = {
    mx: (name) =>
      this.#lookUp(name, 'mx', (zone) => {
        if (zone.mx === undefined || typeof zone.mx === 'string') return zone.mx;
        return zone.mx.map(
          ([preference, exchange]): MxRecord => ({
            preference,
            exchange: exchange.replace('$', name),
          }),
        );
      }),
    addresses: (name, family) =>
      this.#lookUp(name, family === 4 ? 'a' : 'aaaa', (zone) => (family === 4 ? zone.a : zone.aaaa)),
  };

  readonly connect: Connect = (endpoint, events, tls) => this.#connect(endpoint, events, tls);

  #lookUp<T>(
    name: string,
    type: string,
    read: (zone: Zone) => readonly T[] | LookupError | undefined,
  ): Promise<LookupResult<T>> {
    this.lookups.push(`${type} ${name}`);
    const zone = this.#script.names[name] ?? this.#script.names['*'];
    const known = zone === undefined ? undefined : read(zone);
    if (known === undefined && this.#script.recorded === true) {
      this.#giveUp(`what the DNS says to "${type.toUpperCase()} ${name}"`);
      return new Promise(() => {});
    }
    const answer = known ?? (zone === undefined ? 'no-domain' : 'no-data');
    const lookup: LookupResult<T> =
      typeof answer === 'string' ? { kind: 'failed', fault: answer } : { kind: 'found', records: answer };
    const delay = zone?.after === undefined ? this.#latency : spanOf(zone.after);
    return new Promise((resolve) => this.#clock.after(delay, () => resolve(lookup)));
  }

  get #latency(): number {
    return this.#script.latency ?? 1;
  }

  #connect({ address }: Endpoint, events: ConnectionEvents, tls: TlsOptions | undefined): Connection {
    const script = this.#script.servers[address] ?? this.#script.servers['*'];
    this.connections++;
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const memory = this.#memories.get(address) ?? new Map<string, number>();
    this.#memories.set(address, memory);
    const strict = this.#script.recorded === true;
    const accept = (mail: Accepted): unknown => this.arrived.push({ ...mail, address });
    const server = new ScriptedServer(script ?? {}, memory, accept, strict);
    const reader = createLineReader();
    let alive = true;
    const underWay = new Set<Timer>();
    const soon = (call: () => void, milliseconds = this.#latency): void => {
      const timer = this.#clock.after(milliseconds, () => {
        underWay.delete(timer);
        call();
      });
      underWay.add(timer);
    };
    const die = (): void => {
      if (alive) this.open--;
      alive = false;
      for (const timer of underWay) timer.cancel();
    };
    const close = (reason: CloseReason): void => {
      die();
      events.closed(reason);
    };
    // A server that thinks about one answer keeps the next ones waiting.
    let free = 0;
    const act = (acts: readonly ServerAction[]): void => {
      const now = this.#clock.monotonic();
      free = Math.max(free, now);
      for (const each of acts) {
        const later = (call: () => void): void => soon(call, free - now + this.#latency);
        switch (each.do) {
          case 'wait':
            free += each.milliseconds;
            break;
          case 'say':
            later(() => hear(each.bytes));
            break;
          case 'close':
            later(() => close({ kind: 'ended' }));
            break;
          case 'reset':
            later(() => close({ kind: 'error', code: 'ECONNRESET', message: 'reset' }));
            break;
          case 'give-up':
            later(() => this.#giveUp(`what ${address} answers to ${each.asked}`));
            break;
          case 'start-tls':
            break;
        }
      }
    };
    const hear = (bytes: string): void => {
      const { lines, partial } = reader.feed(Buffer.from(bytes, 'latin1'));
      events.lines(lines, partial);
    };
    const handshakeTime =
      script?.handshakeAfter === undefined ? this.#latency : spanOf(script.handshakeAfter);
    const handshake = (then: () => void = () => {}): void =>
      soon(() => {
        if (script?.tlsBroken === true) close({ kind: 'tls', message: 'the server does not speak TLS' });
        else {
          events.secured({ protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: true });
          then();
        }
      }, handshakeTime);

    const stand = (): void => {
      events.connected();
      const greet = (): void => act(server.greet());
      if (tls === undefined) greet();
      else handshake(greet);
    };
    const contacted = (): void => {
      switch (script?.connect ?? (script === undefined ? 'refused' : 'stands')) {
        case 'refused':
          close({ kind: 'error', code: 'ECONNREFUSED', message: 'refused' });
          return;
        case 'unreachable':
          close({ kind: 'error', code: 'EHOSTUNREACH', message: 'no route' });
          return;
        case 'silence':
          if (strict) this.#giveUp(`whether ${address} answers after a longer time`);
          return;
        case 'stands':
          stand();
          return;
      }
    };
    if (script === undefined && strict) this.#giveUp(`what happens when ${address} is contacted`);
    else soon(contacted, script?.connectAfter === undefined ? this.#latency : spanOf(script.connectAfter));
    return {
      write: (data) => {
        const bytes = typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
        soon(() => act(server.receive(bytes)));
        return true;
      },
      startTls: () => handshake(),
      end: () => {},
      destroy: die,
    };
  }
}
