/**
 * The part of `check` that looks at the Citadel server we stand beside: its era, its relay lines and how they are read,
 * whether its mail comes to us, and whether two would deliver it or it would go round in a circle. Changes nothing there.
 */

import { type ListenAddress, parseListenAddress } from '../../intake/listen-address.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { escapeControl } from '../../output/text.ts';
import type { CitadelServer } from '../../queue/citadel/client/server.ts';
import { type CitadelConfig, readCitadelConfig } from '../../queue/citadel/client/server-config.ts';
import { type ServerVersion, serverVersion } from '../../queue/citadel/client/server-version.ts';
import { PROBE_PERIOD } from '../../queue/citadel/rival/probe.ts';
import { probePath, readProbeState } from '../../queue/citadel/rival/probe-store.ts';
import { RoomIndex } from '../../queue/citadel/room-index.ts';
import type { Relay } from '../../routing/hosts.ts';
import { relaysInOrder } from '../../routing/relays.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { layoutOf } from '../../storage/layout.ts';
import { readQueueId } from '../../storage/queue-id.ts';
import { askingCitadel, citadelAccess } from '../setup/citadel-server.ts';
import { certificatesFrom } from '../setup/load-config.ts';
import { readGreeting } from './banner-probe.ts';

export interface CitadelContext {
  readonly settings: Settings;
  readonly ports: Pick<RunDeps, 'connect' | 'clock'>;
  /** null: they could not be loaded, which is told elsewhere */
  readonly rules: RunRules | null;
}

interface Survey {
  readonly era: ServerVersion;
  readonly config: CitadelConfig;
  /** numbers of the messages in its queue room */
  readonly queue: readonly number[];
  /** flags of other spoolrooms there; looked for where we would work that queue ourselves */
  readonly foreign: readonly number[];
}

type TcpPlace = Extract<ListenAddress, { kind: 'tcp' }>;

export async function checkCitadel(circumstances: CitadelContext): Promise<readonly Finding[]> {
  const { settings } = circumstances;
  const certificates = certificatesFrom(settings);
  if ('kind' in certificates) return [];
  const access = citadelAccess(settings, certificates);
  if (access.kind === 'no-access') return [unseen(access.text)];
  const survey = await askingCitadel(access, (server) => surveyOf(server, settings));
  if ('kind' in survey) return [unseen(survey.text)];
  const { era, config, queue, foreign } = survey;
  return [
    ok(
      'citadel',
      `${settings.citadel} answers as servers of ${era} do; ${queue.length} messages in its queue`,
    ),
    ...relayFindings(config),
    ...wayFindings(survey, circumstances),
    ...loopFindings(circumstances),
    ...(settings.state === null
      ? await intakeFindings(survey, circumstances)
      : [trialFinding(settings.state, queue, foreign)]),
  ];
}

function unseen(text: string): Finding {
  return problem(
    'citadel',
    escapeControl(text),
    'See the settings citadel and citadel-login, and whether the server runs.',
  );
}

async function surveyOf(server: CitadelServer, { state, dialect }: Settings): Promise<Survey> {
  const options = { dialect: 'detect', fallback: dialect } as const;
  const inventory = new RoomIndex({
    server,
    options,
    owner: state === null ? '' : (readQueueId(nodeDisk, layoutOf(state)) ?? ''),
  });
  const queue = await inventory.list();
  if (state !== null) await inventory.update();
  return {
    era: await serverVersion(server),
    config: await readCitadelConfig(server),
    queue,
    foreign: inventory.probes('foreign-flag'),
  };
}

