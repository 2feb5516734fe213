/**
 * A simulated network: connections to scripted servers that can be closed, silenced or split at any byte, and a DNS whose
 * answers can be wrong. Knows which final replies were received completely: without one, a second delivery is allowed.
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
  readonly process: number;
  /** the final reply was received completely, and no unsolicited reply can have been taken for it */
  heard: boolean;
}

export interface NetworkDeps {
  readonly clock: Clock;
  readonly servers: { readonly [address: string]: ServerScript };
  readonly incidents: readonly Incident[];
  readonly accepted: (acceptance: Acceptance) => void;
  /** a server sent a reply without a command */
  readonly unsolicited: () => void;
  readonly trace: (line: string) => void;
}

/** A process that uses the network. */
export interface NetworkUser {
  readonly number: number;
  /** To be called before anything arrives or leaves. False: the process is dead, and nothing may. */
  step(what: string): boolean;
  whenDead(call: () => void): void;
}

type ConnectionIncident = Extract<Incident, { what: 'connection' }>;

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
  /** how many connections are open */
  open = 0;
  readonly #deps: NetworkDeps;
  readonly #memories = new Map<string, ScriptMemory>();
  #connections = 0;
  #lookups = 0;
  #isFaultless = false;

  constructor(deps: NetworkDeps) {
    this.#deps = deps;
  }

  /** From now on there are no faults. */
  endFaults(): void {
    this.#isFaultless = true;
  }

  /** The network as one process sees it; its connections are destroyed when it dies. */
  portsFor(user: NetworkUser): { readonly connect: Connect; readonly resolver: Resolver } {
    const addresses = (name: string, family: 4 | 6) =>
      this.#answer(`${family} ${name}`, HOSTS[name]?.[family] ?? [], name, user);
    return {
      connect: (endpoint, events, tls) => {
        const connection = new SimulatedConnection(
          this,
          this.#connectionPlan(endpoint.address, user.number),
          events,
          user.step,
        );
        user.whenDead(() => connection.destroy());
        if (user.step(`connects to ${endpoint.address}`)) connection.open(tls !== undefined);
        return connection;
      },
      resolver: { mx: (name) => this.#answer(`MX ${name}`, MX[name] ?? [], name, user), addresses },
    };
  }

  #connectionPlan(address: string, process: number): ConnectionPlan {
    const number = ++this.#connections;
    const { servers, incidents, ...rest } = this.#deps;
    const mine = (each: Incident): each is ConnectionIncident =>
      each.what === 'connection' && each.connection === number && !this.#isFaultless;
    const memory = this.#memories.get(address) ?? new Map<string, number>();
    this.#memories.set(address, memory);
    const script = this.#isFaultless ? {} : (servers[address] ?? {});
    return { ...rest, number, address, process, memory, script, incidents: incidents.filter(mine) };
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
    const fault = incident?.what === 'dns' && !this.#isFaultless ? incident.answer : null;
    if (fault !== null) this.#deps.trace(`lookup ${number}, ${question}: ${fault}`);
    switch (fault) {
      case null:
        break;
      case 'twice':
        return found([...records, ...records]);
      case 'reversed':
        return found([...records].reverse());
      default:
        return { kind: 'failed', fault: fault };
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

interface ConnectionPlan extends Pick<NetworkDeps, 'clock' | 'accepted' | 'unsolicited' | 'trace'> {
  readonly number: number;
  readonly address: string;
  readonly process: number;
  readonly memory: ScriptMemory;
  readonly script: ServerScript;
  readonly incidents: readonly ConnectionIncident[];
}

/** One connection. Both directions are queues of bytes with the same delay, so nothing overtakes anything. */
class SimulatedConnection implements Connection {
  readonly #network: Network;
  readonly #plan: ConnectionPlan;
  readonly #events: ConnectionEvents;
  readonly #step: (what: string) => boolean;
  readonly #server: ScriptedServer;
  readonly #reader = createLineReader();
  readonly #passed = { us: 0, server: 0 };
  /** the server answers after this time at the earliest */
  #busyUntil = 0;
  #isOpen = false;
  /** nothing is transmitted any more */
  #isClosed = false;
  /** our side has destroyed it; what it wrote before may still arrive */
  #isDestroyed = false;
  #silent = false;
  #sentUnsolicited = false;
  /** accepted in the piece of input that the server is processing */
  #fresh: Acceptance | null = null;

  constructor(
    network: Network,
    plan: ConnectionPlan,
    events: ConnectionEvents,
    step: (what: string) => boolean,
  ) {
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
          if (this.#isDestroyed) return;
          this.#isOpen = true;
          this.#network.open++;
          if (!this.#step(`connection ${this.#plan.number} is open`)) return;
          this.#events.connected();
          if (implicitTls) throw new Error('no server here speaks TLS from the first byte');
          this.#act(this.#server.greet());
      }
    });
  }

  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    if (this.#isDestroyed || !this.#step(`writes ${bytes.length} bytes to connection ${this.#plan.number}`))
      return true;
    this.#later(LATENCY, () => this.#pass('us', bytes, (piece) => this.#serve(piece)));
    return true;
  }

  startTls(): void {
    this.#later(LATENCY, () => {
      if (this.#isDestroyed) return;
      if (this.#plan.script.tlsBroken === true) this.#cut({ kind: 'tls', message: 'no TLS here' });
      else this.#events.secured({ protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', proof: 'pkix' });
    });
  }

  end(): void {}

  /** The system does this too when the process dies. */
  destroy(): void {
    if (this.#isOpen) this.#network.open--;
    this.#isOpen = false;
    this.#isDestroyed = true;
  }

  #later(milliseconds: number, call: () => void): void {
    this.#plan.clock.after(milliseconds, () => {
      if (!this.#isClosed) call();
    });
  }

  #cut(reason: CloseReason): void {
    this.#isClosed = true;
    if (this.#isDestroyed) return;
    this.destroy();
    if (this.#step(`connection ${this.#plan.number} ends`)) this.#events.closed(reason);
  }

  /** Transmits bytes in one direction, with the incidents among them. */
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
    const { fault } = incident;
    this.#plan.trace(`connection ${this.#plan.number}: ${fault} before byte ${incident.byte} from ${from}`);
    const cut = incident.byte - start;
    if (cut > 0) arrive(bytes.slice(0, cut));
    if (this.#isClosed) return;
    switch (fault) {
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
        this.#sentUnsolicited = true;
        this.#plan.unsolicited();
        this.#hear('451 4.3.0 I was not asked\r\n');
        if (!this.#isClosed) arrive(bytes.slice(cut));
        return;
      case 'pieces':
        for (const byte of bytes.slice(cut)) if (!this.#isClosed) arrive(byte);
    }
  }

  #serve(bytes: string): void {
    // Split after the end of a message, so that its reply is known from those that follow.
    for (const piece of bytes.split(/(?<=\r\n\.\r\n)/)) {
      if (this.#isClosed) return;
      this.#fresh = null;
      const acts = this.#server.receive(piece);
      this.#act(acts, this.#fresh);
    }
  }

  #accept(mail: Accepted): void {
    // A lone dot ends a transaction without accepted recipients (RFC 2920 3.1).
    if (mail.body === '') return;
    this.#fresh = { ...mail, process: this.#plan.process, heard: false };
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
          if (acceptance !== null && arrived === said.length)
            acceptance.heard = !this.#sentUnsolicited && !this.#isDestroyed;
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
    if (
      this.#isDestroyed ||
      !this.#step(`receives ${JSON.stringify(bytes)} on connection ${this.#plan.number}`)
    )
      return;
    const { lines, partial } = this.#reader.feed(bytes);
    if (lines.length > 0 || partial) this.#events.lines(lines, partial);
  }
}
