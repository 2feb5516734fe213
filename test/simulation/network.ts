/**
 * A network of bytes: connections to scripted servers that can be cut, silenced or chopped at any byte, and a DNS whose
 * answers can go wrong. Knows which final reply reached our side whole, which is what excuses a second delivery.
 */
import type { CloseReason, Connect, Connection, ConnectionEvents } from '#net-stream-utils';
import { createLineReader } from '#net-stream-utils';
import type { Clock } from '../../src/platform/clock.ts';
import type { LookupResult, MxRecord, Resolver } from '../../src/platform/dns.ts';
import type { Accepted, ScriptMemory, ServerAction, ServerScript } from '../../src/replay/world/server.ts';
import { ScriptedServer } from '../../src/replay/world/server.ts';
import type { Incident } from './plan.ts';

/** One message, accepted by a server in one transaction. */
export interface Acceptance extends Accepted {
  /** the process it came from */
  readonly life: number;
  /** the final reply reached us whole, and nothing else was said that could be taken for it */
  heard: boolean;
}

export interface NetworkDeps {
  readonly clock: Clock;
  readonly servers: { readonly [address: string]: ServerScript };
  readonly incidents: readonly Incident[];
  readonly accepted: (acceptance: Acceptance) => void;
  /** a server said what it was not asked */
  readonly lied: () => void;
  readonly trace: (line: string) => void;
}

/** A process that uses the network. */
export interface NetworkUser {
  readonly number: number;
  /** Told of all that arrives or leaves, before it does. False: the process is dead, and nothing does. */
  step(what: string): boolean;
  whenDead(call: () => void): void;
}

type WireIncident = Extract<Incident, { what: 'wire' }>;

/** Milliseconds for bytes to arrive and for names to be answered. */
const LATENCY = 3;

const MX: { readonly [domain: string]: readonly MxRecord[] } = {
  'a.example': [
    { preference: 10, exchange: 'mx1.a.example' },
    { preference: 20, exchange: 'mx2.a.example' },
  ],
  'c.example': [{ preference: 10, exchange: 'mx1.a.example' }],
  'six.example': [{ preference: 10, exchange: 'mx.six.example' }],
};
const HOSTS: { readonly [name: string]: { readonly 4: readonly string[]; readonly 6: readonly string[] } } = {
  'mx1.a.example': { 4: ['192.0.2.1'], 6: [] },
  'mx2.a.example': { 4: ['192.0.2.2'], 6: [] },
  'b.example': { 4: ['192.0.2.3'], 6: [] },
  'mx.six.example': { 4: ['192.0.2.4'], 6: ['2001:db8::4'] },
};

export class Network {
  /** connections that stand at this moment */
  open = 0;
  readonly #deps: NetworkDeps;
  readonly #memories = new Map<string, ScriptMemory>();
  #connections = 0;
  #lookups = 0;
  #friendly = false;

  constructor(deps: NetworkDeps) {
    this.#deps = deps;
  }

  /** From now on everything works as it should. */
  calm(): void {
    this.#friendly = true;
  }

