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
import type { Clock, Lookup, LookupFault, MxRecord, Resolver, Timer } from '../delivery/ports.ts';
import type { Accepted, ScriptMemory, ServerAct, ServerScript } from './server.ts';
import { ScriptedServer } from './server.ts';

export interface Zone {
  /** preference and host, or the fault the lookup meets */
  readonly mx?: readonly (readonly [number, string])[] | LookupFault;
  readonly a?: readonly string[] | LookupFault;
  readonly aaaa?: readonly string[] | LookupFault;
}

export interface WorldScript {
  /** what names exist; `*` stands for all others */
  readonly names: { readonly [name: string]: Zone };
  /** what runs at an address; `*` stands for all others */
  readonly servers: { readonly [address: string]: ServerScript };
  /** milliseconds for bytes to arrive and for names to be answered */
  readonly latency?: number;
}

export interface Arrival extends Accepted {
  readonly address: string;
}

/** A world as the ports of a delivery, and what arrived in it. */
export class World {
  readonly arrived: Arrival[] = [];
  readonly lookups: string[] = [];
  connections = 0;
  /** sessions open at this moment, and the most there ever were */
  open = 0;
  mostOpen = 0;
  readonly #script: WorldScript;
  readonly #clock: Clock;
  readonly #memories = new Map<string, ScriptMemory>();

  constructor(script: WorldScript, clock: Clock) {
    this.#script = script;
    this.#clock = clock;
  }

  readonly resolver: Resolver = {
    mx: (name) =>
      this.#lookUp(name, 'mx', (zone) => {
        const records = zone.mx ?? 'no-data';
        if (typeof records === 'string') return records;
        return records.map(([preference, exchange]): MxRecord => ({ preference, exchange }));
      }),
    addresses: (name, family) =>
      this.#lookUp(
        name,
        family === 4 ? 'a' : 'aaaa',
        (zone) => (family === 4 ? zone.a : zone.aaaa) ?? 'no-data',
      ),
  };

  readonly connect: Connect = (endpoint, events, tls) => this.#connect(endpoint, events, tls);

  #lookUp<T>(
    name: string,
    type: string,
    read: (zone: Zone) => readonly T[] | LookupFault,
  ): Promise<Lookup<T>> {
    this.lookups.push(`${type} ${name}`);
    const zone = this.#script.names[name] ?? this.#script.names['*'];
    const answer = zone === undefined ? 'no-domain' : read(zone);
    const lookup: Lookup<T> =
      typeof answer === 'string' ? { kind: 'failed', fault: answer } : { kind: 'found', records: answer };
    return new Promise((resolve) => this.#clock.after(this.#latency, () => resolve(lookup)));
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
    const server = new ScriptedServer(script ?? {}, memory, (mail) =>
      this.arrived.push({ ...mail, address }),
    );
    const reader = createLineReader();
    let alive = true;
    const underWay = new Set<Timer>();
    const soon = (call: () => void): void => {
      const timer = this.#clock.after(this.#latency, () => {
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
    const act = (acts: readonly ServerAct[]): void => {
      for (const each of acts) {
        if (each.do === 'say') soon(() => hear(each.bytes));
        else if (each.do === 'close') soon(() => close({ kind: 'ended' }));
        else if (each.do === 'reset')
          soon(() => close({ kind: 'error', code: 'ECONNRESET', message: 'reset' }));
      }
    };
    const hear = (bytes: string): void => {
      const { lines, partial } = reader.feed(Buffer.from(bytes, 'latin1'));
      events.lines(lines, partial);
    };
    const handshake = (): void =>
      soon(() => {
        if (script?.tlsBroken === true) close({ kind: 'tls', message: 'the server does not speak TLS' });
        else events.secured({ protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: true });
      });

    if (script === undefined || script.connect === 'refused') {
      soon(() => close({ kind: 'error', code: 'ECONNREFUSED', message: 'refused' }));
    } else if (script.connect === 'unreachable') {
      soon(() => close({ kind: 'error', code: 'EHOSTUNREACH', message: 'no route' }));
    } else if (script.connect !== 'silence') {
      soon(() => {
        events.connected();
        if (tls !== undefined) handshake();
        act(server.greet());
      });
    }
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