/** Who reads relay lines how. Servers up to 2017 put each line in front of those before it. */
const READINGS: readonly { readonly by: string; readonly read: (relays: readonly Relay[]) => string }[] = [
  {
    by: 'we',
    read: (relays) => hosts(relaysInOrder(relays), relays.some(isSmart) ? '' : ' after the MX hosts'),
  },
  {
    by: 'servers of 2012 and 2016',
    read: (relays) => `${hosts(relaysInOrder([...relays].reverse()), '')}, and nobody by MX`,
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

/** How relay lines are understood, by us and by the module of each era. */
export function relayReadings(relays: readonly Relay[]): readonly Finding[] {
  if (relays.length === 0) return [ok('its relays', 'no relay lines')];
  return READINGS.map(({ by, read }) => ok('its relays', `${by} read them as ${read(relays)}`));
}

function relayFindings({ fqdn, internet: { relays, problems } }: CitadelConfig): readonly Finding[] {
  const name = fqdn === null ? 'does not tell its name' : `calls itself ${escapeControl(fqdn)}`;
  const wrong = problems.map(({ line, shown, reason }) =>
    warning(
      'its relays',
      `line ${line}, ${escapeControl(shown)}: ${reason}`,
      'We cannot use this line. Correct it there.',
    ),
  );
  return [ok('its name', `it ${name}`), ...relayReadings(relays), ...wrong];
}

function tcpIntakes(settings: Settings): readonly TcpPlace[] {
  return settings['intake.listen'].map(parseListenAddress).filter((place) => place.kind === 'tcp');
}

/** Whether this relay is our own intake. */
function isIntake({ host, port }: Relay, settings: Settings): boolean {
  const isHere = host.toLowerCase() === 'localhost' || host.startsWith('127.') || host === '::1';
  return isHere && tcpIntakes(settings).some((place) => place.port === port);
}

function wayFindings({ era, config }: Survey, { settings }: CitadelContext): Finding[] {
  const { relays } = config.internet;
  const here = relays.filter((relay) => isIntake(relay, settings));
  const others = relays.filter((relay) => !isIntake(relay, settings));
  const [address] = settings['intake.listen'];
  if (settings.state !== null) {
    if (here.length === 0)
      return [ok('way', 'the queue inside the server; it must be built without its queue run')];
    return [
      problem(
        'way',
        `its relay lines name the intake (${hosts(here, '')}), and its queue is to be worked as well`,
        'Both ways at once send mail twice. Take the line out, or leave out the setting state.',
      ),
    ];
  }
  if (here.length === 0) {
    return [
      warning(
        'way',
        `servers of ${era} fit the intake, and its relay lines do not name ours`,
        `Its mail does not come to us. Keep a copy of its relay lines, remove them, and enter ${address} as smarthost.`,
      ),
    ];
  }
  if (others.length === 0) return [ok('way', `its mail comes to the intake: ${hosts(here, '')}`)];
  return [
    warning(
      'way',
      `beside the intake its relay lines name ${hosts(others, '')}`,
      'Some of its mail may pass us by. Leave only the line of the intake; relays belong into our settings.',
    ),
  ];
}

function loopFindings({ settings, rules }: CitadelContext): Finding[] {
  const loops = (rules?.delivery.routing.relays ?? []).filter((relay) => isIntake(relay, settings));
  if (loops.length === 0 || settings.state !== null) return [];
  return [
    problem(
      'loop',
      `our own relay ${hosts(loops, '')} is our intake`,
      'Mail would go round until it is refused for its Received lines. Name the next server in the settings, not the intake.',
    ),
  ];
}

async function intakeFindings(
  { config }: Survey,
  { settings, ports }: CitadelContext,
): Promise<readonly Finding[]> {
  const isUsed = config.internet.relays.some((relay) => isIntake(relay, settings));
  return Promise.all(
    tcpIntakes(settings).map(async ({ host: address, port }) => {
      const { greeted, text } = await readGreeting(ports, { address, port });
      const said = `${address}:${port} ${greeted ? 'greets: ' : ''}${escapeControl(text)}`;
      if (/\bspoolroom\b/.test(text)) return ok('intake', said);
      if (greeted)
        return problem(
          'intake',
          said,
          'Another program has its port. Stop it, or give intake.listen another one.',
        );
      return isUsed
        ? problem(
            'intake',
            said,
            'Mail waits in Citadel’s queue. Start `spoolroom intake`, or `watch --intake`.',
          )
        : warning(
            'intake',
            said,
            'Start `spoolroom intake`, or `watch --intake`, before Citadel is to use it.',
          );
    }),
  );
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

function trialFinding(state: string, queue: readonly number[], foreign: readonly number[]): Finding {
  const layout = layoutOf(state);
  const trial = readProbeState(nodeDisk, layout);
  const [other] = foreign;
  if (other !== undefined && (trial === null || trial.flag > other))
    return problem(
      'trial',
      `the flag of another spoolroom, message ${other}, lies in its queue`,
      'No mail is taken beside it. If that spoolroom is gone for good, delete that message with Citadel’s own tools.',
    );
  if (trial === null)
    return ok(
      'trial',
      `not posted yet; the first run posts it, and takes mail ${seconds(PROBE_PERIOD)} seconds later`,
    );
  const { flag, probe, alarm } = trial;
  const isGone = probe !== null && !queue.includes(probe);
  if (alarm === null && !isGone && !queue.includes(flag))
    return warning(
      'trial',
      `message ${flag} is gone from its queue`,
      `The next run posts another one, and takes mail ${seconds(PROBE_PERIOD)} seconds later. Let no messages expire in that room.`,
    );
  if (alarm === null && !isGone)
    return ok(
      'trial',
      probe === null
        ? `message ${flag} lies untouched in its queue`
        : `messages ${flag} and ${probe} lie untouched in its queue, ${seconds(trial.waited)} of ${seconds(PROBE_PERIOD)} seconds`,
    );
  return problem(
    'trial',
    alarm === null ? `message ${probe} is gone from its queue` : `something else ${alarm}`,
    `Somebody else works that queue, the server itself most likely: two runs would send mail twice. Use the intake, or switch the other one off and remove ${probePath(layout)}.`,
  );
}
