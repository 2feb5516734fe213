/**
 * How delivery reports get to the senders: the transport that the setting `return` names or that is found on this machine,
 * and a sender of reports that uses it and logs what it does.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { composeDsn } from '../../../dsn/compose.ts';
import type { Site } from '../../../dsn/recipient.ts';
import { type DsnTransportSetting, describeTransport } from '../../../dsn/return-path.ts';
import type { DsnEvents, DsnRules } from '../../../dsn/sender.ts';
import { DsnSender } from '../../../dsn/sender.ts';
import { sessionTransport } from '../../../dsn/transport.ts';
import { reportedEntry, suppressedEntry } from '../../../history/record.ts';
import type { HistoryWriter } from '../../../history/writer.ts';
import { outgoingFrom } from '../../../message/outgoing.ts';
import type { Log } from '../../../output/log/log.ts';
import { dsnEvent, suppressedEvent } from '../../../output/log/log-events.ts';
import { warningEvent } from '../../../output/log/process-events.ts';
import { textDecoder } from '../../../output/text.ts';
import type { ReportRules } from '../../../replay/rehearsed-reports.ts';
import { type Alerts, REPORT } from '../../../runner/alerts.ts';
import type { DeliveryDeps } from '../../../runner/deliveries.ts';
import type { RunRules } from '../../../runner/rules.ts';
import type { Settings } from '../../../settings/table.ts';
import type { CliError } from '../../shell/command.ts';
import { spoolDeps } from '../load-config.ts';
import { dsnStoreOf } from '../open-queue.ts';
import { dsnTransportOf } from './return-path.ts';

/** Milliseconds for each answer to a message of ours. */
const PATIENCE = 15_000;

export interface DsnContext {
  readonly spool: string;
  readonly rules: RunRules;
  readonly log: Log;
  /** null: what waits is not remembered */
  readonly alerts: Alerts | null;
  /** null: none is kept */
  readonly history: HistoryWriter | null;
}

export function createDsnSender(
  path: DsnTransportSetting,
  { spool, rules, log, alerts, history }: DsnContext,
  settings: Settings,
  ports: DeliveryDeps,
): DsnSender {
  const { queue, clock, random } = ports;
  const warn = (text: string): void => log.write(warningEvent(text));
  const reports = dsnStoreOf(spool, settings, spoolDeps(clock, warn), queue);
  const transport =
    path.kind === 'room' ? null : sessionTransport(path, ports, rules.delivery.deadlines, rules.ehloName);
  return new DsnSender(
    {
      queue,
      store: reports,
      transport,
      compose: composeDsn,
      clock,
      random,
      events: dsnEvents({ rules, log, alerts, history }),
    },
    dsnRulesOf(settings, rules),
  );
}

/**
 * Hands a message of ours to the server that takes reports, or keeps it for the postmaster. Resolves to why it was kept, a clause for
 * people; null: a server has it. `name` is letters, digits and `-`.
 */
export function ownMailer(
  path: DsnTransportSetting,
  { spool, rules, warn }: Pick<DsnContext, 'spool' | 'rules'> & { readonly warn: (text: string) => void },
  settings: Settings,
  ports: Pick<DeliveryDeps, 'connect' | 'resolver' | 'clock' | 'random'>,
): (message: Buffer, to: string, name: string) => Promise<string | null> {
  return async (message, to, name) => {
    const deadlines = shortened(rules.delivery.deadlines);
    const transport = path.kind === 'room' ? null : sessionTransport(path, ports, deadlines, rules.ehloName);
    const done = (await transport?.send(outgoingFrom(message), to)) ?? null;
    if (done?.kind === 'safe') return null;
    const where = await dsnStoreOf(spool, settings, spoolDeps(ports.clock, warn), {}).saveForPickup(
      message,
      name,
    );
    const why =
      done === null ? 'no server takes reports (setting return)' : textDecoder(rules.render.legacy)(done.why);
    return `${why}; it is kept in ${where}`;
  };
}

/** A run may wait for this at its end. */
function shortened(deadlines: RunRules['delivery']['deadlines']): typeof deadlines {
  const short = Object.entries(deadlines).map(([name, time]) => [name, Math.min(time, PATIENCE)]);
  return Object.fromEntries(short) as typeof deadlines;
}

/** For a run that is only played: which reports it would make, and who would get them. */
export function reportRulesFor(
  settings: Settings,
  rules: RunRules,
  { folder, store }: { readonly folder: string; readonly store: ReportRules['store'] },
): ReportRules | CliError {
  const path = dsnTransportOf(settings, folder);
  if (path.kind === 'error') return path;
  const transport = path.kind === 'room' ? null : describeTransport(path);
  return { rules: dsnRulesOf(settings, rules), store, transport };
}

/** What reports are made by. */
export function dsnRulesOf(settings: Settings, rules: RunRules): DsnRules {
  return {
    site: siteOf(settings, rules),
    author: rules.postmaster,
    schedule: rules.due.schedule,
    render: rules.render,
    signer: rules.signer,
  };
}

export function siteOf({ aide }: Settings, { render: { fqdn } }: RunRules): Site {
  return { fqdn, aide: aide ?? `room_aide@${fqdn}` };
}

function dsnEvents({ rules, log, alerts, history }: Omit<DsnContext, 'spool'>): DsnEvents {
  const readable = textDecoder(rules.render.legacy);
  return {
    sent: (record) => {
      history?.write(reportedEntry(record, readable));
      log.write(dsnEvent(record, readable));
      alerts?.clear(
        (key) => key === reportKey(record.msgid) || (key === RETURN_PATH && record.how === 'safe'),
      );
    },
    suppressed: (record) => {
      history?.write(suppressedEntry(record, readable));
      log.write(suppressedEvent(record, readable));
    },
    waiting: ({ control, msgid, isPath, why }) => {
      const text =
        `The report to the sender of job ${control} could not be sent: ${readable(why)}. The job stays in the spool, and the ` +
        'report will be tried again.';
      if (alerts === null) log.write(warningEvent(text));
      else alerts.raise(isPath ? RETURN_PATH : reportKey(msgid), text);
    },
  };
}

/** Of the alert that no report can be sent. */
const RETURN_PATH = `${REPORT}path`;

/** Of the alert that this one is not taken. */
function reportKey(msgid: MessageNumber): string {
  return `${REPORT}${msgid}`;
}
