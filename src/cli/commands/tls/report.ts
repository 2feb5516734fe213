/** `spoolroom tls-report`: how TLS went with each domain, as counted by runs. Only reads. */
import { escapeControl, plural } from '../../../output/text.ts';
import { nodeDisk } from '../../../storage/disk.ts';
import { tlsReportFiles } from '../../../tls-report/files.ts';
import { failuresOf, type PolicyTally, tlsReport } from '../../../tls-report/tally.ts';
import { clockFor, loadRules } from '../../setup/load-config.ts';
import { stateDirectory } from '../../setup/open-queue.ts';
import { becomeOwner } from '../../setup/privileges.ts';
import { type Command, cliError } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const home = stateDirectory(settings);
  if (typeof home !== 'string') return home;
  const given = typeof options.day === 'string' ? options.day : 'today';
  const day = dayFrom(given, clockFor(settings).now());
  if (day === null)
    return cliError(
      `${escapeControl(given)} is no day. Days are today, yesterday and 2026-11-27, in UTC.`,
      EXIT.usage,
    );
  const notOwner = becomeOwner(home, settings);
  if (notOwner !== null) return notOwner;
  const files = tlsReportFiles(nodeDisk, home);
  const wanted = typeof options.domain === 'string' ? options.domain.toLowerCase() : null;
  const counts = [...files.read(day)].filter(([domain]) => wanted === null || domain === wanted).sort();
  if (settings.json) {
    const rules = await loadRules(settings);
    if ('kind' in rules) return rules;
    const reporter = { hostname: rules.render.fqdn, contact: rules.postmaster };
    for (const [domain, policies] of counts)
      terminal.print(JSON.stringify(tlsReport(day, domain, policies, reporter)));
    return EXIT.ok;
  }
  if (counts.length === 0) {
    const days = files.days();
    const known =
      days.length === 0 ? 'Nothing has been counted yet' : `There are counts of ${days.join(', ')}`;
    terminal.print(`No TLS sessions were counted on ${day} (UTC). ${known}.`);
    return EXIT.ok;
  }
  for (const [domain, policies] of counts)
    for (const tally of policies) terminal.print(textOf(domain, tally));
  return EXIT.ok;
};

const POLICIES = { tlsa: 'DANE', sts: 'MTA-STS', 'no-policy-found': 'no policy' } as const;

function textOf(domain: string, tally: PolicyTally): string {
  const { policy, successes, failures } = tally;
  const of = policy.type === 'tlsa' && policy.domain !== domain ? ` of ${policy.domain}` : '';
  const failed = failuresOf(tally);
  const head = `${escapeControl(domain)}: ${POLICIES[policy.type]}${of}: ${plural(successes, 'session')} as it should be, ${failed} not`;
  const lines = failures.map(({ type, reason, host, address, count }) => {
    const where = host === undefined ? '' : ` at ${host}${address === undefined ? '' : ` [${address}]`}`;
    return `  ${count} ${type}${reason === undefined ? '' : ` (${reason})`}${where}`;
  });
  return [head, ...lines].map(escapeControl).join('\n');
}

/** Null: it is no day. */
export function dayFrom(given: string, now: number): string | null {
  const at = (time: number): string => new Date(time).toISOString().slice(0, 10);
  if (given === 'today') return at(now);
  if (given === 'yesterday') return at(now - 86_400_000);
  const isDay = /^\d{4}-\d\d-\d\d$/.test(given) && !Number.isNaN(Date.parse(given));
  return isDay ? given : null;
}
