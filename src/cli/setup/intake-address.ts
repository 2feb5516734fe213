/** Whether an address of the settings is our own intake: what is sent to it comes back into the queue. */
import type { Relay } from '../../routing/hosts.ts';
import { intakePorts } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';

/** Whether this host and port are our own intake. */
export function isIntake({ host, port }: Pick<Relay, 'host' | 'port'>, settings: Settings): boolean {
  const isHere = host.toLowerCase() === 'localhost' || host.startsWith('127.') || host === '::1';
  return isHere && intakePorts(settings).includes(port);
}
