/**
 * `spoolroom check`: what would stop mail, and what to do about it. Looks at the settings, the spool, the name servers, the
 * relays and the server that takes reports; with `--citadel` also at the Citadel server. Sends no message, changes nothing.
 */
import { statSync } from 'node:fs';
import { dsnRecipients, type Site } from '../../dsn/recipient.ts';
import { THRESHOLD } from '../../metrics/thresholds.ts';
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { entryName, entryText } from '../../output/destination-text.ts';
import { escapeControl } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { formatTime } from '../../platform/clock.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { isRelayMode } from '../../routing/hosts.ts';
import { isFullName } from '../../routing/own-address.ts';
import { everyRelay } from '../../routing/route.ts';
import { REPORT, readAlerts } from '../../runner/alerts.ts';
import { isOfRelay } from '../../runner/relay-alerts.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import { GIVEN, type Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { layoutOf } from '../../storage/layout.ts';
import { monitoringFindings } from '../check/monitoring.ts';
import { checkNetwork } from '../check/network.ts';
import { printFindings } from '../check/print.ts';
import { checkSpool } from '../check/spool.ts';
import { siteOf } from '../setup/delivery/dsn.ts';
import { dsnTransportOf } from '../setup/delivery/return-path.ts';
import { readOnlyDeps, type SystemDeps } from '../setup/delivery/system-deps.ts';
import { clockFor, foreignAddresses, loadRules } from '../setup/load-config.ts';
import { becomeOwner } from '../setup/privileges.ts';
import { readSpool } from '../setup/read-spool.ts';
import type { Command, Invocation } from '../shell/command.ts';

export const command: Command = async (invocation) => printFindings(await check(invocation), invocation);

async function check({ settings, commandText }: Invocation): Promise<readonly Finding[]> {
  const directory = settings.state ?? settings.spool;
  const notOwner = directory === null ? null : becomeOwner(directory, settings);
  if (notOwner !== null) return [problem('spool', notOwner.text, 'No mail is delivered by root.')];
  const rules = await loadRules(settings);
  const spool = await checkedSpool(settings, commandText);
  const [network, citadel] = await Promise.all([
    'kind' in rules ? [] : networkFindings(settings, rules, spool.jobs),
    citadelFindings(settings, 'kind' in rules ? null : rules, commandText),
  ]);
  return [
    ...settingsFindings(settings, rules),
    ...monitoringFindings(settings),
    ...(await webFindings(settings)),
    ...alertFindings(settings, rules),
    ...spool.findings,
    ...network,
    ...citadel,
  ];
}

type Loaded = Awaited<ReturnType<typeof loadRules>>;

function settingsFindings(settings: Settings, rules: Loaded): readonly Finding[] {
  if ('kind' in rules)
    return [problem('settings', rules.text, 'No mail is delivered until this is corrected.')];
  const { config, now } = settings;
  return [
    ok('settings', config === null ? 'no configuration file' : `configuration file ${config}`),
    ...foreignHandFindings(settings),
    ...secretFindings(settings, rules),
    ...relayFileFindings(settings, rules),
    ...rules.delivery.routing.destinations.entries
      .filter(({ setting }) => setting === 'destinations')
      .map((placed) => ok(entryName(placed), entryText(placed))),
    ...foreignAddresses(rules).map((text) =>
      warning('settings', text, 'Correct it, or give this machine the address.'),
    ),
    hostnameFinding(rules),
    ...(now === null
      ? []
      : [
          warning(
            'now',
            `the clock is set to ${formatTime(Math.floor(clockFor(settings).now() / 1000))}`,
            'All times in the lists are written by this clock. The setting now is meant for tests.',
          ),
        ]),
  ];
}

