/**
 * Access to the running Citadel server in the settings: its address, the protection of the connection, the account we log
 * in with; and its configuration.
 */
import { isIP } from 'node:net';
import { connect } from '#net-stream-utils';
import { systemClock } from '../../platform/clock.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { type Login, readLogin } from '../../queue/citadel/client/login.ts';
import { type CitadelServer, citadelServer } from '../../queue/citadel/client/server.ts';
import { type CitadelConfig, readCitadelConfig } from '../../queue/citadel/client/server-config.ts';
import { QueueRoomMissing, type ServerAddress } from '../../queue/citadel/client/session.ts';
import { FROM_COMMAND_LINE, type Settings } from '../../settings/table.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export interface NoAccess {
  readonly kind: 'no-access';
  /** a full sentence */
  readonly text: string;
  readonly exit: ExitCode;
  /** what to do, in another sentence; absent: the text or the settings show it */
  readonly advice?: string;
}

export interface Access {
  readonly kind: 'access';
  readonly server: ServerAddress;
  readonly login: Login;
}

function noAccess(text: string, exit: ExitCode = EXIT.config): NoAccess {
  return { kind: 'no-access', text, exit };
}

/** @param certificates PEM, trusted in addition to those of the system */
export function citadelAccess(settings: Settings, certificates: readonly string[]): Access | NoAccess {
  const { citadel, 'citadel-login': file } = settings;
  if (citadel === null)
    return noAccess(
      'No Citadel server given. Name its socket with --citadel /path/citadel.socket.',
      EXIT.usage,
    );
  if (file === null) {
    return noAccess(
      'No login for the Citadel server given. Name a file with --citadel-login that holds the name and the password of an administrator, a line each.',
      EXIT.usage,
    );
  }
  const server = addressOf(citadel, settings, certificates);
  if (server === null) {
    const text = `setting citadel: "${citadel}" is neither the /path of a socket nor ADDRESS:PORT.`;
    return noAccess(text, settings[FROM_COMMAND_LINE].has('citadel') ? EXIT.usage : EXIT.config);
  }
  const read = readLogin(file);
  return read.kind === 'refused' ? noAccess(read.text) : { kind: 'access', server, login: read.login };
}

/** With TLS where the connection leaves this machine. Null: the text is not an address. */
function addressOf(text: string, settings: Settings, certificates: readonly string[]): ServerAddress | null {
  if (text.startsWith('/')) return { endpoint: { address: text, port: 0 }, tls: null };
  const [, six, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = plain.toLowerCase() === 'localhost' ? '127.0.0.1' : (six ?? plain);
  const port = Number(digits);
  if (isIP(address) === 0 || !(port >= 1 && port <= 65_535)) return null;
  const endpoint = { address, port };
  if (address.startsWith('127.') || address === '::1') return { endpoint, tls: null };
  const pins = settings['tls-pin'].flatMap((pin) =>
    pin.startsWith(`${address}=`) ? [pin.slice(address.length + 1)] : [],
  );
  const trust = pins.length === 0 ? {} : { pins };
  return { endpoint, tls: { serverName: address, verify: true, ca: certificates, ...trust } };
}

/** Asks the server something; errors with a sentence for the user become `no-access`. */
export async function askCitadel<T>(
  { server, login }: Access,
  ask: (server: CitadelServer) => Promise<T>,
): Promise<T | NoAccess> {
  const citadel = citadelServer(server, login, { connect, clock: systemClock, random: Math.random });
  try {
    return await ask(citadel);
  } catch (error) {
    if (error instanceof QueueRoomMissing)
      return { ...noAccess(error.what, EXIT.unavailable), advice: error.remedy };
    if (error instanceof QueueError) return noAccess(error.message, EXIT.unavailable);
    throw error;
  } finally {
    await citadel.close();
  }
}

/** Its own name and its relays. */
export async function configOfServer(
  settings: Settings,
  certificates: readonly string[],
): Promise<CitadelConfig | NoAccess> {
  const access = citadelAccess(settings, certificates);
  return access.kind === 'access' ? askCitadel(access, readCitadelConfig) : access;
}
