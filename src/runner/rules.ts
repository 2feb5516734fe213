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
import type { DueOptions } from '../queue/due.ts';
import type { Schedule } from '../queue/schedule.ts';
import { type DestinationRules, destinationRules, type HostRules } from '../routing/destination-rules.ts';
import { type Host, isRelay, type Relay, type TlsPolicy } from '../routing/hosts.ts';
import type { Settings } from '../settings/table.ts';
import type { Extension } from '../smtp/capabilities.ts';
import type { SuppressionRules } from './suppression-list.ts';

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
  const destinations = rulesOfDestinations(settings);
  const rulesOf = (host: Host): HostRules => destinations.forHost(host);
  const tlsOf = (host: Host): TlsPolicy => tlsPolicy(settings, host, rulesOf(host));
  return {
    routing: {
      relays,
      destinations,
      ownNames: [hostname.toLowerCase()],
      mxPort: settings['mx-port'],
      interfaces,
      loops: settings['allow-loops']
        ? null
        : { addresses: interfaces, ports: [25, ...intakePorts(settings)] },
    },
    limits: {
      sessions: settings['limit.sessions'],
      destination: settings['limit.destination'],
      host: settings['limit.host'],
      messages: settings['limit.messages'],
      recipients: settings['limit.recipients'],
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
    policyFor: (host, withoutTls) => {
      const { authInClear, extensionsOff, mechanism } = rulesOf(host);
      const tls = tlsOf(host);
      return {
        ehloName,
        tls: withoutTls && tls === 'opportunistic' ? 'none' : tls,
        credentials: host.credentials !== null,
        authInClear,
        recipients: settings['limit.recipients'],
        ...(host.protection?.required === true ? { requireTls: true } : {}),
        ...(isRelay(host) ? { relay: true } : {}),
        ...(extensionsOff.length === 0 ? {} : { without: extensionsOff as readonly Extension[] }),
        ...(mechanism === null ? {} : { mechanism }),
      };
    },
    tlsFor: (host) => {
      const { pins, tls } = rulesOf(host);
      return {
        serverName: host.name,
        verify: tlsOf(host) !== 'opportunistic' && !isEncryptionEnough(host, settings, tls),
        ca: certificates,
        ...(pins.length === 0 ? {} : { pins }),
        ...daneFor(host),
      };
    },
  };
}

/** They have been read before (cli/setup/load-config.ts), where what is wrong with them is told. */
function rulesOfDestinations(settings: Settings): DestinationRules {
  const rules = destinationRules(settings);
  if (typeof rules === 'string') throw new Error(`destinations: ${rules}`);
  return rules;
}

/** Ports at which our own intake listens; sockets have none. */
export function intakePorts(settings: Settings): readonly number[] {
  return settings['intake.listen'].flatMap((place) => {
    const port = /(?:^|:)(\d{1,5})$/.exec(place)?.[1];
    return port === undefined ? [] : [Number(port)];
  });
}

/** The name in SNI is the one that the records belong to (RFC 7672 8.1). */
function daneFor({ protection }: Host): Pick<TlsOptions, 'dane'> & { readonly serverName?: string } {
  if (protection?.demands !== 'dane') return {};
  const { records, names } = protection;
  const [serverName] = names;
  return { dane: { records, names }, ...(serverName === undefined ? {} : { serverName }) };
}

/** Records that cannot be used say that the host has TLS; the settings alone may ask for more. */
function isEncryptionEnough({ protection }: Host, settings: Settings, tls: HostRules['tls']): boolean {
  return protection?.demands === 'encryption' && (tls ?? settings.tls) !== 'require';
}

/**
 * What the sender of a message demands comes first. What is said of a host by its name counts, before any policy of its domain; a word about a group of hosts never makes a policy
 * looser. A pin demands TLS, or a certificate that is none of the pinned ones would only lead to clear text. A host that is given
 * a password proves who it is, others cannot unless their domain's policies help.
 */
function tlsPolicy(settings: Settings, host: Host, { pins, tls, isTlsByName }: HostRules): TlsPolicy {
  if (host.implicitTls) return 'implicit';
  if (host.protection?.required === true) return 'require';
  if (pins.length > 0) return 'require';
  if (tls !== null && isTlsByName) return tls;
  if (host.protection !== undefined) return 'require';
  if (tls !== null) return tls;
  const general = isRelay(host) ? settings['relay-tls'] : settings.tls;
  if (general !== 'auto' && (isRelay(host) || host.credentials === null)) return general;
  return host.credentials === null ? 'opportunistic' : 'require';
}

export function suppressionRules(settings: Settings): SuppressionRules {
  return { after: settings['suppress.after'], age: Math.round(settings['suppress.age'] / 1000) };
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
