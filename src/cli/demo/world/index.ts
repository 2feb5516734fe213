/**
 * The servers that `spoolroom demo` delivers to: a DNS server and three SMTP servers on loopback. They contact no other machine
 * and write no file.
 *
 * A delivery uses one port number for all mail exchangers, so the servers have one port on three addresses.
 *
 * | domain | its mail |
 * |---|---|
 * | accepts.example | accepted |
 * | greylist.example | deferred at the first attempt, accepted at the next |
 * | refuses.example | accepted, except for nobody@refuses.example: no such mailbox |
 * | nomail.example | null MX: accepts no mail |
 * | any other domain | does not exist, for instance gone.example |
 */
import { startDnsServer, type Zones } from './dns-server.ts';
import {
  type AcceptedMessage,
  greylisting,
  type MailServer,
  type RecipientPolicy,
  startMailServer,
} from './mail-server.ts';

export interface DemoWorld {
  /** `127.0.0.1:port`, for the setting `dns` */
  readonly dns: string;
  /** for the setting `mx-port` */
  readonly smtpPort: number;
  /** what each server has accepted so far */
  accepted(): readonly { readonly server: string; readonly messages: readonly AcceptedMessage[] }[];
  close(): Promise<void>;
}

interface MailHost {
  readonly domain: string;
  readonly address: string;
  /** a new one for each demo: greylisting has a memory */
  readonly policy: () => RecipientPolicy;
}

const MAIL_HOSTS: readonly MailHost[] = [
  { domain: 'accepts.example', address: '127.0.0.1', policy: () => () => null },
  { domain: 'greylist.example', address: '127.0.0.2', policy: greylisting },
  { domain: 'refuses.example', address: '127.0.0.3', policy: () => refusing },
];

const refusing: RecipientPolicy = (recipient) =>
  recipient.toLowerCase() === 'nobody@refuses.example' ? { code: 550, text: 'No such mailbox here' } : null;

const ZONES: Zones = Object.fromEntries([
  ...MAIL_HOSTS.flatMap(({ domain, address }) => [
    [domain, { MX: [{ preference: 10, exchange: `mx.${domain}` }] }],
    [`mx.${domain}`, { A: [address] }],
  ]),
  ['nomail.example', { MX: [{ preference: 0, exchange: '' }] }],
]);

/** Rejects with a sentence for the user when the loopback addresses are not available. */
export async function startDemoWorld(): Promise<DemoWorld> {
  const dns = await startDnsServer(ZONES);
  const servers = await startMailServers().catch(async (error) => {
    await dns.close();
    throw error;
  });
  return {
    dns: dns.address,
    smtpPort: servers[0]?.port ?? 0,
    accepted: () => servers.map(({ name, accepted }) => ({ server: name, messages: accepted })),
    async close() {
      await Promise.all([dns.close(), ...servers.map((server) => server.close())]);
    },
  };
}

/** The first server takes a free port; if it is not free for the others, another one is tried. */
async function startMailServers(): Promise<readonly MailServer[]> {
  for (let attempt = 1; ; attempt++) {
    const servers: MailServer[] = [];
    try {
      for (const { domain, address, policy } of MAIL_HOSTS) {
        const listen = { name: `mx.${domain}`, host: address, port: servers[0]?.port ?? 0 };
        servers.push(await startMailServer(listen, policy()));
      }
      return servers;
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EADDRNOTAVAIL') throw new Error(noAddresses(), { cause: error });
      if (code !== 'EADDRINUSE' || attempt === 5) throw error;
    }
  }
}

function noAddresses(): string {
  const addresses = MAIL_HOSTS.map(({ address }) => address).join(', ');
  return (
    `The demo needs the loopback addresses ${addresses}; this system does not have all of them. ` +
    'On macOS, for instance, "sudo ifconfig lo0 alias 127.0.0.2 up" adds one until the next restart.'
  );
}
