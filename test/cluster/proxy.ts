/**
 * The network between one worker and one server: everything goes through here, until it is cut. Then nothing comes through, in
 * either direction, and nobody is told: what was sent waits, as it does in the kernel of a machine that cannot reach the other. It
 * needs no rights, and cuts off one worker alone.
 */
import { once } from 'node:events';
import net from 'node:net';

/** Milliseconds after which a server finds out that a client is gone. */
const SILENCE = 10_000;

export class Link {
  readonly #server: net.Server;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  readonly #waiting = new Set<net.Socket>();
  readonly #socket: string;
  #isCut = false;

  private constructor(socket: string) {
    this.#socket = socket;
    this.#server = net.createServer({ pauseOnConnect: true }, (client) => {
      client.on('error', () => {});
      this.#waiting.add(client);
      if (!this.#isCut) this.#connect(client);
    });
  }

  /** @param socket path of the server's */
  static async to(socket: string): Promise<Link> {
    const link = new Link(socket);
    await once(link.#server.listen(0, '127.0.0.1'), 'listening');
    return link;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const pair of this.#pairs)
      for (const end of pair) {
        end.unpipe();
        end.pause();
      }
  }

  /** What waited goes on; or the clients hear that their connections are unknown, and the server hears nothing for a long time. */
  mend(how: 'resume' | 'reset'): void {
    this.#isCut = false;
    for (const pair of this.#pairs) {
      const [client, server] = pair;
      if (how === 'resume' && !client.destroyed && !server.destroyed) join(client, server);
      else {
        this.#pairs.delete(pair);
        if (!client.destroyed) client.resetAndDestroy();
        setTimeout(() => server.destroy(), SILENCE).unref();
      }
    }
    for (const client of this.#waiting) this.#connect(client);
  }

  close(): void {
    this.#server.close();
    for (const client of this.#waiting) client.destroy();
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  #connect(client: net.Socket): void {
    this.#waiting.delete(client);
    if (client.destroyed) return;
    const server = net.connect(this.#socket);
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    for (const end of pair) {
      end.on('error', () => {});
      end.on('close', () => {
        if (this.#isCut || !this.#pairs.delete(pair)) return;
        for (const other of pair) other.destroy();
      });
    }
    join(client, server);
  }
}

function join(client: net.Socket, server: net.Socket): void {
  client.pipe(server);
  server.pipe(client);
}
