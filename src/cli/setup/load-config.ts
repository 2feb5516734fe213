/** What the settings stand for: relays parsed, certificates and charset loaded, clock and ports made. */

import { X509Certificate } from 'node:crypto';
import type { Dialect } from '../../delivery-list/job.ts';
import type { Keyring } from '../../dkim/keyring.ts';
import { type Charset, findCharset } from '../../message/charset.ts';
import { escapeControl } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import { systemClock } from '../../platform/clock.ts';
import { hostKey } from '../../platform/dns.ts';
import { inNetwork } from '../../platform/ip-address.ts';
import { machineName } from '../../platform/machine-name.ts';
import { ownAddresses } from '../../platform/own-addresses.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { readTextFile } from '../../platform/text-file.ts';
import type { CitadelConfig } from '../../queue/citadel/client/server-config.ts';
import type { ControlSettings } from '../../queue/control-message.ts';
import type { OpenRefused, SpoolDeps } from '../../queue/spool/open.ts';
import { destinationRules } from '../../routing/destination-rules.ts';
import type { Relay } from '../../routing/hosts.ts';
import { ehloNameFor } from '../../routing/own-address.ts';
import type { RelayKind } from '../../routing/relays.ts';
import { parseInternetConfig, parseRelayEntry } from '../../routing/relays.ts';
import type { LoadedConfig, RunRules } from '../../runner/rules.ts';
import { rulesFrom, scheduleFrom } from '../../runner/rules.ts';
import { entriesOf, fits } from '../../settings/destinations.ts';
import { hostName } from '../../settings/kinds.ts';
import { environmentName } from '../../settings/read.ts';
import { FROM_COMMAND_LINE, GIVEN, type SettingName, type Settings } from '../../settings/table.ts';
import { type Disk, nodeDisk } from '../../storage/disk.ts';
import { type ProcessTable, processTable } from '../../storage/processes.ts';
import type { CliError } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

/** An unusable value that is found only when it is used: a usage error if it was given on the command line. */
export function settingError(settings: Settings, name: SettingName, text: string): CliError {
  return cliError(text, settings[FROM_COMMAND_LINE].has(name) ? EXIT.usage : EXIT.config);
}

const CLOCKS = new WeakMap<NonNullable<Settings['now']>, Clock>();

/**
 * The system's clock, or one that shows the time of the setting `now` when it is asked for first. The same settings have the
 * same clock.
 */
export function clockFor({ now }: Pick<Settings, 'now'>): Clock {
  if (now === null) return systemClock;
  const shift = 'shift' in now ? now.shift : now.at * 1000 - systemClock.now();
  const clock = CLOCKS.get(now) ?? { ...systemClock, now: () => systemClock.now() + shift };
  CLOCKS.set(now, clock);
  return clock;
}

/** The state directory where the queue is inside a Citadel server; null: it is somewhere else. */
export function liveState({ state, postgres }: Settings): string | null {
  return postgres === null ? state : null;
}

/** The spool, or the directory with our own state where the queue is in PostgreSQL. */
export function spoolOf(settings: Settings): string | CliError {
  if (settings.postgres !== null) return besidePostgres(settings);
  if (settings.spool !== null) return settings.spool;
  return cliError(
    settings.state === null
      ? 'No spool given. Name it with --spool DIR.'
      : `The settings are for the queue inside a Citadel server (state ${settings.state}), which that server's own tools show. This command needs a spool: name it with --spool DIR.`,
    EXIT.usage,
  );
}

function besidePostgres({ spool, state }: Settings): string | CliError {
  if (spool !== null)
    return cliError(
      `Two queues given: the spool ${spool} and, with the setting postgres, one in a database. Leave one out.`,
      EXIT.usage,
    );
  if (state !== null) return state;
  return cliError(
    'No state directory given for the queue in PostgreSQL. Name it with --state DIR: spoolroom keeps what belongs to this machine there.',
    EXIT.usage,
  );
}

/** This process is the same whoever asks. */
let processes: ProcessTable | null = null;

export function spoolDeps(
  clock: Clock,
  warn: (text: string) => void,
  journalDisk: Disk = nodeDisk,
): SpoolDeps {
  processes ??= processTable(nodeDisk);
  return { disk: nodeDisk, journalDisk, clock, random: Math.random, processes, warn };
}

export function controlSettings(settings: Settings): ControlSettings {
  const { dialect } = settings;
  return { dialect, spans: scheduleFrom(settings).retry, longestList: settings['limit.list'] };
}

/** Null: no source of settings gives one. */
export function givenDialect(settings: Settings): Dialect | null {
  return settings[GIVEN].has('dialect') ? settings.dialect : null;
}

const REFUSALS: { readonly [why in OpenRefused['why']]: ExitCode } = {
  missing: EXIT.noInput,
  'not-a-directory': EXIT.noInput,
  'not-writable': EXIT.noPermission,
  denied: EXIT.noPermission,
  busy: EXIT.ok,
  journal: EXIT.data,
  disk: EXIT.io,
};

