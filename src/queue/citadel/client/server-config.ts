/** The configuration of a Citadel server that matters for outgoing mail: its own name and its relays. Only reads. */
import { type InternetConfig, parseInternetConfig } from '../../../routing/relays.ts';
import { COMMANDS } from './protocol.ts';
import type { CitadelServer } from './server.ts';

export interface CitadelConfig {
  /** the server's name in EHLO; null when it reports none */
  readonly fqdn: string | null;
  readonly internet: InternetConfig;
}

/** Since 2015 by key; before that by position, the second line of all settings. */
async function fqdnOf(server: CitadelServer): Promise<string | null> {
  const byKey = await server.read({ line: COMMANDS.fqdn });
  if (byKey.code === 200) return byKey.text.split('|')[0] || null;
  const all = await server.read({ line: COMMANDS.settings });
  return (all.code === 100 && all.body.split('\n')[1]) || null;
}

/** Name and relays as the server keeps them. */
export async function readCitadelConfig(server: CitadelServer): Promise<CitadelConfig> {
  const fqdn = await fqdnOf(server);
  const lines = await server.read({ line: COMMANDS.internetConfig });
  const text = Buffer.from(lines.code === 100 ? lines.body : '', 'latin1').toString('utf8');
  return { fqdn, internet: parseInternetConfig(text) };
}
