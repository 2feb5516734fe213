/**
 * The rules of a queue run as data, made once from the settings and the files that they name. The queue run
 * and everything below it see rules only, never settings, files or the environment.
 */
import type { TlsOptions } from '#net-stream-utils';
import type { DeliveryRules } from '../delivery/rules.ts';
import type { Signer } from '../dkim/signer.ts';
import type { Charset } from '../message/charset.ts';
import type { RenderOptions } from '../message/render.ts';
import type { ByteString } from '../platform/bytes.ts';
import { hostKey } from '../platform/dns.ts';
import type { DueOptions } from '../queue/due.ts';
import type { Schedule } from '../queue/schedule.ts';
import { type Host, isRelay, type Relay, type TlsPolicy } from '../routing/hosts.ts';
import { byHost } from '../settings/contradictions.ts';
import type { Settings } from '../settings/table.ts';
import type { Extension } from '../smtp/capabilities.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Mechanism } from '../smtp/mechanisms.ts';

export interface RunRules {
  readonly delivery: DeliveryRules;
  readonly due: DueOptions;
  readonly render: RenderOptions;
  /** a name or an address literal */
  readonly ehloName: string;
  /** envelope sender of mail that names none */
  readonly postmaster: ByteString;
  /** null: nothing is signed */
  readonly signer: Signer | null;
  /** what should be mended in the configuration, in full sentences */
  readonly warnings: readonly string[];
  /** milliseconds after which a run that is still busy looks for new jobs */
  readonly pollInterval: number;
}

/** What stands behind settings that name something else: files read, names asked for. */
export interface LoadedConfig {
  /** name of this machine */
  readonly hostname: string;
  /** a name or an address literal */
  readonly ehloName: string;
  readonly relays: readonly Relay[];
  readonly charset: Charset;
  /** PEM */
  readonly certificates: readonly string[];
  /** null: nothing is signed */
  readonly signer: Signer | null;
  /** what should be mended in the configuration, in full sentences */
  readonly warnings: readonly string[];
  /** addresses of this machine's network interfaces */
  readonly interfaces: readonly string[];
}

export function rulesFrom(settings: Settings, config: LoadedConfig): RunRules {
  const hostname = settings.hostname ?? config.hostname;
  return {
    delivery: dispatchRules(settings, config, hostname),
    ehloName: config.ehloName,
    due: { schedule: scheduleFrom(settings), force: false },
    render: {
      order: settings['header-order'],
      fqdn: hostname,
      nodeName: '',
      legacy: config.charset,
      zoneMinutes: 0,
    },
    signer: config.signer,
    warnings: config.warnings,
    pollInterval: settings.poll,
    postmaster: settings.postmaster ?? `postmaster@${hostname}`,
  };
}

function dispatchRules(
  settings: Settings,
  { relays, certificates, interfaces, ehloName }: LoadedConfig,
  hostname: string,
): DeliveryRules {
  const pins = byHost(settings['tls-pin']);
  const tlsOf = tlsPolicies(settings, pins);
  const off = byHost(settings['extension-off']);
  const mechanisms = byHost(settings['auth-mechanism']);
  const inClear = new Set(settings['auth-in-clear'].map(hostKey));
  return {
    routing: {
      relays,
      ownNames: [hostname.toLowerCase()],
      mxPort: settings['mx-port'],
      loops: settings['allow-loops']
        ? null
        : { addresses: interfaces, ports: [25, ...intakePorts(settings)] },
      tlsBySetting: new Set([...pins.keys(), ...byHost(settings['tls-host']).keys()]),
    },
    limits: {
      sessions: settings['limit.sessions'],
      destination: settings['limit.destination'],
      host: settings['limit.host'],
      messages: settings['limit.messages'],
      rate: settings['limit.rate'],
    },
    deadlines: {
      connect: settings['timeout.connect'],
      greeting: settings['timeout.greeting'],
      ehlo: settings['timeout.ehlo'],
      starttls: settings['timeout.starttls'],
      handshake: settings['timeout.handshake'],
      auth: settings['timeout.auth'],
      idle: settings['timeout.idle'],
      mail: settings['timeout.mail'],
      rcpt: settings['timeout.rcpt'],
      data: settings['timeout.data'],
      body: settings['timeout.body'],
      dot: settings['timeout.dot'],
      rset: settings['timeout.rset'],
      quit: settings['timeout.quit'],
      silence: settings['timeout.silence'],
      delivery: settings['timeout.delivery'],
      stop: settings['timeout.stop'],
    },
    localAddresses: settings['local-address'],
    policyFor: (host, withoutTls) => ({
      ehloName,
      tls: withoutTls && tlsOf(host) === 'opportunistic' ? 'none' : tlsOf(host),
      credentials: host.credentials !== null,
      authInClear: inClear.has(hostKey(host.name)),
      recipients: settings['limit.recipients'],
      ...extensionsOff(host, off),
      ...mechanismFor(host, mechanisms),
    }),
    tlsFor: (host) => ({
      serverName: host.name,
      verify: tlsOf(host) !== 'opportunistic' && !isEncryptionEnough(host, settings),
      ca: certificates,
      ...pinsFor(host, pins),
      ...daneFor(host),
    }),
  };
}

