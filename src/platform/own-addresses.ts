/** The addresses of the network interfaces of this machine. */
import { networkInterfaces } from 'node:os';

export interface OwnAddresses {
  /** at least those of the loopback interface */
  readonly addresses: readonly string[];
  /** a full sentence where the system does not tell them, as to a service that may use no netlink sockets; else null */
  readonly problem: string | null;
}

export function ownAddresses(read: typeof networkInterfaces = networkInterfaces): OwnAddresses {
  try {
    const addresses = Object.values(read()).flatMap((each = []) => each.map(({ address }) => address));
    return { addresses, problem: null };
  } catch (error) {
    // Node's own error has no code of the system.
    const why = error instanceof Error ? error.message : String(error);
    return {
      addresses: ['127.0.0.1', '::1'],
      problem: `The addresses of this machine cannot be read (${why}), so an MX host that is this machine is not recognised by its address, and a message for it may go in a circle. In the unit of a service, RestrictAddressFamilies= needs AF_NETLINK.`,
    };
  }
}
