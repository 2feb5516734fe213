/**
 * The part of `check` that asks other hosts: name servers, relays, the server that takes reports. It sends no message and no
 * password; the server that takes reports is asked whether it would take one.
 */
import { lookupAddresses } from '../../delivery/lookups.ts';
import { sessionOptions } from '../../delivery/rules.ts';
import type { DsnTransportSetting } from '../../dsn/return-path.ts';
import { handoverSession } from '../../dsn/transport.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { entryName } from '../../output/destination-text.ts';
import { hintsFor } from '../../output/hints.ts';
import { duration, escapeControl } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { withRules } from '../../routing/destination-rules.ts';
import { type Host, isRelayMode, type Relay } from '../../routing/hosts.ts';
import { LOOKUP_ERRORS, relayHost } from '../../routing/route.ts';
import type { DeliveryDeps } from '../../runner/deliveries.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { SessionOptions } from '../../smtp/client/listener.ts';
import { STATES, type StateName } from '../../smtp/machine/states.ts';
import type { Failure, Peer } from '../../smtp/outcome.ts';
import { describePeer } from '../../smtp/status-text.ts';
import { type ProbeDeps, probeServer } from './banner-probe.ts';

export interface NetworkContext {
  readonly ports: Pick<DeliveryDeps, 'connect' | 'resolver' | 'clock'>;
  readonly rules: RunRules;
  readonly path: DsnTransportSetting;
  /** whom reports would go to: the sender of a message in the spool, and the last resort */
  readonly reportsTo: readonly ByteString[];
}

export async function checkNetwork(context: NetworkContext): Promise<readonly Finding[]> {
  const [dns, relays, reports] = await Promise.all([
    checkDns(context),
    checkRelays(context),
    checkReports(context),
  ]);
  return [dns, ...relays, reports];
}

/** The question is whether the name servers answer, so the answer may as well be that the name does not exist. */
async function checkDns({ ports, rules }: NetworkContext): Promise<Finding> {
  const name = rules.render.fqdn;
  const began = ports.clock.monotonic();
  const answer = await ports.resolver.mx(name);
  const taken = duration(ports.clock.monotonic() - began);
  const answered = answer.kind === 'found' || answer.fault === 'no-domain' || answer.fault === 'no-data';
  if (answered) return ok('dns', `the name servers answer (${taken})`);
  const seen = `MX of ${name}: ${LOOKUP_ERRORS[answer.fault]} (${taken})`;
  const relayed = isRelayMode(rules.delivery.routing.relays);
  return relayed
    ? warning(
        'dns',
        seen,
        'Mail goes to relays, so only their names are looked up. Check /etc/resolv.conf, or the setting dns.',
      )
    : problem('dns', seen, 'No mail can be delivered; it waits. Check /etc/resolv.conf, or the setting dns.');
}

async function checkRelays(context: NetworkContext): Promise<readonly Finding[]> {
  const { routing } = context.rules.delivery;
  const probed = await Promise.all(routing.relays.map((relay) => probeRelay(relay, undefined, context)));
  const isReachable = probed.some(({ kind, ready }) => kind === 'smarthost' && ready);
  const general = probed.map((each) =>
    relayFinding(each.kind, each, (hint) =>
      each.kind === 'fallbackhost' || isReachable
        ? warning(
            each.kind,
            each.text,
            `Mail for it goes to the next host in order, or waits where there is none. ${hint}`,
          )
        : problem(
            each.kind,
            each.text,
            `All mail goes to smart hosts, and none of them takes mail: it waits. ${hint}`,
          ),
    ),
  );
  const special = routing.destinations.withRelays.map(async ({ placed, position, relays }) => {
    const name = entryName(placed);
    const each = await Promise.all(relays.map((relay) => probeRelay(relay, [position], context)));
    return each.map((one) =>
      relayFinding(name, one, (hint) =>
        warning(
          name,
          one.text,
          `The mail that the entry is for waits, unless another of its relays takes it. ${hint}`,
        ),
      ),
    );
  });
  return [...general, ...(await Promise.all(special)).flat()];
}

type ProbedRelay = Probed & Pick<Relay, 'kind'>;

/** @param entries of `destinations` that lead to it */
async function probeRelay(
  relay: Relay,
  entries: Host['entries'],
  context: NetworkContext,
): Promise<ProbedRelay> {
  const { delivery } = context.rules;
  const host = withRules(relayHost(relay), entries, delivery.routing.destinations);
  const probed = await probeHost(host, context, (at, address, withoutTls) =>
    sessionOptions(delivery, at, address, { number: 0, withoutTls }),
  );
  return { kind: relay.kind, ...probed };
}

function relayFinding(
  name: string,
  { ready, text, tlsFailure }: Probed,
  otherwise: (hint: string) => Finding,
): Finding {
  if (!ready) return otherwise(hintsFor(text) ?? 'Check the entry, the firewall, and the server itself.');
  return tlsFailure === null ? ok(name, text) : warning(name, `${text}; ${tlsFailure}`, IN_CLEAR);
}

const IN_CLEAR =
  'Mail goes in the clear and can be read on the way. With the setting relay-tls require it waits instead.';

interface Probed {
  /** it would take mail, as far as that shows without sending a message or a password */
  readonly ready: boolean;
  readonly text: string;
  /** why TLS was given up; null: it was not */
  readonly tlsFailure: string | null;
  /** those it would take reports for, and why not for others */
  readonly accepts: readonly string[];
  readonly refuses: readonly string[];
}

