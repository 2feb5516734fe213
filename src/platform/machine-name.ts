/** The name of this machine, as `hostname --fqdn` finds it in the hosts file. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A short name is completed from /etc/hosts, where the fully qualified name stands first in a line; else it stays short. */
export function machineName(): string {
  const name = hostname();
  if (name.includes('.')) return name;
  try {
    return fullName(name, readFileSync('/etc/hosts', 'latin1')) ?? name;
  } catch {
    // Without a hosts file the machine has only this name.
    return name;
  }
}

/** The first name with a dot in a line of `hosts` that has `name`; null when there is none. */
export function fullName(name: string, hosts: string): string | null {
  const wanted = name.toLowerCase();
  for (const line of hosts.split('\n')) {
    const [, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const full = names.find((each) => each.toLowerCase().startsWith(`${wanted}.`));
    if (full !== undefined && names.some((each) => each.toLowerCase() === wanted)) return full;
  }
  return null;
}
