/**
 * The TLS part of a connection: wraps a connected socket, and returns what the handshake proved. Loaded when TLS is first used,
 * because loading node:tls takes longer than a queue run with nothing to do. It never falls back to clear text.
 */
import { isIP, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { TlsFacts, TlsOptions } from './connection.ts';
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

/** Starts the handshake over `socket`. `secureConnect` or `error` follows. Throws when `ca` is not valid PEM. */
export function wrap(socket: Socket, options: TlsOptions): tls.TLSSocket {
  const name = options.serverName.replace(/\.$/, '');
  return tls.connect({
    socket,
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    secureContext: contextFor(options.ca),
    rejectUnauthorized: options.verify && !isPinned(options) && options.dane === undefined,
  });
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

/** The facts, after `secureConnect`, or why the certificate is refused. */
export function factsOf(socket: tls.TLSSocket, options: TlsOptions): TlsFacts | Refusal {
  const facts = { protocol: socket.getProtocol() ?? 'unknown', cipher: socket.getCipher().name };
  if (isPinned(options)) {
    const { fingerprint256 } = socket.getPeerCertificate();
    if (hasPin(fingerprint256, options.pins ?? [])) return { ...facts, proof: 'pin' };
    return {
      message: `the server's certificate does not match the pinned fingerprint; it is ${fingerprint256 ?? 'without one'}`,
      code: 'PIN_MISMATCH',
    };
  }
  if (options.dane !== undefined) {
    if (matchesTlsa(socket.getPeerX509Certificate(), options.dane)) return { ...facts, proof: 'dane' };
    return { message: "the server's certificate does not match its TLSA records", code: 'TLSA_MISMATCH' };
  }
  if (socket.authorized) return { ...facts, proof: 'pkix' };
  return { ...facts, proof: null, problem: String(socket.authorizationError) };
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
