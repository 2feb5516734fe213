/**
 * Which hosts are run by the same people: their names end in the same registered name. Hosts of a group share what a server
 * says about us. Pure.
 */

/** Second labels under which names are registered below a country (`example.co.uk`). */
const REGISTRY_LABELS = /^(?:ac|co|com|edu|gob|gouv|gov|gv|mil|ne|net|nom|or|org)$/;

/** `google.com` of `alt1.gmail-smtp-in.l.google.com`; an address is its own group. In lower case. */
export function hostGroup(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name.includes(':') || /^[\d.]+$/.test(name)) return name;
  const labels = name.split('.');
  const [second = '', top = ''] = labels.slice(-2);
  return labels.slice(top.length === 2 && REGISTRY_LABELS.test(second) ? -3 : -2).join('.');
}
