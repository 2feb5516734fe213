/**
 * Network errors as texts that complete "HOST ..." (R019: never a bare error code).
 */
import type { CloseReason } from '#net-stream-utils';
import type { Failure, Peer } from './outcome.ts';

export const NETWORK_ERRORS: { readonly [code: string]: string } = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'reset the connection',
  EPIPE: 'closed the connection',
  ETIMEDOUT: 'did not answer',
  EHOSTUNREACH: 'cannot be reached: no route to the host',
  ENETUNREACH: 'cannot be reached: no route to its network',
  EHOSTDOWN: 'cannot be reached: the host is down',
  EADDRNOTAVAIL: 'cannot be reached: the local address to connect from is not available here',
  EINVAL: 'cannot be reached: its address is none that can be connected to from here',
  EAFNOSUPPORT: 'cannot be reached: its address family is not available here',
  ENOENT: 'cannot be reached: there is no such socket',
  EACCES: 'cannot be reached: the connection is forbidden here',
  EPERM: 'cannot be reached: the connection is forbidden here',
  EMFILE: 'was not tried: too many files are open here',
  ENFILE: 'was not tried: too many files are open on this machine',
  ENOBUFS: 'was not tried: no memory for sockets here',
};

/** Errors of this machine or its network: the host has not been asked. */
const NOT_THE_HOST: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENOENT',
  'EACCES',
  'EPERM',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
]);

export function describeClose(reason: CloseReason): string {
  switch (reason.kind) {
    case 'ended':
      return 'closed the connection';
    case 'overlong':
      return 'sent a line without end';
    case 'tls':
      return `TLS failed: ${tlsText(reason.message)}`;
    case 'error':
      return reason.code in NETWORK_ERRORS
        ? `${NETWORK_ERRORS[reason.code]}`
        : `failed (${reason.code}: ${reason.message})`;
  }
}

/** Why the handshake failed: OpenSSL's message, or the network error. */
function tlsText(message: string): string {
  const code = /\bE[A-Z]+$/.exec(message)?.[0] ?? '';
  return code in NETWORK_ERRORS ? `it ${NETWORK_ERRORS[code]}` : message;
}

/** A connection that could not be opened. It is the host's failure and always temporary (C04, R065). */
export function connectFailure(reason: CloseReason, peer: Peer): Failure {
  const isOurs = reason.kind === 'error' && NOT_THE_HOST.has(reason.code);
  return interruptedConnect(describeClose(reason), peer, {
    stage: isOurs ? 'network' : 'connect',
    enhanced: reason.kind === 'tls' ? '4.7.5' : '4.4.1',
  });
}

/** `text` completes "HOST ...". */
export function interruptedConnect(
  text: string,
  peer: Peer,
  { stage, enhanced }: Pick<Failure, 'stage' | 'enhanced'> = { stage: 'connect', enhanced: '4.4.1' },
): Failure {
  return { scope: 'host', stage, permanent: false, code: null, enhanced, text, peer, maybeDelivered: false };
}
