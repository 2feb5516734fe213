/**
 * Which requests come from our own pages, by their headers. A name that an attacker's DNS leads to this machine (DNS rebinding) is
 * not ours, and a form on another site cannot post to us. Pure.
 */

export interface OriginRules {
  /** `https://queue.example.org`, where a proxy is in front; null: there is none */
  readonly origin: string | null;
  readonly tls: boolean;
  /** names by which the listener may be called, besides those of the loopback interface: without ports, in lower case */
  readonly hosts: readonly string[];
}

const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;

/** Whether `Host` names us. Loopback names count with any port: a tunnel may give it another one. */
export function isOurHost(host: string | undefined, { origin, hosts }: OriginRules): boolean {
  const [, name = ''] = /^([\w.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/.exec(host?.toLowerCase() ?? '') ?? [];
  if (LOOPBACK.test(name) || hosts.includes(name)) return true;
  return origin !== null && host !== undefined && new URL(origin).host === host.toLowerCase();
}

export interface OriginHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly site?: string | undefined;
}

/** Whether a form that was sent may be ours. Programs send neither header; browsers send at least one of them. */
export function isOurForm({ host = '', origin, site }: OriginHeaders, rules: OriginRules): boolean {
  if (site !== undefined && site !== 'same-origin') return false;
  if (origin === undefined) return true;
  return (
    origin === rules.origin ||
    origin.toLowerCase() === `${rules.tls ? 'https' : 'http'}://${host.toLowerCase()}`
  );
}