  /** The network as one process sees it; the system lets go of its connections when it dies. */
  portsFor(user: NetworkUser): { readonly connect: Connect; readonly resolver: Resolver } {
    const addresses = (name: string, family: 4 | 6) =>
      this.#answer(`${family} ${name}`, HOSTS[name]?.[family] ?? [], name, user);
    return {
      connect: (endpoint, events, tls) => {
        const wire = new Wire(this, this.#wirePlan(endpoint.address, user.number), events, user.step);
        user.whenDead(() => wire.destroy());
        if (user.step(`connects to ${endpoint.address}`)) wire.open(tls !== undefined);
        return wire;
      },
      resolver: { mx: (name) => this.#answer(`MX ${name}`, MX[name] ?? [], name, user), addresses },
    };
  }

  #wirePlan(address: string, life: number): WirePlan {
    const number = ++this.#connections;
    const { servers, incidents, ...rest } = this.#deps;
    const mine = (each: Incident): each is WireIncident =>
      each.what === 'wire' && each.connection === number && !this.#friendly;
    const memory = this.#memories.get(address) ?? new Map<string, number>();
    this.#memories.set(address, memory);
    const script = this.#friendly ? {} : (servers[address] ?? {});
    return { ...rest, number, address, life, memory, script, incidents: incidents.filter(mine) };
  }

  async #answer<T>(
    question: string,
    records: readonly T[],
    name: string,
    user: NetworkUser,
  ): Promise<LookupResult<T>> {
    const number = ++this.#lookups;
    const incident = this.#deps.incidents.find((each) => each.what === 'dns' && each.lookup === number);
    if (!user.step(`asks for ${question}`)) return new Promise(() => {});
    await new Promise<void>((done) => this.#deps.clock.after(LATENCY, done));
    const deed = incident?.what === 'dns' && !this.#friendly ? incident.answer : null;
    if (deed !== null) this.#deps.trace(`lookup ${number}, ${question}: ${deed}`);
    switch (deed) {
      case null:
        break;
      case 'twice':
        return found([...records, ...records]);
      case 'reversed':
        return found([...records].reverse());
      default:
        return { kind: 'failed', fault: deed };
    }
    return isKnown(name) ? found(records) : { kind: 'failed', fault: 'no-domain' };
  }
}

function isKnown(name: string): boolean {
  return name in MX || name in HOSTS;
}

function found<T>(records: readonly T[]): LookupResult<T> {
  return records.length === 0 ? { kind: 'failed', fault: 'no-data' } : { kind: 'found', records };
}

interface WirePlan extends Pick<NetworkDeps, 'clock' | 'accepted' | 'lied' | 'trace'> {
  readonly number: number;
  readonly address: string;
  readonly life: number;
  readonly memory: ScriptMemory;
  readonly script: ServerScript;
  readonly incidents: readonly WireIncident[];
}

/** One connection. Both directions are queues of bytes with the same delay, so nothing overtakes anything. */
class Wire implements Connection {
  readonly #network: Network;
  readonly #plan: WirePlan;
  readonly #events: ConnectionEvents;
  readonly #step: (what: string) => boolean;
  readonly #server: ScriptedServer;
  readonly #reader = createLineReader();
  readonly #passed = { us: 0, server: 0 };
  /** the server has something to think about until then */
  #busyUntil = 0;
  #stands = false;
  /** nothing passes any more */
  #over = false;
  /** our side has let go of it; what it wrote before may still arrive */
  #deaf = false;
  #silent = false;
  #lied = false;
  /** accepted by the piece of input the server works on */
  #fresh: Acceptance | null = null;

  constructor(network: Network, plan: WirePlan, events: ConnectionEvents, step: (what: string) => boolean) {
    this.#network = network;
    this.#plan = plan;
    this.#events = events;
    this.#step = step;
    this.#server = new ScriptedServer(plan.script, plan.memory, (mail) => this.#accept(mail));
  }

  open(implicitTls: boolean): void {
    const { connect } = this.#plan.script;
    this.#later(LATENCY, () => {
      switch (connect) {
        case 'refused':
          return this.#cut({ kind: 'error', code: 'ECONNREFUSED', message: 'refused' });
        case 'unreachable':
          return this.#cut({ kind: 'error', code: 'EHOSTUNREACH', message: 'no route' });
        case 'silence':
          return;
        case undefined:
          if (this.#deaf) return;
          this.#stands = true;
          this.#network.open++;
          if (!this.#step(`connection ${this.#plan.number} stands`)) return;
          this.#events.connected();
          if (implicitTls) throw new Error('no server here speaks TLS from the first byte');
          this.#act(this.#server.greet());
      }
    });
  }

  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    if (this.#deaf || !this.#step(`writes ${bytes.length} bytes to connection ${this.#plan.number}`))
      return true;
    this.#later(LATENCY, () => this.#pass('us', bytes, (piece) => this.#serve(piece)));
    return true;
  }

  startTls(): void {
    this.#later(LATENCY, () => {
      if (this.#deaf) return;
      if (this.#plan.script.tlsBroken === true) this.#cut({ kind: 'tls', message: 'no TLS here' });
      else this.#events.secured({ protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: true });
    });
  }

