/**
 * Fetches an MTA-STS policy (RFC 8461 3.3): HTTPS with a certificate for mta-sts.DOMAIN, no redirect followed, nothing of HTTP's
 * caching, one minute and 64 KB at most. Loaded when a policy is fetched, because loading HTTPS takes longer than an idle run.
 */
import { request } from 'node:https';
import { rootCertificates } from 'node:tls';
import { describeError } from '../platform/system-errors.ts';
import { LARGEST_POLICY, parseStsPolicy, type StsPolicyRead } from './sts-policy.ts';

/** Why a policy could not be had, in the words of RFC 8460 4.3.1.3. */
export type FetchProblem = 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid';

export type Fetched =
  | Extract<StsPolicyRead, { kind: 'policy' }>
  | {
      readonly kind: 'failed';
      readonly problem: FetchProblem;
      /** completes "the policy ..." */
      readonly reason: string;
    };

export interface FetchOptions {
  /** addresses of mta-sts.DOMAIN, tried in order */
  readonly addresses: readonly string[];
  readonly port: number;
  /** PEM, trusted in addition to Node's own */
  readonly ca: readonly string[];
  /** aborted when the time is over, or nobody waits any more */
  readonly signal: AbortSignal;
}

/** Never rejects. */
export async function fetchStsPolicy(domain: string, options: FetchOptions): Promise<Fetched> {
  let result: Fetched = failed('sts-policy-fetch-error', `host mta-sts.${domain} has no address`);
  for (const address of options.addresses) {
    result = await fetchFrom(address, domain, options).catch(reasonOf);
    // The next address may be reached; what this one says, the next one says, too.
    if (result.kind === 'policy' || result.problem !== 'sts-policy-fetch-error') return result;
    if (options.signal.aborted) return result;
  }
  return result;
}

function fetchFrom(address: string, domain: string, { port, ca, signal }: FetchOptions): Promise<Fetched> {
  const name = `mta-sts.${domain}`;
  return new Promise((resolve, reject) => {
    const sent = request({
      host: address,
      port,
      servername: name,
      path: '/.well-known/mta-sts.txt',
      headers: {
        ...{ host: name, accept: 'text/plain', 'user-agent': 'spoolroom' },
        'accept-encoding': 'identity',
      },
      agent: false,
      signal,
      ...(ca.length === 0 ? {} : { ca: [...rootCertificates, ...ca] }),
    });
    let isAnswered = false;
    sent.on('error', reject);
    // A change of protocol (101) ends without a response and without an error.
    sent.on('close', () => {
      if (!isAnswered)
        resolve(failed('sts-policy-fetch-error', 'is answered with something else than a file'));
    });
    sent.on('response', (response) => {
      isAnswered = true;
      const { statusCode = 0, headers } = response;
      const done = (result: Fetched): void => {
        sent.destroy();
        resolve(result);
      };
      if (statusCode !== 200) {
        done(failed('sts-policy-fetch-error', `is answered with HTTP status ${statusCode}`));
        return;
      }
      if (!/^text\/plain\b/i.test(headers['content-type'] ?? '')) {
        done(failed('sts-policy-invalid', 'is not text/plain'));
        return;
      }
      const encoding = headers['content-encoding'] ?? 'identity';
      if (!/^identity$/i.test(encoding)) {
        done(failed('sts-policy-invalid', 'is compressed, and was asked for as it is'));
        return;
      }
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        size += piece.length;
        if (size > LARGEST_POLICY) done(failed('sts-policy-invalid', 'is larger than 64 KB'));
      });
      response.on('error', reject);
      response.on('end', () => {
        const read = parseStsPolicy(Buffer.concat(pieces).toString('latin1'));
        done(read.kind === 'policy' ? read : failed('sts-policy-invalid', read.reason));
      });
    });
    sent.end();
  });
}

function failed(problem: FetchProblem, reason: string): Fetched {
  return { kind: 'failed', problem, reason };
}

/** Errors without a code are bugs and stay errors. */
function reasonOf(error: unknown): Fetched {
  if (!(error instanceof Error && 'code' in error)) throw error;
  const code = String(error.code);
  if (code === 'ABORT_ERR') return failed('sts-policy-fetch-error', 'did not come in time');
  const text = describeError(error).slice(0, LONGEST_REASON);
  return CERTIFICATE.test(code)
    ? failed('sts-webpki-invalid', `comes with a certificate that is not valid for it: ${text}`)
    : failed('sts-policy-fetch-error', `cannot be fetched: ${text}`);
}

/** Characters; it may quote every name of a certificate. */
const LONGEST_REASON = 300;

/** Codes of Node and OpenSSL for a certificate that is refused. */
const CERTIFICATE = /CERT|SIGNATURE|ISSUER|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_PURPOSE|PATH_LENGTH/;