export function openError({ why, text, runner }: OpenRefused): CliError {
  return { ...cliError(text, REFUSALS[why]), ...(runner === undefined ? {} : { runner }) };
}

/** What a run knows of the machine it runs on. */
export interface Machine {
  /** null: as Citadel or the system has it */
  readonly hostname: string | null;
  /** addresses that are this machine */
  readonly interfaces: readonly string[];
  /** null: the full name, else an address of the interfaces */
  readonly ehloName: string | null;
}

/** For a simulation, whose result must not depend on where it runs. */
export const SIMULATED: Machine = { hostname: null, interfaces: [], ehloName: null };

/** The rules of a queue run, with all files they name read. */
export async function loadRules(settings: Settings, given?: Machine): Promise<RunRules | CliError> {
  const own = given === undefined ? ownAddresses() : { addresses: given.interfaces, problem: null };
  const machine = given ?? { ...SIMULATED, interfaces: own.addresses };
  const charset = charsetFrom(settings);
  if ('kind' in charset) return charset;
  const certificates = certificatesFrom(settings);
  if ('kind' in certificates) return certificates;
  const citadel = await citadelConfig(settings, certificates);
  if ('kind' in citadel) return citadel;
  const relays = relaysFrom(settings, citadel.internet.relays);
  if ('kind' in relays) return relays;
  const destinations = destinationRules(settings);
  if (typeof destinations === 'string')
    return settingError(settings, 'destinations', `setting destinations: ${destinations}.`);
  const signing = await signerFrom(settings);
  if ('kind' in signing) return signing;
  const { interfaces } = machine;
  const hostname = settings.hostname ?? machine.hostname ?? citadel.fqdn ?? machineName();
  const ehloName = machine.ehloName ?? ehloNameFor(hostname, interfaces);
  const rules = rulesFrom(settings, {
    hostname,
    ehloName,
    relays,
    charset,
    certificates,
    signer: signing.signer,
    warnings: [
      ...signing.warnings,
      ...(own.problem === null ? [] : [own.problem]),
      ...(ehloName === hostname ? [] : [shortName(hostname, ehloName)]),
    ],
    interfaces,
  });
  return { ...rules, warnings: [...rules.warnings, ...foreignAddresses(rules)] };
}

/**
 * The name that `loadRules` finds, for a process that needs nothing else of Citadel's configuration. Where that cannot be read
 * now, the process goes on under the name of the machine.
 */
export async function ownName(settings: Settings, warn: (text: string) => void): Promise<string> {
  if (settings.hostname !== null) return settings.hostname;
  if (settings['internet-config'] !== 'citadel') return machineName();
  const certificates = certificatesFrom(settings);
  const config = 'kind' in certificates ? certificates : await citadelConfig(settings, certificates);
  if (!('kind' in config)) return config.fqdn ?? machineName();
  warn(
    `${config.text} Until the next start the intake calls itself ${machineName()}, the name of this machine.`,
  );
  return machineName();
}

export function charsetFrom(settings: Settings): Charset | CliError {
  const found = findCharset(settings.charset);
  return found.kind === 'charset'
    ? found.charset
    : settingError(settings, 'charset', `setting charset: ${found.reason}.`);
}

/** All mail from such an address waits, unless the system lets programs use addresses that it does not have. */
export function foreignAddresses({ delivery }: Pick<RunRules, 'delivery'>): readonly string[] {
  const { interfaces = [], destinations } = delivery.routing;
  if (interfaces.length === 0) return [];
  const given = [
    ...delivery.localAddresses.map((address) => ({ name: 'local-address', address })),
    ...destinations.entries.flatMap(({ number, entry }) =>
      (entry['local-address'] ?? []).map((address) => ({
        name: `local-address of destinations entry ${number}`,
        address,
      })),
    ),
  ];
  const foreign = given.filter(({ address }) => !interfaces.some((own) => inNetwork(address, own)));
  return foreign.map(
    ({ name, address }) =>
      `${name} is ${address}, which this machine does not have, so mail that is to be sent from it waits. It has ${interfaces.join(', ')}.`,
  );
}

function shortName(hostname: string, ehloName: string): string {
  return `${hostname} is not a fully qualified domain name, so EHLO says ${ehloName}, which some servers refuse. Set hostname to the name that this machine has in the DNS.`;
}

async function signerFrom(settings: Settings): Promise<Pick<LoadedConfig, 'signer' | 'warnings'> | CliError> {
  const none = { signer: null, warnings: [] };
  const when = settings['dkim.sign'];
  if (when === 'never') return none;
  const keyring = await keyringFrom(settings);
  if (keyring === null) return none;
  if ('kind' in keyring) return keyring;
  const { createSigner } = await import('../../dkim/signer.ts');
  return { signer: createSigner(keyring.findKeys, when), warnings: keyring.warnings };
}

