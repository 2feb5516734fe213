/**
 * The part of `check` that looks at the Citadel server beside us: its version, its relay lines and how they are read, whether
 * its mail comes to us, and whether its mail would be delivered twice or loop. Changes nothing there.
 */
import { type ListenAddress, parseListenAddress } from '../../intake/listen-address.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { escapeControl, plural } from '../../output/text.ts';
import type { CitadelServer } from '../../queue/citadel/client/server.ts';
import { type CitadelConfig, readCitadelConfig } from '../../queue/citadel/client/server-config.ts';
import { type ServerVersion, serverVersion } from '../../queue/citadel/client/server-version.ts';
import { PROBE_PERIOD } from '../../queue/citadel/rival/probe.ts';
import { probePath, readProbeState } from '../../queue/citadel/rival/probe-store.ts';
import { RoomDialect } from '../../queue/citadel/room-dialect.ts';
import { RoomIndex } from '../../queue/citadel/room-index.ts';
import type { Relay } from '../../routing/hosts.ts';
import { relaysInOrder } from '../../routing/relays.ts';
import type { DeliveryDeps } from '../../runner/deliveries.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { layoutOf } from '../../storage/layout.ts';
import { readQueueId } from '../../storage/queue-id.ts';
import { askCitadel, citadelAccess } from '../setup/citadel-server.ts';
import { isIntake } from '../setup/intake-address.ts';
import { certificatesFrom, givenDialect, liveState } from '../setup/load-config.ts';
import { probePeer, reportSession } from './network.ts';

export interface CitadelContext {
  readonly settings: Settings;
  readonly commandText: CommandText;
  readonly ports: Pick<DeliveryDeps, 'connect' | 'clock'>;
  /** null: they could not be loaded, which another finding says */
  readonly rules: RunRules | null;
}

interface Survey {
  readonly version: ServerVersion;
  readonly config: CitadelConfig;
  /** numbers of the messages in its queue room */
  readonly queue: readonly number[];
  /** flag messages of other spoolrooms; looked for only where we deliver from that queue */
  readonly foreign: readonly number[];
  /** what the setting `dialect` says and the server does not, as sentences */
  readonly contradictions: readonly string[];
}

export async function checkCitadel(context: CitadelContext): Promise<readonly Finding[]> {
  const { settings } = context;
  const state = liveState(settings);
  const certificates = certificatesFrom(settings);
  if ('kind' in certificates) return [];
  const access = citadelAccess(settings, certificates);
  if (access.kind === 'no-access') return [notChecked(access.text)];
  const survey = await askCitadel(access, (server) => surveyOf(server, settings));
  if ('kind' in survey) return [notChecked(survey.text, survey.advice)];
  const { version, config, queue, foreign, contradictions } = survey;
  return [
    ok(
      'citadel',
      `${settings.citadel} answers like a Citadel server of ${version}; ${plural(queue.length, 'message')} in its queue`,
    ),
    ...contradictions.map((text) => warning('dialect', text, 'The server decides about the dialect.')),
    ...relayFindings(config),
    ...routeFindings(survey, context),
    ...loopFindings(context),
    ...(state === null
      ? await intakeFindings(survey, context)
      : [probeFinding(state, queue, foreign), ...handBackFindings(survey)]),
  ];
}

function notChecked(
  text: string,
  advice = 'Check the settings citadel and citadel-login, and that the server is running.',
): Finding {
  return problem('citadel', escapeControl(text), advice);
}

async function surveyOf(server: CitadelServer, settings: Settings): Promise<Survey> {
  const state = liveState(settings);
  const contradictions: string[] = [];
  const warn = (text: string): void => void contradictions.push(text);
  const dialect = new RoomDialect({ server, setting: givenDialect(settings), warn });
  if (state !== null) await dialect.detect();
  const index = new RoomIndex({
    server,
    dialect,
    longestList: settings['limit.list'],
    owner: state === null ? '' : (readQueueId(nodeDisk, layoutOf(state)) ?? ''),
  });
  const queue = await index.list();
  if (state !== null) await index.update();
  return {
    version: await serverVersion(server),
    config: await readCitadelConfig(server),
    queue,
    foreign: index.probes('foreign-flag'),
    contradictions,
  };
}

