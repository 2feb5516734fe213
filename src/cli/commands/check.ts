/**
 * `spoolroom check`: what would stop mail today, and what to do about it. Looks at the settings, the spool, the name
 * servers, the relays and the way back for reports; with `--citadel` at the server beside which it stands. Sends no mail
 * and changes nothing.
 */
import { statSync } from 'node:fs';
import { loadCharset, unknown8bit } from '../../message/charset.ts';
import { checkReport, type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { formatTime, textDecoder } from '../../output/text.ts';
import { openSpoolReadOnly } from '../../queue/spool/open.ts';
import type { RunRules } from '../../runner/rules.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import { checkNetwork } from '../check/network.ts';
import { checkSpool } from '../check/spool.ts';
import { dsnTransportOf } from '../setup/dsn.ts';
import { clockFor, controlSettings, loadRules, spoolDeps, systemDeps } from '../setup/load-config.ts';
import type { Command } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, terminal }) => {
  const findings = await check(settings);
  terminal.print(settings.json ? JSON.stringify({ findings }) : checkReport(findings));
  return findings.some(({ grade }) => grade === 'trouble') ? EXIT.difference : EXIT.ok;
};

async function check(settings: Settings): Promise<readonly Finding[]> {
  const rules = await loadRules(settings);
  const [spool, network, citadel] = await Promise.all([
    spoolFindings(settings),
    'kind' in rules ? [] : networkFindings(settings, rules),
    citadelFindings(settings, 'kind' in rules ? null : rules),
  ]);
  return [...settingsFindings(settings, rules), ...spool, ...network, ...citadel];
}

type Loaded = Awaited<ReturnType<typeof loadRules>>;

function settingsFindings(settings: Settings, rules: Loaded): readonly Finding[] {
  if ('kind' in rules) return [problem('settings', rules.text, 'No run begins before that is put right.')];
  const { config, now } = settings;
  return [
    ok('settings', config === null ? 'no configuration file is named' : `with those of ${config}`),
    ...secretFindings(settings, rules),
    ...relayFileFindings(settings, rules),
    hostnameFinding(rules.render.fqdn),
    ...(now === null
      ? []
      : [
          warning(
            'now',
            `the clock is set to ${formatTime(Math.floor(clockFor(settings).now() / 1000))}`,
            'Every time in the lists is written by it. The setting now is for trying things out.',
          ),
        ]),
  ];
}

function hostnameFinding(name: string): Finding {
  if (/^[^.]+(\.[^.]+)+$/.test(name) && !name.endsWith('.localdomain')) return ok('hostname', name);
  return warning(
    'hostname',
    `${name} is no full name in the DNS`,
    'Many servers refuse mail from who calls himself that. Set hostname to the name this machine has in the DNS.',
  );
}

/** A file was named to take relays from, and there are none. */
function relayFileFindings(settings: Settings, { delivery }: RunRules): readonly Finding[] {
  const file = settings['internet-config'];
  if (file === null || delivery.routing.relays.some(({ kind }) => kind === 'smarthost')) return [];
  const from = file === 'citadel' ? 'the configuration of the Citadel server' : file;
  return [
    warning(
      'settings',
      `${from} holds no smarthost line`,
      'All mail goes to the MX hosts of its recipients.',
    ),
  ];
}

/** Files that hold passwords and that every user of the machine can read. */
function secretFindings(settings: Settings, { delivery }: RunRules): readonly Finding[] {
  if (delivery.routing.relays.every(({ credentials }) => credentials === null)) return [];
  const { config, 'internet-config': from } = settings;
  return [config, from === 'citadel' ? null : from]
    .filter((file) => file !== null)
    .filter((file) => ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0)
    .map((file) =>
      warning(
        'secrets',
        `everybody on this machine can read ${file}`,
        'If it holds the relay’s password: chmod o-r.',
      ),
    );
}

async function spoolFindings(settings: Settings): Promise<readonly Finding[]> {
  const { spool, state, citadel } = settings;
  // Who asks about a server may have no spool yet.
  if (state !== null || (spool === null && citadel !== null)) return [];
  if (spool === null) return [problem('spool', 'no spool directory is named', 'Name it with --spool DIR.')];
  const heard: Finding[] = [];
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, (text) => {
    heard.push(warning('spool', text, 'What cannot be read is not delivered.'));
  });
  const opened = await openSpoolReadOnly(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return [problem('spool', opened.text, 'Nothing is delivered.')];
  const charset = await loadCharset(settings.charset);
  const found = await checkSpool({
    ...{ spool, deps, view: opened.view },
    now: Math.floor(clock.now() / 1000),
    schedule: scheduleFrom(settings),
    readable: textDecoder(charset.kind === 'charset' ? charset.charset : unknown8bit),
    orphanAge: settings['orphan-age'],
  });
  return [...found, ...heard];
}

async function citadelFindings(settings: Settings, rules: RunRules | null): Promise<readonly Finding[]> {
  if (settings.citadel === null && settings['internet-config'] === null) return [];
  const { checkCitadel, relayReadings } = await import('../check/citadel.ts');
  if (settings.citadel === null) return relayReadings(rules?.delivery.routing.relays ?? []);
  return checkCitadel({ settings, rules, ports: systemDeps(settings, clockFor(settings)) });
}

/** Nobody wants to wait longer for a name at a prompt. */
const LOOKUP = 5000;

async function networkFindings(settings: Settings, rules: RunRules): Promise<readonly Finding[]> {
  const path = dsnTransportOf(settings, settings.spool ?? settings.state ?? '/');
  if (path.kind === 'trouble')
    return [problem('reports', path.text, 'No run begins before that is put right.')];
  const hasty = { ...settings, 'timeout.lookup': Math.min(settings['timeout.lookup'], LOOKUP) };
  return checkNetwork({ ports: systemDeps(hasty, clockFor(settings)), rules, path });
}
