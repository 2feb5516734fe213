/**
 * The part of `check` that asks others: name servers, relays, the server that takes reports. No mail is sent to anybody,
 * and no password.
 */

import { lookupAddresses } from '../../delivery/lookups.ts';
import { endpointOf } from '../../delivery/rules.ts';
import type { DsnTransportSetting } from '../../dsn/transport.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { hintsFor } from '../../output/hints.ts';
import { duration, escapeControl } from '../../output/text.ts';
import type { Host } from '../../routing/hosts.ts';
import { LOOKUP_ERRORS, relayHost } from '../../routing/route.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import { STATES, type StateName } from '../../smtp/machine/states.ts';
import type { Failure } from '../../smtp/outcome.ts';
import { describePeer } from '../../smtp/status-text.ts';
import { type Greeting, readGreeting } from './banner-probe.ts';
import { probeHandshake } from './handshake-probe.ts';

export interface NetworkContext {
  readonly ports: Pick<RunDeps, 'connect' | 'resolver' | 'clock'>;
  readonly rules: RunRules;
  readonly path: DsnTransportSetting;
}

export async function checkNetwork(circumstances: NetworkContext): Promise<readonly Finding[]> {
  const [dns, relays, reports] = await Promise.all([
    checkDns(circumstances),
    checkRelays(circumstances),
    checkReturn(circumstances),
  ]);
  return [dns, ...relays, reports];
}

/** Any proven answer will do: it is the name servers that are asked, not the name. */
async function checkDns({ ports, rules }: NetworkContext): Promise<Finding> {
  const name = rules.render.fqdn;
  const began = ports.clock.monotonic();
  const answer = await ports.resolver.mx(name);
  const taken = duration(ports.clock.monotonic() - began);
  const proven = answer.kind === 'found' || answer.fault === 'no-domain' || answer.fault === 'no-data';
  if (proven) return ok('dns', `the name servers answer (${taken})`);
  const seen = `MX of ${name}: ${LOOKUP_ERRORS[answer.fault]} (${taken})`;
  const relayed = rules.delivery.routing.relays.some(({ kind }) => kind === 'smarthost');
  return relayed
    ? warning(
        'dns',
        seen,
        'Mail goes to relays, so only their names are looked up. See /etc/resolv.conf, or the setting dns.',
      )
    : problem('dns', seen, 'No mail can be sent, it all waits. See /etc/resolv.conf, or the setting dns.');
}

async function checkRelays(circumstances: NetworkContext): Promise<readonly Finding[]> {
  const { relays } = circumstances.rules.delivery.routing;
  const met = await Promise.all(
    relays.map(async (relay) => ({ relay, ...(await meet(relayHost(relay), circumstances)) })),
  );
  const smarthostTakes = met.some(({ relay, takes }) => relay.kind === 'smarthost' && takes);
  return met.map(({ relay: { kind }, takes, text, flaw }) => {
    if (takes) return flaw === null ? ok(kind, text) : warning(kind, `${text}; ${flaw}`, IN_CLEAR);
    const help = hintsFor(text) ?? 'See the entry, a firewall, the server itself.';
    return kind === 'fallbackhost' || smarthostTakes
      ? warning(
          kind,
          text,
          `Mail for it goes to the next host in order, or waits where there is none. ${help}`,
        )
      : problem(kind, text, `All mail goes to smart hosts, and none of them takes any: it waits. ${help}`);
  });
}

const IN_CLEAR = 'Everybody on the way can read it. The setting relay-tls require has it wait instead.';

interface Met {
  /** as far as that can be seen without sending mail or a password */
  readonly takes: boolean;
  readonly text: string;
  /** why TLS was given up */
  readonly flaw: string | null;
}

/** The first address that takes mail. */
async function meet(host: Host, circumstances: NetworkContext): Promise<Met> {
  const addresses = await addressesOf(host, circumstances);
  if (typeof addresses === 'string') return { takes: false, text: addresses, flaw: null };
  const failures: string[] = [];
  for (const address of addresses) {
    const met = await meetAt(host, address, circumstances);
    if (met.takes) return met;
    failures.push(met.text);
  }
  return { takes: false, text: failures.join('; '), flaw: null };
}

async function meetAt(host: Host, address: string, { ports, rules }: NetworkContext): Promise<Met> {
  let met = await probeHandshake(host, address, false, rules.delivery, ports);
  const flaw = met.kind === 'tls-unusable' ? escapeControl(met.failure.text) : null;
  if (met.kind === 'tls-unusable') met = await probeHandshake(host, address, true, rules.delivery, ports);
  if (met.kind !== 'welcome')
    return { takes: false, text: escapeControl(whatFailed(met.failure)), flaw: null };
  const { greeting, tls } = met;
  const how = [tls ?? 'in clear', ...(host.credentials === null ? [] : ['the password is not tried'])];
  const where = describePeer({ host: host.name, address, port: host.port });
  return { takes: true, text: `${where} greets: ${escapeControl(greeting)} (${how.join('; ')})`, flaw };
}

/** What was said, and at which step. Our own sentences name the step themselves. */
function whatFailed({ peer, code, text, stage }: Failure): string {
  const where = peer === null ? '' : `${describePeer(peer)} `;
  if (code === null) return `${where}${text}`;
  const said = `${code} ${text.replaceAll('\n', ' ')}`;
  return `${where}answers ${said}${stage in STATES ? ` while we are ${STATES[stage as StateName].phrase}` : ''}`;
}

/** Or a sentence that says why there are none. */
async function addressesOf(
  host: Host,
  { ports }: Pick<NetworkContext, 'ports'>,
): Promise<readonly string[] | string> {
  const found = await lookupAddresses(host, ports.resolver);
  if (found.type === 'addresses') return found.addresses;
  return found.type === 'no-addresses' ? found.failure.text : `no address of ${host.name}`;
}

/** The first address that greets. */
async function greetingOfHost(host: Host, circumstances: NetworkContext): Promise<Greeting> {
  const addresses = await addressesOf(host, circumstances);
  if (typeof addresses === 'string') return { greeted: false, text: addresses };
  const { ports, rules } = circumstances;
  const failures: string[] = [];
  for (const address of addresses) {
    const { greeted, text } = await readGreeting(ports, endpointOf(rules.delivery, host, address));
    const said = `${host.name} [${address}]:${host.port} ${greeted ? 'greets: ' : ''}${escapeControl(text)}`;
    if (greeted) return { greeted, text: said };
    failures.push(said);
  }
  return { greeted: false, text: failures.join('; ') };
}

const NO_REPORTS =
  'Mail leaves, but no sender is told of a failure, and such jobs stay. See the setting return.';

async function checkReturn(circumstances: NetworkContext): Promise<Finding> {
  const { path, ports } = circumstances;
  switch (path.kind) {
    case 'room':
      return ok(
        'reports',
        'go into the spool as jobs of their own, those to users here as files into .spoolroom/reports',
      );
    case 'lmtp': {
      const { greeted, text } = await readGreeting(ports, { address: path.socket, port: 0 });
      const said = `${path.socket} ${greeted ? 'greets: ' : ''}${escapeControl(text)}`;
      return greeted ? ok('reports', said) : warning('reports', said, NO_REPORTS);
    }
    case 'smtp': {
      const { host: name, literal, port } = path;
      const host = { name, literal, port, origin: 'smarthost', preference: null } as const;
      const { greeted, text } = await greetingOfHost(
        { ...host, credentials: null, implicitTls: false },
        circumstances,
      );
      return greeted ? ok('reports', text) : warning('reports', text, NO_REPORTS);
    }
  }
}