/** What its own queue run would do with lists of ours (techdoc/live-room.md). */
function handBackFindings({ version, config }: Survey): readonly Finding[] {
  if (version !== '2016' || !config.internet.relays.some(isSmart)) return [];
  return [
    warning(
      'hand-back',
      'with a smarthost, the queue run of a server of 2016 sends to the first recipients of a list, not to those that are pending',
      'We write pending recipients first, but a list that its own run rewrites has lost that order: some would get the message again, others ' +
        'never. Before its own queue run is switched on, let spoolroom finish the queue, or take its relay lines out until the queue is empty.',
    ),
  ];
}

/** How relay lines are read. Servers up to 2017 put each line in front of those before it. */
const READINGS: readonly { readonly by: string; readonly read: (relays: readonly Relay[]) => string }[] = [
  {
    by: 'spoolroom',
    read: (relays) => hosts(relaysInOrder(relays), relays.some(isSmart) ? '' : ' after the MX hosts'),
  },
  {
    by: 'servers of 2012 and 2016',
    read: (relays) => `${hosts(relaysInOrder([...relays].reverse()), '')}, and no delivery by MX`,
  },
  {
    by: 'servers since 2017',
    read: (relays) => {
      const smart = relays.filter(isSmart);
      return smart.length > 0 ? hosts(smart, '') : hosts(relays, ' after the MX hosts');
    },
  },
];

const isSmart = ({ kind }: Relay): boolean => kind === 'smarthost';

function hosts(relays: readonly Relay[], when: string): string {
  return `${relays.map(({ shown }) => escapeControl(shown)).join(', ')}${when}`;
}

/** How relay lines are read, by us and by the SMTP module of each server version. */
export function relayReadings(relays: readonly Relay[]): readonly Finding[] {
  if (relays.length === 0) return [ok('its relays', 'no relay lines')];
  return READINGS.map(({ by, read }) =>
    ok('its relays', `${by} ${by === 'spoolroom' ? 'reads' : 'read'} them as ${read(relays)}`),
  );
}

function relayFindings({ fqdn, internet: { relays, problems } }: CitadelConfig): readonly Finding[] {
  const name = fqdn === null ? 'does not give its name' : `calls itself ${escapeControl(fqdn)}`;
  const wrong = problems.map(({ line, shown, reason }) =>
    warning(
      'its relays',
      `line ${line}, ${escapeControl(shown)}: ${reason}`,
      'This line cannot be used. Correct it in the configuration of the server.',
    ),
  );
  return [ok('its name', `it ${name}`), ...relayReadings(relays), ...wrong];
}

type TcpAddress = Extract<ListenAddress, { kind: 'tcp' }>;

function tcpIntakes(settings: Settings): readonly TcpAddress[] {
  return settings['intake.listen']
    .map((text) => parseListenAddress(text))
    .filter((listen) => listen.kind === 'tcp');
}

function routeFindings({ version, config }: Survey, { settings }: CitadelContext): Finding[] {
  const { relays } = config.internet;
  const ours = relays.filter((relay) => isIntake(relay, settings));
  const others = relays.filter((relay) => !isIntake(relay, settings));
  const [address] = settings['intake.listen'];
  if (liveState(settings) !== null) {
    if (ours.length === 0)
      return [
        ok(
          'route',
          'we deliver from the queue inside the server, which must be built without its own queue run',
        ),
      ];
    return [
      problem(
        'route',
        `its relay lines name our intake (${hosts(ours, '')}), and we deliver from its queue as well`,
        'Both at once would send mail twice. Remove the relay line, or the setting state.',
      ),
    ];
  }
  if (ours.length === 0) {
    return [
      warning(
        'route',
        `servers of ${version} can use the intake, but its relay lines do not name it`,
        `Its mail is not sent to our intake. Keep a copy of its relay lines, remove them, and enter ${address} as smarthost.`,
      ),
    ];
  }
  if (others.length === 0) return [ok('route', `its mail comes to our intake: ${hosts(ours, '')}`)];
  return [
    warning(
      'route',
      `besides our intake its relay lines name ${hosts(others, '')}`,
      'Some of its mail may bypass us. Leave only the line of the intake, and put the other relays into our settings.',
    ),
  ];
}

