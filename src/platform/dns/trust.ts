/**
 * Whether a name server's word that an answer is proved may be believed. The word is one bit in a packet that anybody on the
 * way can set, so there must be no way: the server is on this machine, or an administrator says that the way is safe.
 */
import { isIP } from 'node:net';

/** `auto`: as the system says; `trust`: an administrator says so; `off`: DANE is not used. */
export type DaneSetting = 'auto' | 'trust' | 'off';

/**
 * @param servers addresses of the name servers in use
 * @param resolvConf text of /etc/resolv.conf, whose `trust-ad` is about its own name servers; null: others are in use
 */
export function trustsAnswers(
  setting: DaneSetting,
  servers: readonly string[],
  resolvConf: string | null,
): boolean {
  if (setting !== 'auto') return setting === 'trust';
  return servers.length > 0 && (servers.every(isValidatorHere) || saysTrustAd(resolvConf ?? ''));
}

/** Docker's 127.0.0.11 only hands on what a server somewhere else has said. */
function isValidatorHere(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.') && address !== '127.0.0.11');
}

/** resolv.conf(5): the last of several `options` lines does not undo the others. */
function saysTrustAd(text: string): boolean {
  return text
    .split('\n')
    .some((line) => /^options\s/.test(line) && line.trim().split(/\s+/).includes('trust-ad'));
}

/** `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`; null: it is none of these. */
export function nameServer(text: string): { readonly address: string; readonly port: number } | null {
  if (isIP(text) !== 0) return { address: text, port: 53 };
  const [, six = '', four = '', port = '53'] = /^(?:\[(.+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const isAddress = isIP(six) === 6 || isIP(four) === 4;
  return isAddress && Number(port) > 0 && Number(port) < 65_536
    ? { address: six || four, port: Number(port) }
    : null;
}
