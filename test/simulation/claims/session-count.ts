/**
 * Sessions that are open at each address, in all processes together. One counts from its connection to its QUIT, while the lease
 * under which it was opened is alive by the clock of the database and its process is not dead: those may never be more than the limit.
 */
import type { Connect, Connection, ConnectionEvents } from '#net-stream-utils';

interface OpenSession {
  readonly address: string;
  readonly epoch: number | null;
  readonly isDead: () => boolean;
}

export class SessionCount {
  readonly #limit: number;
  readonly #isAlive: (epoch: number) => boolean;
  readonly #open = new Set<OpenSession>();
  /** the most at one address */
  most = 0;
  readonly violations: string[] = [];

  constructor(limit: number, isAlive: (epoch: number) => boolean) {
    this.#limit = limit;
    this.#isAlive = isAlive;
  }

  /** The same connections, counted. */
  counted(connect: Connect, process: { epoch(): number | null; isDead(): boolean }): Connect {
    return (endpoint, events, tls) => {
      const { address } = endpoint;
      const session = { address, epoch: process.epoch(), isDead: () => process.isDead() };
      this.#open.add(session);
      this.#check(address);
      const end = (): void => void this.#open.delete(session);
      const heard: ConnectionEvents = {
        connected: () => events.connected(),
        secured: (facts) => events.secured(facts),
        lines: (lines, partial) => events.lines(lines, partial),
        drained: () => events.drained(),
        closed: (reason) => {
          end();
          events.closed(reason);
        },
      };
      const real = connect(endpoint, heard, tls);
      const counted: Connection = {
        write: (data) => {
          if (/(?:^|\n)QUIT\r\n$/.test(String(data))) end();
          return real.write(data);
        },
        startTls: (options) => real.startTls(options),
        end: () => real.end(),
        destroy: () => {
          end();
          real.destroy();
        },
      };
      return counted;
    };
  }

  #check(address: string): void {
    const open = [...this.#open].filter(
      (each) =>
        each.address === address && !each.isDead() && each.epoch !== null && this.#isAlive(each.epoch),
    );
    this.most = Math.max(this.most, open.length);
    if (open.length > this.#limit)
      this.violations.push(`${open.length} sessions with ${address}, where ${this.#limit} are allowed`);
  }
}