function loopFindings({ settings, rules }: CitadelContext): Finding[] {
  const loops = (rules?.delivery.routing.relays ?? []).filter((relay) => isIntake(relay, settings));
  if (loops.length === 0 || liveState(settings) !== null) return [];
  return [
    problem(
      'loop',
      `our own relay ${hosts(loops, '')} is our intake`,
      'Mail would loop until it is refused for too many Received lines. Name the next server in the settings, not the intake.',
    ),
  ];
}

async function intakeFindings(
  { config }: Survey,
  { settings, ports, rules, commandText }: CitadelContext,
): Promise<readonly Finding[]> {
  if (rules === null) return [];
  const start = `Start ${commandText('intake')}, or watch with --intake`;
  const protocol = settings['intake.protocol'];
  const isUsed = config.internet.relays.some((relay) => isIntake(relay, settings));
  return Promise.all(
    tcpIntakes(settings).map(async ({ host: address, port }) => {
      const peer = { host: address, address, port };
      const { ready, text } = await probePeer(
        (withoutTls) => reportSession(rules, peer, protocol, withoutTls),
        ports,
      );
      if (/\bspoolroom\b/.test(text)) return ok('intake', text);
      if (ready)
        return problem(
          'intake',
          text,
          'Another program uses this port. Stop it, or give intake.listen another port.',
        );
      return isUsed
        ? problem('intake', text, `Mail waits in Citadel’s queue. ${start}.`)
        : warning('intake', text, `${start}, before Citadel uses it.`);
    }),
  );
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

function probeFinding(directory: string, queue: readonly number[], foreign: readonly number[]): Finding {
  const layout = layoutOf(directory);
  const state = readProbeState(nodeDisk, layout);
  if (state === 'damaged')
    return problem(
      'probe',
      `the file ${probePath(layout)} is damaged, and may have held an alarm`,
      'No mail is delivered. Make sure that nothing else delivers from that queue, then remove the file.',
    );
  const [other] = foreign;
  if (other !== undefined && (state === null || state.flag > other))
    return problem(
      'probe',
      `the flag message of another spoolroom, ${other}, is in its queue`,
      'No mail is delivered while it is there. If that spoolroom is gone for good, delete the message with Citadel’s own tools.',
    );
  if (state === null)
    return ok(
      'probe',
      `the probe messages are not posted yet; the first run posts them, and delivers mail ${seconds(PROBE_PERIOD)} seconds later`,
    );
  const { flag, probe, alarm } = state;
  const isGone = probe !== null && !queue.includes(probe);
  if (alarm === null && !isGone && !queue.includes(flag))
    return warning(
      'probe',
      `message ${flag} is gone from its queue`,
      `The next run posts another one, and delivers mail ${seconds(PROBE_PERIOD)} seconds later. Messages in that room must not expire.`,
    );
  if (alarm === null && !isGone)
    return ok(
      'probe',
      probe === null
        ? `message ${flag} is untouched in its queue`
        : `messages ${flag} and ${probe} are untouched in its queue, ${seconds(state.waited)} of ${seconds(PROBE_PERIOD)} seconds`,
    );
  return problem(
    'probe',
    alarm === null ? `message ${probe} is gone from its queue` : `another program ${alarm}`,
    `Another program delivers from that queue, most likely the server itself: both together would send mail twice. Use the intake, or switch the other one off and remove ${probePath(layout)}.`,
  );
}