/** DKIM keys; what they need is loaded only where there are some. Null: the settings name none. */
export async function keyringFrom(settings: Settings): Promise<Keyring | null | CliError> {
  const given = {
    keys: settings['dkim.key'],
    keyTable: settings['dkim.key-table'],
    signingTable: settings['dkim.signing-table'],
  };
  if (given.keys.length === 0 && given.keyTable === null && given.signingTable === null) return null;
  const { loadKeyring } = await import('../../dkim/keyring.ts');
  const read = loadKeyring(given);
  return read.kind === 'keyring' ? read.keyring : cliError(read.text, EXIT.config);
}

export function certificatesFrom(settings: Settings): readonly string[] | CliError {
  const certificates: string[] = [];
  for (const file of settings['tls-ca']) {
    const read = readText(file, 'tls-ca');
    if (typeof read !== 'string') return read;
    if (!holdsCertificates(read)) {
      return cliError(
        `setting tls-ca: ${file} cannot be used: it does not hold complete certificates in PEM form.`,
        EXIT.config,
      );
    }
    certificates.push(read);
  }
  return certificates;
}

function holdsCertificates(text: string): boolean {
  const blocks = text.match(
    /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END (?:TRUSTED )?CERTIFICATE-----/g,
  );
  try {
    return blocks?.every((block) => new X509Certificate(block).subject !== null) ?? false;
  } catch {
    // OpenSSL's reason does not matter: it cannot be used.
    return false;
  }
}

/** The configuration of Citadel itself, from where the setting says. */
async function citadelConfig(
  settings: Settings,
  certificates: readonly string[],
): Promise<CitadelConfig | CliError> {
  const from = settings['internet-config'];
  const config = await configFrom(from, settings, certificates);
  if ('kind' in config) return config;
  const [problem] = config.internet.problems;
  if (problem === undefined) return config;
  return cliError(`${from}, line ${problem.line}: relay ${problem.shown}: ${problem.reason}`, EXIT.config);
}

async function configFrom(
  from: string | null,
  settings: Settings,
  certificates: readonly string[],
): Promise<CitadelConfig | CliError> {
  if (from === null) return { fqdn: null, internet: { relays: [], problems: [] } };
  if (from === 'citadel') {
    const { configOfServer } = await import('./citadel-server.ts');
    const config = await configOfServer(settings, certificates);
    if ('text' in config) return cliError(config.text, config.exit);
    const fqdn = config.fqdn === null ? null : hostName.read(config.fqdn);
    if (fqdn === null || fqdn.ok) return config;
    return cliError(
      `The Citadel server calls itself ${escapeControl(config.fqdn ?? '')}, which ${fqdn.problem}. Correct its name in its configuration, or set hostname.`,
      EXIT.config,
    );
  }
  const read = readText(from, 'internet-config');
  if (typeof read !== 'string') return read;
  if (read.trim() !== '' && !read.includes('|')) {
    return cliError(
      `setting internet-config: ${from} has no line like relay.example.org|smarthost, so no relay can be taken from it.`,
      EXIT.config,
    );
  }
  return { fqdn: null, internet: parseInternetConfig(read) };
}

function relaysFrom(settings: Settings, taken: readonly Relay[]): readonly Relay[] | CliError {
  const relays = [...taken];
  for (const kind of ['smarthost', 'fallbackhost'] as const satisfies readonly RelayKind[]) {
    for (const entry of settings[kind]) {
      const parsed = parseRelayEntry(entry, kind);
      if (parsed.kind === 'bad')
        return settingError(
          settings,
          kind,
          `setting ${kind}: ${parsed.shown}: ${parsed.reason}.${commaHint(settings, kind)}`,
        );
      relays.push(parsed.relay);
    }
  }
  return lessThanSmtps(settings, relays) ?? relays;
}

/** In the environment, a comma in a password makes two entries of one. */
function commaHint(settings: Settings, kind: RelayKind): string {
  const isCut = settings[kind].length > 1 && settings[GIVEN].get(kind)?.from === environmentName(kind);
  return isCut ? ' In the environment commas separate entries: write %2C for one in a user or password.' : '';
}

/** `smtps://` demands TLS from the first byte, so a word about that host that would do without it contradicts it. */
function lessThanSmtps(settings: Settings, relays: readonly Relay[]): CliError | null {
  const entries = entriesOf(settings);
  for (const { kind, host, scheme } of relays) {
    if (scheme !== 'smtps') continue;
    const name = hostKey(host);
    const looser = entries.find(
      ({ entry: { tls, host: hosts } }) =>
        tls !== undefined && tls !== 'require' && hosts?.some((pattern) => fits(pattern, name)) === true,
    );
    if (looser === undefined) continue;
    const { entry, setting, number } = looser;
    const says =
      setting === 'destinations' ? `tls ${entry.tls} in entry ${number} for ${name}` : `${name}=${entry.tls}`;
    return settingError(
      settings,
      setting,
      `setting ${setting} has ${says}, but setting ${kind} has smtps:// for that host, which demands TLS. Change one of them.`,
    );
  }
  return null;
}

function readText(file: string, setting: string): string | CliError {
  try {
    return readTextFile(file);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(`setting ${setting}: ${file} cannot be read: ${describeError(error)}.`, EXIT.config);
  }
}
