/**
 * The address of a database: `postgres://USER:PASSWORD@HOST:PORT,HOST2:PORT/DATABASE?sslmode=...`, as libpq has it. A password
 * is better left to `~/.pgpass` or PGPASSWORD, which the client reads by itself. The connection to another machine is by TLS,
 * and its certificate is checked, unless the address says `sslmode=disable`.
 */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { describeError, isOperationalError } from '../../../platform/system-errors.ts';

/** One place where the database may be. */
export interface DatabaseHost {
  /** a name, an address, or the folder of a socket */
  readonly host: string;
  readonly port: number;
  readonly ssl: false | TlsFiles;
}

/** The contents of files in PEM form. Without `ca` those count that Node brings. */
export interface TlsFiles {
  readonly ca?: string;
  /** what this client shows of itself, with its key */
  readonly cert?: string;
  readonly key?: string;
}

export interface DatabaseAddress {
  readonly kind: 'address';
  /** for people: without the password */
  readonly name: string;
  readonly user: string;
  /** absent: the client looks into PGPASSWORD and ~/.pgpass */
  readonly password?: string;
  readonly database: string;
  /** in the order in which they are tried */
  readonly hosts: readonly DatabaseHost[];
}

export interface BadAddress {
  readonly kind: 'bad';
  /** a clause without the address, which may hold a password: "it ..." */
  readonly why: string;
}

const SHAPE = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;
const LOCAL = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i;
/** Both check the name; a certificate that nobody checks protects from nobody. */
const VERIFIED: ReadonlySet<string> = new Set(['require', 'verify-ca', 'verify-full']);
const FILES = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const;
const PARAMETERS: ReadonlySet<string> = new Set(['host', 'port', 'sslmode', ...Object.keys(FILES)]);

export function parseDatabaseAddress(text: string): DatabaseAddress | BadAddress {
  const bad = (why: string): BadAddress => ({ kind: 'bad', why });
  const shape = SHAPE.exec(text);
  if (shape === null) return bad('it is not postgres://[USER@]HOST[:PORT][,HOST...]/DATABASE');
  const [, who = '', places = '', path = '', query = ''] = shape;
  const given = new URLSearchParams(query);
  const unknown = [...given.keys()].find((key) => !PARAMETERS.has(key));
  if (unknown !== undefined) return bad(`it has the parameter ${unknown}, which has no meaning here`);
  const colon = who.indexOf(':');
  const user = decoded(colon < 0 ? who : who.slice(0, colon));
  const password = colon < 0 ? null : decoded(who.slice(colon + 1));
  const database = decoded(path);
  if (user === null || database === null || (colon >= 0 && password === null))
    return bad('it has a % that is not followed by two hexadecimal digits');
  const tls = tlsOf(given);
  if ('why' in tls) return tls;
  const named = places === '' ? (given.get('host') ?? '/var/run/postgresql') : places;
  const hosts: DatabaseHost[] = [];
  for (const place of named.split(',')) {
    const host = hostOf(decoded(place) ?? '', given.get('port'), tls);
    if (host === null) return bad('one of its hosts is not HOST, HOST:PORT or [ADDRESS]:PORT');
    hosts.push(host);
  }
  const owner = user === '' ? (process.env.PGUSER ?? userInfo().username) : user;
  const shown = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  return {
    kind: 'address',
    name: `postgres://${shown}/${database === '' ? owner : database}`,
    user: owner,
    ...(password === null ? {} : { password }),
    database: database === '' ? owner : database,
    hosts,
  };
}

interface TlsWords {
  /** null: only for other machines */
  readonly wanted: boolean | null;
  readonly files: TlsFiles;
}

function tlsOf(given: URLSearchParams): TlsWords | BadAddress {
  const bad = (why: string): BadAddress => ({ kind: 'bad', why });
  const mode = given.get('sslmode');
  if (mode !== null && mode !== 'disable' && !VERIFIED.has(mode))
    return bad(`it has sslmode=${mode}, which may go without TLS: say verify-full or disable`);
  if (given.has('sslcert') !== given.has('sslkey'))
    return bad('it has one of sslcert and sslkey: a client certificate needs both');
  const files: { -readonly [name in keyof TlsFiles]: TlsFiles[name] } = {};
  for (const [parameter, name] of Object.entries(FILES)) {
    const file = given.get(parameter);
    if (file === null) continue;
    try {
      const text = readFileSync(file, 'utf8');
      if (!text.includes('-----BEGIN ')) return bad(`its ${parameter} ${file} is not in PEM form`);
      files[name] = text;
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      return bad(`its ${parameter} ${file} cannot be read: ${describeError(error)}`);
    }
  }
  return { wanted: mode === null ? null : mode !== 'disable', files };
}

function hostOf(place: string, fallback: string | null, { wanted, files }: TlsWords): DatabaseHost | null {
  const isFolder = place.startsWith('/');
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(place) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return null;
  const isNear = isFolder || LOCAL.test(host);
  const secure = !isFolder && (wanted ?? !isNear);
  return {
    host,
    port: Number(port ?? fallback ?? 5432),
    ssl: secure ? files : false,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