/** The web view is in use where a setting of it is given. */
async function webFindings(settings: Settings): Promise<readonly Finding[]> {
  if (![...settings[GIVEN].keys()].some((name) => name.startsWith('web.'))) return [];
  const { webOptions } = await import('../web/listener.ts');
  const options = webOptions(settings);
  if (options.kind === 'options') return [ok('web', `can listen on ${settings['web.listen']}`)];
  return [
    problem(
      'web',
      options.text,
      '`web` and `watch --web` do not start until this is corrected; other mail goes.',
    ),
  ];
}

/** What deliveries have met: this also shows what `check` itself does not try, such as a password. */
function alertFindings({ state, spool }: Settings, rules: Loaded): readonly Finding[] {
  const home = state ?? spool;
  if (home === null || 'kind' in rules) return [];
  const alerts = [...readAlerts(nodeDisk, layoutOf(home))].filter(([, { told }]) => told !== null);
  const since = ([, alert]: (typeof alerts)[number]): string =>
    `since ${formatTime(alert.since)}: ${escapeControl(alert.text)}`;
  const relays = alerts.filter(([key]) => isOfRelay(key, everyRelay(rules.delivery.routing)));
  const [report, ...others] = alerts.filter(([key]) => key.startsWith(REPORT));
  const more = others.length === 0 ? '' : ` The same with ${others.length} more.`;
  const thresholds = alerts.filter(([key]) => key.startsWith(THRESHOLD));
  return [
    ...relays.map((each) => problem('relay', since(each), 'This ends when the relay takes a message.')),
    ...thresholds.map((each) => warning('alert', since(each), 'It is so as of the last run.')),
    ...(report === undefined
      ? []
      : [
          problem(
            'reports',
            since(report) + more,
            'This ends when the report is taken: check the server that takes reports (setting return).',
          ),
        ]),
  ];
}

function hostnameFinding({ render, ehloName }: RunRules): Finding {
  const name = render.fqdn;
  if (isFullName(name)) return ok('hostname', name);
  return warning(
    'hostname',
    `${name} is not a fully qualified domain name${ehloName === name ? '' : `, so EHLO says ${ehloName}`}`,
    'Many servers refuse mail from such a name. Set hostname to the name that this machine has in the DNS.',
  );
}

/** Relays were to come from a file, and there are none in it. */
function relayFileFindings(settings: Settings, { delivery }: RunRules): readonly Finding[] {
  const file = settings['internet-config'];
  if (file === null || isRelayMode(delivery.routing.relays)) return [];
  const from = file === 'citadel' ? 'the configuration of the Citadel server' : file;
  return [
    warning('settings', `${from} has no smarthost line`, 'All mail goes to the MX hosts of its recipients.'),
  ];
}

function settingsFiles({ config, 'internet-config': from }: Settings): readonly string[] {
  return [config, from === 'citadel' ? null : from].filter((file) => file !== null);
}

/** Files with settings that somebody else can change, who then decides where mail goes, and as root what is written where. */
function foreignHandFindings(settings: Settings): readonly Finding[] {
  const self = process.geteuid?.() ?? 0;
  return settingsFiles(settings).flatMap((file) => {
    const status = statSync(file, { throwIfNoEntry: false });
    if (status === undefined) return [];
    const everyone = (status.mode & 0o002) !== 0;
    if (!everyone && (status.uid === 0 || status.uid === self)) return [];
    const who = everyone ? 'every user of this machine' : `user ${status.uid}`;
    return warning(
      'settings',
      `${who} can change ${file}`,
      `That decides where mail goes. ${everyone ? 'chmod o-w.' : 'Make it belong to root, or to the user who runs spoolroom.'}`,
    );
  });
}

/** Files that hold passwords and that every user of the machine can read. */
function secretFindings(settings: Settings, { delivery }: RunRules): readonly Finding[] {
  const { destinations } = delivery.routing;
  const relays = everyRelay(delivery.routing);
  const hasSecret =
    relays.some(({ credentials }) => credentials !== null) ||
    destinations.entries.some(({ entry }) => entry.credentials !== undefined);
  if (!hasSecret) return [];
  return settingsFiles(settings)
    .filter((file) => ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0)
    .map((file) =>
      warning(
        'secrets',
        `every user of this machine can read ${file}`,
        'If it holds the password of a relay: chmod o-r.',
      ),
    );
}

