/**
 * Every metric: its type, its unit, the values of its labels, what it says. Whatever is printed is a row here, so no label is
 * without bound. Names follow the exporter of Postfix and mox; other programs rely on them. Pure. techdoc/metrics.md prints it.
 */
import { STATES, type StateName } from '../smtp/machine/states.ts';
import type { Stage } from '../smtp/outcome.ts';

/** Which process counts it: the one that delivers from the queue, or the one that listens. */
export type Part = 'queue' | 'intake';

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit?: 'seconds' | 'bytes';
  /** each with all values that it can have */
  readonly labels?: { readonly [label: string]: readonly string[] };
  /** of a histogram: upper bounds, ascending */
  readonly buckets?: readonly number[];
  readonly part: Part;
  /** a gauge that the next process goes on with, as with all counters */
  readonly kept?: true;
  readonly help: string;
}

/** Where a failure happened, as few words; those that are no state come before there is a session. */
export type Reason =
  | 'address'
  | 'dns'
  | 'connection'
  | 'greeting'
  | 'tls'
  | 'login'
  | EnvelopeReason
  | 'file';
type EnvelopeReason = 'sender' | 'recipient' | 'message' | 'session';

const BY_STATE: { readonly [state in StateName]?: Reason } = {
  ...{ greeting: 'greeting', ehlo: 'greeting', helo: 'greeting' },
  ...{ capabilities: 'tls', starttls: 'tls', handshake: 'tls', auth: 'login' },
  ...{ mail: 'sender', rcpt: 'recipient', envelope: 'recipient' },
  ...{ conversion: 'message', data: 'message', body: 'message', dot: 'message' },
};

export const REASONS: { readonly [stage in Stage]: Reason } = {
  ...(Object.fromEntries(Object.keys(STATES).map((state) => [state, 'session'])) as {
    readonly [state in StateName]: Reason;
  }),
  ...BY_STATE,
  ...{ routing: 'address', payload: 'file', lookup: 'dns', network: 'connection', connect: 'connection' },
};

const REASON_NAMES = [
  ...(['address', 'dns', 'connection', 'greeting', 'tls', 'login', 'sender'] as const),
  ...(['recipient', 'message', 'session', 'file'] as const),
] as const satisfies readonly Reason[];

const STATUSES = ['delivered', 'deferred', 'refused'] as const;