  end(): void {}

  /** Also what the system does when the process dies. */
  destroy(): void {
    if (this.#stands) this.#network.open--;
    this.#stands = false;
    this.#deaf = true;
  }

  #later(milliseconds: number, call: () => void): void {
    this.#plan.clock.after(milliseconds, () => {
      if (!this.#over) call();
    });
  }

  #cut(reason: CloseReason): void {
    this.#over = true;
    if (this.#deaf) return;
    this.destroy();
    if (this.#step(`connection ${this.#plan.number} ends`)) this.#events.closed(reason);
  }

  /** Bytes on their way in one direction, with what happens to them there. */
  #pass(from: 'us' | 'server', bytes: string, arrive: (bytes: string) => void): void {
    if (this.#silent) return;
    const start = this.#passed[from];
    const incident = this.#plan.incidents.find(
      (each) => each.from === from && each.byte >= start && each.byte < start + bytes.length,
    );
    this.#passed[from] += bytes.length;
    if (incident === undefined) {
      arrive(bytes);
      return;
    }
    const { deed } = incident;
    this.#plan.trace(`connection ${this.#plan.number}: ${deed} before byte ${incident.byte} from ${from}`);
    const cut = incident.byte - start;
    if (cut > 0) arrive(bytes.slice(0, cut));
    if (this.#over) return;
    switch (deed) {
      case 'reset':
        this.#cut({ kind: 'error', code: 'ECONNRESET', message: 'reset' });
        return;
      case 'close':
        this.#cut({ kind: 'ended' });
        return;
      case 'silence':
        this.#silent = true;
        return;
      case 'early':
        this.#lied = true;
        this.#plan.lied();
        this.#hear('451 4.3.0 I was not asked\r\n');
        if (!this.#over) arrive(bytes.slice(cut));
        return;
      case 'pieces':
        for (const byte of bytes.slice(cut)) if (!this.#over) arrive(byte);
    }
  }

  #serve(bytes: string): void {
    // The end of a message apart from what follows it, so that its reply is known from the others.
    for (const piece of bytes.split(/(?<=\r\n\.\r\n)/)) {
      if (this.#over) return;
      this.#fresh = null;
      const acts = this.#server.receive(piece);
      this.#act(acts, this.#fresh);
    }
  }

  #accept(mail: Accepted): void {
    // A lone dot ends a transaction that nobody wants any more (RFC 2920 3.1).
    if (mail.body === '') return;
    this.#fresh = { ...mail, life: this.#plan.life, heard: false };
    this.#plan.accepted(this.#fresh);
  }

  #act(acts: readonly ServerAction[], acceptance: Acceptance | null = null): void {
    const now = this.#plan.clock.monotonic();
    this.#busyUntil = Math.max(this.#busyUntil, now);
    const said = acts.flatMap((act) => (act.do === 'send' ? [act.bytes] : [])).join('');
    for (const act of acts) if (act.do === 'wait') this.#busyUntil += act.milliseconds;
    const delay = this.#busyUntil - now + LATENCY;
    if (said !== '') {
      this.#later(delay, () => {
        let arrived = 0;
        this.#pass('server', said, (bytes) => {
          arrived += bytes.length;
          if (acceptance !== null && arrived === said.length) acceptance.heard = !this.#lied && !this.#deaf;
          this.#hear(bytes);
        });
      });
    }
    const end = acts.find((act) => act.do === 'close' || act.do === 'reset');
    if (end === undefined) return;
    this.#later(delay, () =>
      this.#cut(
        end.do === 'close' ? { kind: 'ended' } : { kind: 'error', code: 'ECONNRESET', message: 'reset' },
      ),
    );
  }

  #hear(bytes: string): void {
    if (this.#deaf || !this.#step(`hears ${JSON.stringify(bytes)} on connection ${this.#plan.number}`))
      return;
    const { lines, partial } = this.#reader.feed(Buffer.from(bytes, 'latin1'));
    if (lines.length > 0 || partial) this.#events.lines(lines, partial);
  }
}