interface CheckedSpool {
  readonly findings: readonly Finding[];
  readonly jobs: readonly QueuedJob[];
}

async function checkedSpool(settings: Settings, commandText: CommandText): Promise<CheckedSpool> {
  const { spool, state, citadel } = settings;
  const only = (...findings: readonly Finding[]): CheckedSpool => ({ findings, jobs: [] });
  if (settings.postgres !== null) {
    const { checkPostgres } = await import('../check/postgres.ts');
    const clock = clockFor(settings);
    return only(...(await checkPostgres(settings.postgres, () => clock.now() / 1000)));
  }
  // Beside a server there may be no spool yet.
  if (state !== null || (spool === null && citadel !== null)) return only();
  if (spool === null) return only(problem('spool', 'no spool directory is set', 'Give it with --spool DIR.'));
  const unread: Finding[] = [];
  const opened = await readSpool(settings, (text) => {
    unread.push(warning('spool', text, 'What cannot be read is not delivered.'));
  });
  if ('kind' in opened) return only(problem('spool', opened.text, 'No mail is delivered.'));
  const scan = await opened.view.scan();
  const findings = await checkSpool(scan, { ...opened, commandText, orphanAge: settings['orphan-age'] });
  return { findings: [...findings, ...unread], jobs: scan.jobs };
}

async function citadelFindings(
  settings: Settings,
  rules: RunRules | null,
  commandText: CommandText,
): Promise<readonly Finding[]> {
  if (settings.citadel === null && settings['internet-config'] === null) return [];
  const { checkCitadel, relayReadings } = await import('../check/citadel.ts');
  if (settings.citadel === null) return relayReadings(rules?.delivery.routing.relays ?? []);
  return checkCitadel({ settings, rules, commandText, ports: readOnlyDeps(settings, clockFor(settings)) });
}

/** Milliseconds for a lookup: the command is run interactively. */
const LOOKUP = 5000;

async function networkFindings(
  settings: Settings,
  rules: RunRules,
  jobs: readonly QueuedJob[],
): Promise<readonly Finding[]> {
  const path = dsnTransportOf(settings, settings.spool ?? settings.state ?? '/');
  if (path.kind === 'error')
    return [problem('reports', path.text, 'No mail is delivered until this is corrected.')];
  const impatient = { ...settings, 'timeout.lookup': Math.min(settings['timeout.lookup'], LOOKUP) };
  const ports = readOnlyDeps(impatient, clockFor(settings));
  const reportsTo = reportRecipients(jobs, siteOf(settings, rules));
  const [network, policies] = await Promise.all([
    checkNetwork({ ports, rules, path, reportsTo }),
    policyFindings(settings, rules, ports),
  ]);
  return [...network, ...policies];
}

/** A typical sender, which is that of the latest job in the spool, and the last resort. */
function reportRecipients(jobs: readonly QueuedJob[], site: Site): readonly ByteString[] {
  const latest = jobs.at(-1);
  const typical = latest === undefined ? [] : dsnRecipients(latest.job, site).slice(0, 1);
  return [...new Set([...typical, site.aide])];
}

/** Relays are judged by the settings alone. */
async function policyFindings(
  settings: Settings,
  rules: RunRules,
  { resolver }: SystemDeps,
): Promise<readonly Finding[]> {
  if (isRelayMode(rules.delivery.routing.relays) || settings.tls === 'none') return [];
  const { checkDane, checkPolicies } = await import('../check/tls-policy.ts');
  const { diskStsCache } = await import('../../tls-policy/sts-cache.ts');
  const spool = settings.state ?? settings.spool;
  const layout = spool === null || settings['mta-sts'] === 'off' ? null : layoutOf(spool);
  return [
    ...(await checkDane(settings, resolver)),
    ...(layout === null ? [] : checkPolicies(diskStsCache(nodeDisk, layout))),
  ];
}
