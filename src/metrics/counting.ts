/** Counts what can be seen: outcomes, the trace of deliveries, and the lines of the log, whether they are written or not. */
import type { DeliveryAttempt } from '../delivery/attempt.ts';
import { tlsUse } from '../delivery/tls-use.ts';
import type { Observer, Traced } from '../delivery/trace.ts';
import type { LogEvent } from '../output/log/log-events.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import type { Outcome } from '../smtp/outcome.ts';
import { type LabelsOf, METRICS, REASONS } from './table.ts';
import type { Metrics } from './values.ts';

/** @returns counts an outcome; `now`: Unix seconds */
export function outcomeCounter(metrics: Metrics): (record: OutcomeRecord, now: number) => void {
  const ofStatus = (status: 'delivered' | 'deferred' | 'refused') => ({
    status,
    count: metrics.counter('spoolroom_smtp_status', { status }),
    duration: metrics.histogram('spoolroom_smtp_delivery_duration_seconds', { status }),
  });
  const statuses = { 2: ofStatus('delivered'), 4: ofStatus('deferred'), 5: ofStatus('refused') };
  const delay = metrics.histogram('spoolroom_smtp_delivery_delay_seconds', {});
  let last: Outcome | null = null;
  return ({ status: digit, outcome, milliseconds, message: { submitted } }, now) => {
    const { status, count, duration } = statuses[digit];
    count();
    if (status !== 'delivered') {
      const reason = outcome.kind === 'failed' ? REASONS[outcome.stage] : 'session';
      metrics.add('spoolroom_smtp_failures', { status, reason });
    }
    // Recipients that have their outcome together come one after the other, and share its object.
    if (outcome === last) return;
    last = outcome;
    duration(milliseconds / 1000);
    if (status === 'delivered' && submitted !== null) delay(Math.max(0, now - submitted));
  };
}

export function traceCounter(metrics: Metrics): Observer {
  const countAttempt = metrics.counter('spoolroom_smtp_attempts', {});
  return {
    initiation: ([attempt], traced) => countInitiation(metrics, attempt, traced),
    delivery: (_, { event }) => {
      if (event.type === 'start' || event.type === 'reuse') countAttempt();
      else if (event.type === 'throttled') metrics.add('spoolroom_smtp_throttled', {});
      else if (event.type === 'host-failed' && event.remembered !== true)
        if (REASONS[event.failure.stage] === 'connection')
          metrics.add('spoolroom_smtp_connections', { result: 'failed' });
    },
    connected: ([attempt], { tls }) => {
      metrics.add('spoolroom_smtp_connections', { result: 'ok' });
      if (tls !== undefined) countTls(metrics, attempt, tls);
    },
  };
}

/** Rows of the session table after which STARTTLS has failed. */
const TLS_ROWS: {
  readonly [row: string]: LabelsOf<'spoolroom_smtp_tls_failures'>['reason'] | undefined;
} = {
  'tls-missing': 'not-offered',
  'starttls-declined': 'refused',
  'starttls-refused': 'refused',
  'tls-failed': 'handshake',
  'tls-failed-late': 'handshake',
  'tls-failed-required': 'handshake',
};

function countInitiation(
  metrics: Metrics,
  attempt: DeliveryAttempt | undefined,
  { event, step: { rows, effects } }: Traced<'session'>,
): void {
  if (event.type === 'secured' && event.tls !== undefined) countTls(metrics, attempt, event.tls);
  for (const row of rows) {
    if (row === 'session-ready') metrics.add('spoolroom_smtp_handshakes', { result: 'ready' });
    const failure = TLS_ROWS[row];
    if (failure === undefined) continue;
    const isCertificate = event.type === 'tls-failed' && event.code !== undefined;
    metrics.add('spoolroom_smtp_tls_failures', { reason: isCertificate ? 'certificate' : failure });
  }
  for (const effect of effects) {
    const result = effect.type === 'host-failed' ? REASONS[effect.failure.stage] : null;
    if (result === 'greeting' || result === 'tls' || result === 'login')
      metrics.add('spoolroom_smtp_handshakes', { result });
  }
}

function countTls(
  metrics: Metrics,
  attempt: DeliveryAttempt | undefined,
  facts: Parameters<typeof tlsUse>[0],
): void {
  const use = tlsUse(facts, attempt?.delivery.hosts[attempt.delivery.host] ?? {});
  if (use === null) return;
  const protocols = METRICS.spoolroom_smtp_tls_connections.labels.protocol;
  const protocol = protocols.find((each) => each === use.protocol) ?? 'other';
  metrics.add('spoolroom_smtp_tls_connections', { protocol, verified: use.verified });
}

const DSN_RESULTS = { safe: 'sent', left: 'kept' } as const;

/** By the event of a log line: what it counts. Lines that come once for many say how many. */
const BY_EVENT: {
  readonly [event: string]:
    | ((metrics: Metrics, fields: LogEvent['fields'], level: LogEvent['level']) => void)
    | undefined;
} = {
  // Told again, it has less weight.
  'set-aside': (metrics, _, level) => {
    if (level === 'error') metrics.add('spoolroom_queue_quarantined', {});
  },
  reported: (metrics, { how }) =>
    metrics.add('spoolroom_dsn', { result: DSN_RESULTS[how === 'safe' ? 'safe' : 'left'] }),
  'not-reported': (metrics) => metrics.add('spoolroom_dsn', { result: 'suppressed' }),
  silent: (metrics, { cut }) => metrics.add('spoolroom_smtp_silent_sessions', {}, Number(cut)),
  queued: (metrics) => metrics.add('spoolroom_smtpd_messages_processed', {}),
  'not-taken': (metrics, { code }) =>
    metrics.add('spoolroom_smtpd_messages_rejected', { code: Number(code) < 500 ? '4xx' : '5xx' }),
  'login-failed': (metrics) => metrics.add('spoolroom_smtpd_sasl_authentication_failures', {}),
  'logins-failed': (metrics, { count }) =>
    metrics.add('spoolroom_smtpd_sasl_authentication_failures', {}, Number(count)),
};

export function countLine(metrics: Metrics, { event, level, fields }: LogEvent): void {
  BY_EVENT[event]?.(metrics, fields, level);
  if (level === 'error' || level === 'warn') metrics.add('spoolroom_log_messages', { level });
}
