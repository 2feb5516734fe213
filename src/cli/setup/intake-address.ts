/** Where our own intake listens, and whether an address of the settings leads there: mail sent to it would go round. */
import { type ListenAddress, parseListenAddress } from '../../intake/listen-address.ts';
import type { Relay } from '../../routing/hosts.ts';
import type { Settings } from '../../settings/table.ts';

type TcpAddress = Extract<ListenAddress, { kind: 'tcp' }>;

export function tcpIntakes(settings: Settings): readonly TcpAddress[] {
  return settings['intake.listen'].map(parseListenAddress).filter((listen) => listen.kind === 'tcp');
}

/** Whether this host and port are our own intake. */
export function isIntake({ host, port }: Pick<Relay, 'host' | 'port'>, settings: Settings): boolean {
  const isHere = host.toLowerCase() === 'localhost' || host.startsWith('127.') || host === '::1';
  return isHere && tcpIntakes(settings).some((listen) => listen.port === port);
}