const NOT_READY = { ready: false, tlsFailure: null, accepts: [], refuses: [] } as const;

type OptionsFor = (host: Host, address: string, withoutTls: boolean) => SessionOptions;

/** The first address that is ready, or all that failed. */
async function probeHost(
  host: Host,
  context: NetworkContext,
  optionsFor: OptionsFor,
  recipients: readonly ByteString[] = [],
): Promise<Probed> {
  const { ports } = context;
  const addresses = await addressesOf(host, context);
  if (typeof addresses === 'string') return { ...NOT_READY, text: addresses };
  const failures: string[] = [];
  for (const address of addresses) {
    const tried = await probePeer((withoutTls) => optionsFor(host, address, withoutTls), ports, recipients);
    if (tried.ready) return withPasswordNote(tried, host);
    failures.push(tried.text);
  }
  return { ...NOT_READY, text: failures.join('; ') };
}

function withPasswordNote(probed: Probed, { credentials }: Host): Probed {
  return credentials === null ? probed : { ...probed, text: `${probed.text}, password not tried` };
}

export async function probePeer(
  optionsFor: (withoutTls: boolean) => SessionOptions,
  deps: ProbeDeps,
  recipients: readonly ByteString[] = [],
): Promise<Probed> {
  const result = await probeServer(optionsFor, deps, recipients);
  if (result.kind === 'failed') return { ...NOT_READY, text: escapeControl(failureText(result.failure)) };
  const { peer } = optionsFor(false);
  const { greeting, tls, tlsFailure } = result;
  const asked = [...result.recipients].map(
    ([address, outcome]) => [escapeControl(address), outcome] as const,
  );
  return {
    ready: true,
    text: `${escapeControl(describePeer(peer))} greets: ${escapeControl(greeting)} (${tls ?? 'no TLS'})`,
    tlsFailure: tlsFailure === null ? null : escapeControl(tlsFailure.text),
    accepts: asked.flatMap(([address, { kind }]) => (kind === 'delivered' ? address : [])),
    refuses: asked.flatMap(([address, outcome]) =>
      outcome.kind === 'failed' ? `${address}: ${failureText({ ...outcome, peer: null })}` : [],
    ),
  };
}

/** The reply, and the step it came at. Our own sentences name the step themselves. */
function failureText({ peer, code, text, stage }: Failure): string {
  const where = peer === null ? '' : `${describePeer(peer)} `;
  if (code === null) return `${where}${text}`;
  const step = stage in STATES ? ` while we were ${STATES[stage as StateName].phrase}` : '';
  return `${where}replied ${code} ${text.replaceAll('\n', ' ')}${step}`;
}

/** Or a sentence that says why there are none. */
async function addressesOf(
  host: Host,
  { ports: { resolver }, rules }: NetworkContext,
): Promise<readonly string[] | string> {
  const found = await lookupAddresses(host, resolver, rules.delivery.routing);
  if (found.type === 'addresses') return found.addresses;
  return found.type === 'no-addresses' ? found.failure.text : `no address of ${host.name}`;
}

/** A session in which reports are handed over, or one without TLS. */
export function reportSession(
  { delivery, ehloName }: RunRules,
  peer: Peer,
  protocol: 'lmtp' | 'smtp',
  withoutTls: boolean,
): SessionOptions {
  const session = handoverSession(protocol, peer, delivery.deadlines, ehloName);
  return withoutTls ? { ...session, policy: { ...session.policy, tls: 'none' } } : session;
}

async function checkReports(context: NetworkContext): Promise<Finding> {
  const { path, ports, rules, reportsTo } = context;
  switch (path.kind) {
    case 'room':
      return warning(
        'reports',
        'no server takes reports',
        'Senders are not told of failures: reports are kept in .spoolroom/reports, with a warning. Set return to the server that the senders use.',
      );
    case 'lmtp': {
      const peer = { host: path.socket, address: null, port: 25 };
      return reportsFinding(
        await probePeer((withoutTls) => reportSession(rules, peer, 'lmtp', withoutTls), ports, reportsTo),
      );
    }
    case 'smtp': {
      const { host: name, literal, port } = path;
      const origin = { origin: 'smarthost', preference: null } as const;
      const host = { name, literal, port, ...origin, credentials: null, implicitTls: false };
      return reportsFinding(
        await probeHost(
          host,
          context,
          (_, address, withoutTls) => reportSession(rules, { host: name, address, port }, 'smtp', withoutTls),
          reportsTo,
        ),
      );
    }
  }
}

function reportsFinding({ ready, text, accepts, refuses }: Probed): Finding {
  if (!ready)
    return warning(
      'reports',
      text,
      'Mail is delivered, but senders get no reports of failures, and jobs that need one stay. Check the setting return.',
    );
  const taken = accepts.length === 0 ? '' : `; it takes reports for ${accepts.join(', ')}`;
  if (refuses.length === 0) return ok('reports', `${text}${taken}`);
  return warning(
    'reports',
    `${text}${taken}; it does not take reports for ${escapeControl(refuses.join(', '))}`,
    'Reports that it refuses are kept in .spoolroom/reports, with a warning. Check hostname and aide: the server must know their domain as its own.',
  );
}
