/**
 * What a message itself says of the TLS of its way (RFC 8689), as a table; printed into techdoc/tls-policy.md. Pure.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Host, Protection } from '../routing/hosts.ts';

interface Wish {
  readonly said: string;
  readonly hosts: string;
  readonly connection: string;
}

export const TLS_WISHES = {
  required: {
    said: '`REQUIRETLS` with `MAIL FROM`',
    hosts: 'only those that DNSSEC or the MTA-STS policy of the domain proves, and relays',
    connection: '`dane` where it is demanded anyway, else `pkix`; the host offers REQUIRETLS',
  },
  waived: {
    said: '`TLS-Required: No` in the header',
    hosts: 'as without DANE and MTA-STS: neither is looked up',
    connection: 'as the settings say',
  },
} as const satisfies { readonly [name: string]: Wish };

export type TlsWish = keyof typeof TLS_WISHES;

/** Null: it says nothing. With REQUIRETLS the header field does not count (RFC 8689 4.1). */
export function tlsWish(requireTls: boolean, header: ByteString | null): TlsWish | null {
  if (requireTls) return 'required';
  return header !== null && /^no$/i.test(header) ? 'waived' : null;
}

/** Whether the name of the host may be believed (RFC 8689 2); one that an administrator or an address names always may. */
export function isProved({ origin, policy }: Host): boolean {
  if (origin !== 'mx' && origin !== 'domain') return true;
  return policy?.secure === true || (policy?.sts !== undefined && policy.unlisted !== true);
}

/** The protection of a host for a message with this wish. */
export function protectionFor(
  wish: TlsWish | null,
  protection: Protection | 'nothing',
): Protection | 'nothing' {
  if (wish !== 'required') return protection;
  const isEnough = protection !== 'nothing' && protection.demands === 'dane';
  return { ...(isEnough ? protection : { demands: 'pkix' as const }), required: true };
}
