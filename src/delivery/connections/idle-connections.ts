/** Connections that nobody uses now, kept for the next attempt that leads the same way. */
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { ConnectionTarget } from './target.ts';

export class IdleConnections {
  /** by name of the target, none without a client */
  readonly #idle = new Map<string, { readonly target: ConnectionTarget; readonly clients: SmtpClient[] }>();

  add(target: ConnectionTarget, client: SmtpClient): void {
    const idle = this.#idle.get(target.name);
    if (idle === undefined) this.#idle.set(target.name, { target, clients: [client] });
    else idle.clients.push(client);
  }

  /** One for the caller alone. */
  take(target: ConnectionTarget): SmtpClient | undefined {
    const client = this.#idle.get(target.name)?.clients.at(-1);
    if (client !== undefined) this.delete(target, client);
    return client;
  }

  delete({ name }: ConnectionTarget, client: SmtpClient): void {
    const clients = this.#idle.get(name)?.clients ?? [];
    if (clients.includes(client)) clients.splice(clients.indexOf(client), 1);
    if (clients.length === 0) this.#idle.delete(name);
  }

  /** One whose target fits. */
  first(fits: (target: ConnectionTarget) => boolean): SmtpClient | undefined {
    for (const { target, clients } of this.#idle.values())
      if (clients[0] !== undefined && fits(target)) return clients[0];
    return undefined;
  }

  /** All of them, as they are now. */
  all(): readonly { readonly target: ConnectionTarget; readonly client: SmtpClient }[] {
    return [...this.#idle.values()].flatMap(({ target, clients }) =>
      clients.map((client) => ({ target, client })),
    );
  }
}
