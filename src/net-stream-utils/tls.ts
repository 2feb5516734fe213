/**
 * The TLS part of a connection: wraps a connected socket, and returns what the handshake proved. Loaded when TLS is first used,
 * because loading node:tls takes longer than a queue run with nothing to do. It never falls back to clear text.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { TlsFacts, TlsOptions } from './connection.ts';
import type { Verdict } from './tls-sessions.ts';
import { matchesTlsa } from './tlsa.ts';

/** By set of certificates, because making a context parses all of Node's root certificates. */
const contexts = new Map<string, tls.SecureContext>();

function contextFor(ca: readonly string[] = []): tls.SecureContext {
  const key = ca.join('\n');
  const known = contexts.get(key);
  if (known !== undefined) return known;
  const context = tls.createSecureContext(ca.length === 0 ? {} : { ca: [...tls.rootCertificates, ...ca] });
  contexts.set(key, context);
  return context;
}

export interface Handshake {
  /** `secureConnect` or `error` follows */
  readonly socket: tls.TLSSocket;
  /** The facts, after `secureConnect`, or why the certificate is refused. */
  facts(): TlsFacts | Refusal;
}

/**
 * Starts the handshake over `socket`. A session is resumed only if all that the options demand is what they demanded when its
 * full handshake was accepted. Throws when `ca` is not valid PEM.
 */
export function wrap(socket: Socket, options: TlsOptions): Handshake {
  const { sessions } = options.resumption ?? {};
  const key = sessions === undefined ? '' : sessionKey(options);
  const offered = sessions?.get(key);
  const name = options.serverName.replace(/\.$/, '');
  const secure = tls.connect({
    socket,
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(offered === undefined ? {} : { session: offered.bytes }),
    secureContext: contextFor(options.ca),
    checkServerIdentity,
    rejectUnauthorized: options.verify && !isPinned(options) && options.dane === undefined,
  });
  let accepted: Verdict | null = null;
  secure.on('session', (bytes) => {
    if (accepted !== null) sessions?.keep(key, { bytes, verdict: accepted });
  });
  secure.once('close', (isBroken) => {
    if (offered !== undefined && (isBroken || accepted !== offered.verdict)) sessions?.forget(key, offered);
  });
  return {
    socket: secure,
    facts() {
      // The certificates of a resumed session are not shown again, and Node does not compare its name.
      const resumed = offered !== undefined && secure.isSessionReused() ? offered.verdict : null;
      const found = resumed ?? judge(secure, options);
      if ('message' in found) return found;
      accepted = resumed ?? { ...found, at: sessions?.now() ?? 0 };
      const { at, ...verdict } = accepted;
      return { protocol: secure.getProtocol() ?? 'unknown', cipher: secure.getCipher().name, ...verdict };
    },
  };
}

/** As Node does it, but that some versions of it (22.23) do not find an IPv6 address in any certificate. */
function checkServerIdentity(host: string, certificate: tls.PeerCertificate): Error | undefined {
  const isIn = isIP(host) === 6 && new X509Certificate(certificate.raw).checkIP(host) !== undefined;
  return isIn ? undefined : tls.checkServerIdentity(host, certificate);
}

/** By what the connection must prove and where it leads. */
function sessionKey({ resumption, serverName, verify, ca, pins, dane }: TlsOptions): string {
  const text = JSON.stringify([resumption?.peer, serverName, verify, ca, pins, dane]);
  return createHash('sha256').update(text).digest('base64');
}

/** Starts the server's side of a handshake over `socket`. `secure` or `close` follows. */
export function wrapServer(socket: Socket, secureContext: tls.SecureContext): tls.TLSSocket {
  return new tls.TLSSocket(socket, { isServer: true, secureContext });
}

/** A certificate that the options do not accept. */
export interface Refusal {
  readonly message: string;
  readonly code: string;
}

/** What the certificate proves. */
function judge(socket: tls.TLSSocket, options: TlsOptions): Pick<TlsFacts, 'proof' | 'problem'> | Refusal {
  if (isPinned(options)) {
    const { fingerprint256 } = socket.getPeerCertificate();
    if (hasPin(fingerprint256, options.pins ?? [])) return { proof: 'pin' };
    return {
      message: `the server's certificate does not match the pinned fingerprint; it is ${fingerprint256 ?? 'without one'}`,
      code: 'PIN_MISMATCH',
    };
  }
  if (options.dane !== undefined) {
    if (matchesTlsa(socket.getPeerX509Certificate(), options.dane)) return { proof: 'dane' };
    return { message: "the server's certificate does not match its TLSA records", code: 'TLSA_MISMATCH' };
  }
  return socket.authorized ? { proof: 'pkix' } : { proof: null, problem: String(socket.authorizationError) };
}

function isPinned(options: TlsOptions): boolean {
  return options.pins !== undefined && options.pins.length > 0;
}

function hasPin(fingerprint: string | undefined, pins: readonly string[]): boolean {
  return fingerprint !== undefined && pins.some((pin) => bareHex(pin) === bareHex(fingerprint));
}

function bareHex(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