/** By the name without `_total`, which counters have at their end. */
export const METRICS = {
  spoolroom_queue_jobs: {
    type: 'gauge',
    labels: { status: ['new', 'deferred', 'held'] },
    part: 'queue',
    help: 'Jobs in the queue: not tried yet, to be tried again, held by an administrator.',
  },
  spoolroom_queue_oldest_age_seconds: {
    type: 'gauge',
    unit: 'seconds',
    part: 'queue',
    help: 'Age of the oldest job that is not held; 0 where there is none.',
  },
  spoolroom_queue_size_bytes: {
    type: 'gauge',
    unit: 'bytes',
    part: 'queue',
    help: 'Size of the messages of all jobs.',
  },
  spoolroom_queue_quarantined_jobs: {
    type: 'gauge',
    part: 'queue',
    help: 'Control messages that were set aside because they cannot be read.',
  },
  spoolroom_queue_quarantined: {
    type: 'counter',
    part: 'queue',
    help: 'Control messages that were found unreadable.',
  },
  spoolroom_queue_throttled_groups: {
    type: 'gauge',
    part: 'queue',
    help: 'Groups of hosts that have asked us to send less.',
  },

  spoolroom_smtp_attempts: {
    type: 'counter',
    part: 'queue',
    help: 'Delivery attempts, each of one message to one destination.',
  },
  spoolroom_smtp_status: {
    type: 'counter',
    labels: { status: STATUSES },
    part: 'queue',
    help: 'Recipients by what became of them in an attempt.',
  },
  spoolroom_smtp_failures: {
    type: 'counter',
    labels: { status: ['deferred', 'refused'], reason: REASON_NAMES },
    part: 'queue',
    help: 'Recipients that did not get their message in an attempt, by where it failed.',
  },
  spoolroom_smtp_delivery_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: { status: STATUSES },
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 600, 3600],
    part: 'queue',
    help: 'Time from the begin of an attempt to its outcome.',
  },
  spoolroom_smtp_delivery_delay_seconds: {
    type: 'histogram',
    unit: 'seconds',
    buckets: [1, 10, 60, 600, 3600, 14_400, 86_400, 432_000],
    part: 'queue',
    help: 'Time from the submission of a message to its delivery, for each outcome.',
  },
  spoolroom_smtp_connections: {
    type: 'counter',
    labels: { result: ['ok', 'failed'] },
    part: 'queue',
    help: 'Connections to mail hosts: opened, or failed.',
  },
  spoolroom_smtp_handshakes: {
    type: 'counter',
    labels: { result: ['ready', 'greeting', 'tls', 'login'] },
    part: 'queue',
    help: 'Sessions that were ready for a message, or where they failed before.',
  },
  spoolroom_smtp_tls_connections: {
    type: 'counter',
    labels: {
      protocol: ['TLSv1.3', 'TLSv1.2', 'other'],
      verified: ['dane', 'sts', 'pkix', 'pin', 'nobody'],
    },
    part: 'queue',
    help: 'Sessions with TLS, by what proved who the server is.',
  },
  spoolroom_smtp_tls_failures: {
    type: 'counter',
    labels: { reason: ['not-offered', 'refused', 'certificate', 'handshake'] },
    part: 'queue',
    help: 'Sessions without the TLS that was wanted: not offered but demanded, STARTTLS refused, certificate not trusted, or negotiation failed.',
  },
  spoolroom_smtp_throttled: {
    type: 'counter',
    part: 'queue',
    help: 'Attempts put off because the hosts have asked us to send less.',
  },
  spoolroom_smtp_silent_sessions: {
    type: 'counter',
    part: 'queue',
    help: 'Sessions closed because their hosts said nothing while others waited.',
  },
  spoolroom_dsn: {
    type: 'counter',
    labels: { result: ['sent', 'kept', 'suppressed'] },
    part: 'queue',
    help: 'Reports to senders: handed over, kept for the postmaster, or not sent because there may be none.',
  },
  spoolroom_journal_sync_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    part: 'queue',
    help: 'Time to make outcomes durable in the journal.',
  },
  spoolroom_log_messages: {
    type: 'counter',
    labels: { level: ['error', 'warn'] },
    part: 'queue',
    help: 'Log lines of these levels; a line that recurs counts when it is told.',
  },
  spoolroom_run_duration_seconds: {
    type: 'gauge',
    unit: 'seconds',
    part: 'queue',
    kept: true,
    help: 'Duration of the last queue run; watch has none.',
  },
  spoolroom_run_last_success_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    part: 'queue',
    kept: true,
    help: 'When the queue was last read without an error, Unix time.',
  },
  spoolroom_counters_start_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    part: 'queue',
    kept: true,
    help: 'When the counters of the queue began at 0, Unix time.',
  },

  spoolroom_smtpd_messages_processed: {
    type: 'counter',
    part: 'intake',
    help: 'Messages that the intake has accepted.',
  },
  spoolroom_smtpd_messages_rejected: {
    type: 'counter',
    labels: { code: ['4xx', '5xx'] },
    part: 'intake',
    help: 'Messages that the intake has refused, for now or for good.',
  },
  spoolroom_smtpd_sasl_authentication_failures: {
    type: 'counter',
    part: 'intake',
    help: 'Wrong passwords, and logins not heard after too many of them.',
  },
  spoolroom_smtpd_counters_start_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    part: 'intake',
    kept: true,
    help: 'When the counters of the intake began at 0, Unix time.',
  },
} as const satisfies { readonly [name: string]: Metric };

export type MetricName = keyof typeof METRICS;
type Row<N extends MetricName> = (typeof METRICS)[N];

/** The names of metrics of a type. */
export type NameOf<Type extends Metric['type']> = {
  [N in MetricName]: Row<N> extends { readonly type: Type } ? N : never;
}[MetricName];

/** The labels of a metric, with one of their values each. */
export type LabelsOf<N extends MetricName> =
  Row<N> extends { readonly labels: infer L extends NonNullable<Metric['labels']> }
    ? { readonly [label in keyof L]: L[label][number] }
    : { readonly [label: string]: never };

/** The labels of each series of the metric, as they are written: `status="new"`; '' where it has none. */
export function seriesOf({ labels = {} }: Metric): readonly string[] {
  return Object.entries(labels).reduce<readonly string[]>(
    (before, [label, values]) =>
      before.flatMap((each) => values.map((value) => joined(each, `${label}="${value}"`))),
    [''],
  );
}

/** Those of one series, in the order of the table. */
export function labelsText({ labels = {} }: Metric, values: { readonly [label: string]: string }): string {
  return Object.keys(labels).reduce((before, label) => joined(before, `${label}="${values[label]}"`), '');
}

export function joined(labels: string, more: string): string {
  return labels === '' ? more : `${labels},${more}`;
}
