/** How an outcome travelled: the TLS of its session, and what proved who the server is. Plain data, written to transcripts. Pure. */
import type { Proof, TlsFacts } from '#net-stream-utils';
import type { Host } from '../routing/hosts.ts';

/** `sts`: a CA, because an enforced MTA-STS policy demands it; `pkix`: a CA; `nobody`: encrypted, with whomever. */
export type VerifiedBy = Proof | 'sts' | 'nobody';

export interface TlsUse {
  /** `TLSv1.3` */
  readonly protocol: string;
  readonly cipher: string;
  readonly verified: VerifiedBy;
}

/** For people; completes "verified by ...". */
export const VERIFIERS: { readonly [by in VerifiedBy]: string } = {
  dane: 'DANE',
  sts: 'a CA, as MTA-STS demands',
  pkix: 'a CA',
  pin: 'its pinned fingerprint',
  nobody: 'nobody',
};

/** Null: clear text, or no session. */
export function tlsUse(facts: TlsFacts | null, { policy }: Pick<Host, 'policy'>): TlsUse | null {
  if (facts === null) return null;
  const { protocol, cipher, proof } = facts;
  const isSts = proof === 'pkix' && policy?.sts === 'enforce';
  return { protocol, cipher, verified: isSts ? 'sts' : (proof ?? 'nobody') };
}

export function tlsText({ protocol, cipher, verified }: TlsUse): string {
  return `${protocol} ${cipher}, verified by ${VERIFIERS[verified]}`;
}
