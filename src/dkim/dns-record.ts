/** The DNS record of a key (RFC 6376 3.6.1), as a zone file has it. */
import { createPublicKey, type KeyObject } from 'node:crypto';

/** A TXT string holds at most this many bytes (RFC 1035 3.3). */
const LONGEST_STRING = 255;

/** `v=DKIM1; k=...; p=...` of a private or public key. */
export function dkimRecord(key: KeyObject): string {
  const spki = createPublicKey(
    key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }),
  );
  const der = spki.export({ type: 'spki', format: 'der' });
  // RFC 8463 4: the bare 32 bytes of an Ed25519 key, not its SPKI.
  const ed25519 = spki.asymmetricKeyType === 'ed25519';
  const p = (ed25519 ? der.subarray(-32) : der).toString('base64');
  return `v=DKIM1; k=${ed25519 ? 'ed25519' : 'rsa'}; p=${p}`;
}

/** One line of a zone file, the text cut into strings. */
export function zoneLine(domain: string, selector: string, record: string): string {
  const strings = record.match(new RegExp(`.{1,${LONGEST_STRING}}`, 'g')) ?? [];
  return `${selector}._domainkey.${domain}. IN TXT ( ${strings.map((each) => `"${each}"`).join(' ')} )`;
}

/** Whether a TXT record holds the public half of this key; its tags may come in any order. */
export function isRecordOf(text: string, key: KeyObject): boolean {
  const tag = (name: string, record: string): string | undefined =>
    new RegExp(`(?:^|;)\\s*${name}\\s*=\\s*([^;]*)`).exec(record)?.[1]?.replace(/\s+/g, '');
  const wanted = dkimRecord(key);
  return (
    tag('p', text) === tag('p', wanted) &&
    (tag('k', text) ?? 'rsa') === tag('k', wanted) &&
    (tag('v', text) ?? 'DKIM1') === 'DKIM1'
  );
}
