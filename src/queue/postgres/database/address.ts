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
  readonly ssl: false | { readonly servername?: string; readonly ca?: string };
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

export function parseDatabaseAddress(text: string): DatabaseAddress | BadAddress {
  const bad = (why: string): BadAddress => ({ kind: 'bad', why });
  const shape = SHAPE.exec(text);
  if (shape === null) return bad('it is not postgres://[USER@]HOST[:PORT][,HOST...]/DATABASE');
  const [, who = '', places = '', path = '', query = ''] = shape;
  const given = new URLSearchParams(query);
  const unknown = [...given.keys()].find((key) => !['host', 'port', 'sslmode', 'sslrootcert'].includes(key));
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
  readonly ca?: string;
}

function tlsOf(given: URLSearchParams): TlsWords | BadAddress {
  const mode = given.get('sslmode');
  if (mode !== null && mode !== 'disable' && !VERIFIED.has(mode))
    return {
      kind: 'bad',
      why: `it has sslmode=${mode}, which may go without TLS: say verify-full or disable`,
    };
  const wanted = mode === null ? null : mode !== 'disable';
  const file = given.get('sslrootcert');
  if (file === null) return { wanted };
  try {
    return { wanted, ca: readFileSync(file, 'utf8') };
  } catch (error) {
    if (!isOperationalError(error)) throw error;
    return { kind: 'bad', why: `its sslrootcert ${file} cannot be read: ${describeError(error)}` };
  }
}

function hostOf(place: string, fallback: string | null, { wanted, ca }: TlsWords): DatabaseHost | null {
  const isFolder = place.startsWith('/');
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(place) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return null;
  const isNear = isFolder || LOCAL.test(host);
  const secure = !isFolder && (wanted ?? !isNear);
  return {
    host,
    port: Number(port ?? fallback ?? 5432),
    ssl: secure
      ? { ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }), ...(ca === undefined ? {} : { ca }) }
      : false,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
