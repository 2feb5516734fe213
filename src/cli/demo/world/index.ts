/**
 * The world `spoolroom demo` delivers to: a DNS server and three SMTP servers on loopback, all real. The command
 * loads this file when it runs, nobody else does; it reaches no other machine and writes no file.
 *
 * A delivery uses one port number for all mail exchangers, so the servers have one port on three addresses.
 *
 * | domain | what becomes of its mail |
 * |---|---|
 * | accepts.example | accepted |
 * | greylist.example | refused for now at the first attempt, accepted at the next |
 * | refuses.example | accepted, but for nobody@refuses.example: no such mailbox |
 * | nomail.example | null MX: takes no mail |
 * | every other one | does not exist, for instance gone.example |
 */
import { startDnsServer, type Zones } from './dns-server.ts';
import {
  type AcceptedMail,
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
  accepted(): readonly { readonly server: string; readonly messages: readonly AcceptedMail[] }[];
  close(): Promise<void>;
}

interface Inhabitant {
  readonly domain: string;
  readonly address: string;
  /** made anew for each world: greylisting remembers */
  readonly judge: () => RecipientPolicy;
}

const INHABITANTS: readonly Inhabitant[] = [
  { domain: 'accepts.example', address: '127.0.0.1', judge: () => () => null },
  { domain: 'greylist.example', address: '127.0.0.2', judge: greylisting },
  { domain: 'refuses.example', address: '127.0.0.3', judge: () => refusing },
];

const refusing: RecipientPolicy = (recipient) =>
  recipient.toLowerCase() === 'nobody@refuses.example' ? { code: 550, text: 'No such mailbox here' } : null;

const ZONES: Zones = Object.fromEntries([
  ...INHABITANTS.flatMap(({ domain, address }) => [
    [domain, { MX: [{ preference: 10, exchange: `mx.${domain}` }] }],
    [`mx.${domain}`, { A: [address] }],
  ]),
  ['nomail.example', { MX: [{ preference: 0, exchange: '' }] }],
]);

/** Rejects with an Error for people when the loopback addresses cannot be had. */
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

/** The first server takes a free port; where it is not free for the others, another one is tried. */
async function startMailServers(): Promise<readonly MailServer[]> {
  for (let attempt = 1; ; attempt++) {
    const servers: MailServer[] = [];
    try {
      for (const { domain, address, judge } of INHABITANTS) {
        const place = { name: `mx.${domain}`, host: address, port: servers[0]?.port ?? 0 };
        servers.push(await startMailServer(place, judge()));
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
  const addresses = INHABITANTS.map(({ address }) => address).join(', ');
  return (
    `the demonstration needs the loopback addresses ${addresses}, and this system lacks one of them. ` +
    'On macOS, for instance, "sudo ifconfig lo0 alias 127.0.0.2 up" adds one until the next start.'
  );
}