/** Ports at which our own intake listens; sockets have none. */
export function intakePorts(settings: Settings): readonly number[] {
  return settings['intake.listen'].flatMap((place) => {
    const port = /(?:^|:)(\d{1,5})$/.exec(place)?.[1];
    return port === undefined ? [] : [Number(port)];
  });
}

function pinsFor(host: Host, pins: ReadonlyMap<string, readonly string[]>): Pick<TlsOptions, 'pins'> {
  const own = pins.get(hostKey(host.name));
  return own === undefined ? {} : { pins: own };
}

function mechanismFor(
  host: Host,
  mechanisms: ReadonlyMap<string, readonly string[]>,
): Pick<SessionPolicy, 'mechanism'> {
  const mechanism = mechanisms.get(hostKey(host.name))?.at(-1);
  return mechanism === undefined ? {} : { mechanism: mechanism as Mechanism };
}

function extensionsOff(
  host: Host,
  off: ReadonlyMap<string, readonly string[]>,
): Pick<SessionPolicy, 'without'> {
  const without = ['*', hostKey(host.name)].flatMap((name) => off.get(name) ?? []);
  return without.length === 0 ? {} : { without: without as Extension[] };
}

/** The name in SNI is the one that the records belong to (RFC 7672 8.1). */
function daneFor({ protection }: Host): Pick<TlsOptions, 'dane'> & { readonly serverName?: string } {
  if (protection?.demands !== 'dane') return {};
  const { records, names } = protection;
  const [serverName] = names;
  return { dane: { records, names }, ...(serverName === undefined ? {} : { serverName }) };
}

/** Records that cannot be used say that the host has TLS; the setting alone may ask for more. */
function isEncryptionEnough({ protection }: Host, settings: Settings): boolean {
  return protection?.demands === 'encryption' && settings.tls !== 'require';
}

/**
 * What is said of a host by name counts, before any policy of its domain; a pin demands TLS, or a certificate that is none of
 * the pinned ones would only lead to clear text. A relay that is given a password proves who it is, an MX host cannot unless
 * its domain's policies help.
 */
function tlsPolicies(
  settings: Settings,
  pins: ReadonlyMap<string, readonly string[]>,
): (host: Host) => TlsPolicy {
  const named = byHost(settings['tls-host']);
  return (host) => {
    if (host.implicitTls) return 'implicit';
    if (pins.has(hostKey(host.name))) return 'require';
    const policy = named.get(hostKey(host.name))?.at(-1);
    if (policy !== undefined) return policy as TlsPolicy;
    if (host.protection !== undefined) return 'require';
    if (!isRelay(host)) return settings.tls;
    if (settings['relay-tls'] !== 'auto') return settings['relay-tls'];
    return host.credentials === null ? 'opportunistic' : 'require';
  };
}

/** Seconds: what the delivery lists count in. */
export function scheduleFrom(settings: Settings): Schedule {
  const seconds = (milliseconds: number): number => Math.round(milliseconds / 1000);
  return {
    retry: { first: seconds(settings['retry.first']), ceiling: seconds(settings['retry.ceiling']) },
    earlyRetry: seconds(settings['retry.early']),
    earlyPeriod: seconds(settings['retry.notice']),
    lateRetry: seconds(settings['retry.late']),
    noticeAfter: seconds(settings['retry.notice']),
    giveUpAfter: seconds(settings['retry.giveup']),
  };
}
