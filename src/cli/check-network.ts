/**
 * The part of `check` that asks others: name servers, relays, the server that takes reports. Nothing is sent to anybody.
 */
import type { Endpoint } from '#net-stream-utils';
import { lookupAddresses } from '../delivery/lookups.ts';
import type { RunPorts } from '../delivery/queue-run.ts';
import type { ReturnPath } from '../delivery/return-path.ts';
import type { RunRules } from '../delivery/rules.ts';
import type { Host } from '../plan/hosts.ts';
import { LOOKUP_FAULTS, relayHost } from '../plan/route.ts';
import { type Finding, ok, trouble, warning } from '../report/check-report.ts';
import { harmless, span } from '../report/people.ts';
import { type Greeting, greetingOf } from './greeting.ts';

export interface NetworkCircumstances {
  readonly ports: Pick<RunPorts, 'connect' | 'resolver' | 'clock'>;
  readonly rules: RunRules;
  readonly path: ReturnPath;
}

export async function checkNetwork(circumstances: NetworkCircumstances): Promise<readonly Finding[]> {
  const [dns, relays, reports] = await Promise.all([
    checkDns(circumstances),
    checkRelays(circumstances),
    checkReturn(circumstances),
  ]);
  return [dns, ...relays, reports];
}

/** Any proven answer will do: it is the name servers that are asked, not the name. */
async function checkDns({ ports, rules }: NetworkCircumstances): Promise<Finding> {
  const name = rules.render.fqdn;
  const began = ports.clock.monotonic();
  const answer = await ports.resolver.mx(name);
  const taken = span(ports.clock.monotonic() - began);
  const proven = answer.kind === 'found' || answer.fault === 'no-domain' || answer.fault === 'no-data';
  if (proven) return ok('dns', `the name servers answer (${taken})`);
  const seen = `MX of ${name}: ${LOOKUP_FAULTS[answer.fault]} (${taken})`;
  const relayed = rules.dispatch.routing.relays.some(({ kind }) => kind === 'smarthost');
  return relayed
    ? warning(
        'dns',
        seen,
        'Mail goes to relays, so only their names are looked up. See /etc/resolv.conf, or the setting dns.',
      )
    : trouble('dns', seen, 'No mail can be sent, it all waits. See /etc/resolv.conf, or the setting dns.');
}

async function checkRelays(circumstances: NetworkCircumstances): Promise<readonly Finding[]> {
  const { relays } = circumstances.rules.dispatch.routing;
  const greetings = await Promise.all(
    relays.map(async (relay) => ({ relay, ...(await greetingOfHost(relayHost(relay), circumstances)) })),
  );
  const smarthostGreets = greetings.some(({ relay, greeted }) => relay.kind === 'smarthost' && greeted);
  return greetings.map(({ relay: { kind }, greeted, text }) => {
    if (greeted) return ok(kind, text);
    return kind === 'fallbackhost' || smarthostGreets
      ? warning(kind, text, 'Mail for it goes to the next host in order, or waits where there is none.')
      : trouble(
          kind,
          text,
          'All mail goes to smart hosts, and none of them takes any: it waits. See the entry, a firewall, the server itself.',
        );
  });
}

/** The first address that greets. */
async function greetingOfHost(host: Host, { ports, rules }: NetworkCircumstances): Promise<Greeting> {
  const found = await lookupAddresses(host, ports.resolver);
  if (found.type !== 'addresses') {
    const text = found.type === 'no-addresses' ? found.failure.text : `no address of ${host.name}`;
    return { greeted: false, text };
  }
  const failures: string[] = [];
  for (const address of found.addresses) {
    const local = rules.dispatch.localAddresses.find((each) => each.includes(':') === address.includes(':'));
    const endpoint: Endpoint = {
      address,
      port: host.port,
      ...(local === undefined ? {} : { localAddress: local }),
    };
    const tls = host.implicitTls ? rules.dispatch.tlsFor(host) : undefined;
    const { greeted, text } = await greetingOf(ports, endpoint, tls);
    const said = `${host.name} [${address}]:${host.port} ${greeted ? 'greets: ' : ''}${harmless(text)}`;
    if (greeted) return { greeted, text: said };
    failures.push(said);
  }
  return { greeted: false, text: failures.join('; ') };
}

const NO_REPORTS =
  'Mail leaves, but no sender is told of a failure, and such jobs stay. See the setting return.';

async function checkReturn(circumstances: NetworkCircumstances): Promise<Finding> {
  const { path, ports } = circumstances;
  switch (path.kind) {
    case 'room':
      return ok('reports', 'go into the spool as jobs of their own');
    case 'lmtp': {
      const { greeted, text } = await greetingOf(ports, { address: path.socket, port: 0 });
      const said = `${path.socket} ${greeted ? 'greets: ' : ''}${harmless(text)}`;
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
