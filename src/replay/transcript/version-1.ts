/**
 * Transcripts of version 1 as version 2 writes them. The lines are the same under other names, but version 1 numbered
 * recipients by their position in the delivery or in the transaction, where version 2 has their position in the job.
 * Input that has another form than version 1 stays as it is; the reader of version 2 refuses it then.
 */
import type { TranscriptHeader } from './transcript.ts';

/** Old name to new name, by the field that holds it. */
const ROWS: Names = {
  greeted: 'greeting-ok',
  'ehlo-unknown': 'ehlo-unsupported',
  'tls-wanted': 'starttls',
  'auth-wanted': 'auth-start',
  'auth-in-clear': 'auth-needs-tls',
  introduced: 'session-ready',
  'tls-go': 'starttls-ok',
  'tls-declined': 'starttls-declined',
  'tls-refused': 'starttls-refused',
  'tls-done': 'tls-established',
  'tls-broken': 'tls-failed',
  'tls-fatal': 'tls-failed-required',
  obstructed: 'message-unsupported',
  begin: 'start-transaction',
  leave: 'quit',
  'idle-lost': 'idle-closed',
  'login-demanded': 'host-refused',
  'none-accepted': 'no-recipient-accepted',
  chunk: 'bdat',
  'data-go': 'data-ok',
  'body-lost': 'body-failed',
  'settled-chained': 'next-pipelined',
  settled: 'transaction-done',
  'discard-lone-dot': 'drain-data',
  'discard-more': 'drain-reply',
  discarded: 'drained',
  'introduction-421': 'initiation-421',
  'introduction-lost': 'initiation-lost',
  'envelope-judged': 'envelope-decided',
  left: 'quit-done',
  adopt: 'reuse',
  session: 'connection-ready',
  judged: 'outcome-recorded',
  'stopped-between': 'stopped-between-transactions',
  postponed: 'next-transaction',
  'handed-back': 'requeue',
  'tls-unusable': 'retry-without-tls',
  'expired-in-talk': 'expired-in-transaction',
  'stop-in-talk': 'stop-in-transaction',
};

const STATES: Names = {
  introduced: 'capabilities',
  settled: 'between-transactions',
  discard: 'drain',
  obtain: 'connecting',
  talk: 'transaction',
  over: 'done',
};

const VALUES: { readonly [field: string]: Names } = {
  what: { from: 'session-state', verdict: 'outcome' },
  type: {
    offer: 'start-transaction',
    leave: 'quit',
    garbage: 'protocol-error',
    early: 'early-talker',
    silence: 'timeout',
    lost: 'connection-lost',
    'payload-lost': 'payload-error',
    verdict: 'outcome',
    'hand-back': 'requeue',
    obtain: 'acquire-connection',
    transact: 'start-transaction',
    adopt: 'reuse',
    session: 'connection-ready',
    judged: 'outcome-recorded',
  },
  state: STATES,
  stage: STATES,
  row: ROWS,
  rows: ROWS,
};

/** The fields themselves. */
const FIELDS: Names = {
  awaited: 'pendingReplies',
  following: 'pipelined',
  postponed: 'remaining',
  reach: 'scope',
  verdict: 'outcome',
  width: 'rcptCount',
};

/** Fields that hold a list of recipients. */
const RECIPIENTS: ReadonlySet<string> = new Set(['recipients', 'accepted', 'refused', 'remaining']);

type Names = { readonly [name: string]: string };
type Fields = { readonly [name: string]: unknown };

/** The lines of a transcript of version 1, without its header, as values of version 2. */
export function upgradeLines(header: TranscriptHeader, lines: readonly unknown[]): readonly unknown[] {
  const withIds = recipientIds(header);
  return lines.map((line) => withIds(renamed(line)));
}

function renamed(value: unknown, field = ''): unknown {
  if (typeof value === 'string') return nameIn(VALUES[field], value);
  if (Array.isArray(value)) return value.map((each) => renamed(each, field));
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [nameIn(FIELDS, name), renamed(each, name)]),
  );
}

function nameIn(names: Names | undefined, old: string): string {
  return names !== undefined && Object.hasOwn(names, old) ? (names[old] ?? old) : old;
}

/** Replaces positions by ids. To be called line by line: effects name transactions of earlier lines. */
function recipientIds({ indices, recipients: addresses }: TranscriptHeader): (value: unknown) => unknown {
  const transactions = new Map<unknown, readonly number[]>();

  /** Version 1 has addresses only: each stands for the first recipient with this address that is not named yet. */
  const transactionWithIds = (transaction: Fields & { readonly recipients: readonly string[] }): Fields => {
    const left = addresses.map((address, position) => ({ address, id: indices[position] ?? position }));
    const recipients = transaction.recipients.map((address, position) => {
      const at = left.findIndex((each) => each.address === address);
      // The transaction of another delivery on the same session.
      if (at < 0) return { id: position, address };
      return { id: left.splice(at, 1)[0]?.id ?? position, address };
    });
    transactions.set(
      transaction.id,
      recipients.map(({ id }) => id),
    );
    return { ...transaction, recipients };
  };

  const withIds = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(withIds);
    if (!isFields(value)) return value;
    if (isTransaction(value)) return transactionWithIds(value);
    const fields = Object.entries(value).map(([name, each]) => [name, withIds(each)] as const);
    const { transaction } = value;
    const ids =
      transaction === undefined
        ? indices
        : (transactions.get(isFields(transaction) ? transaction.id : transaction) ?? []);
    return Object.fromEntries(
      fields.map(([name, each]) =>
        RECIPIENTS.has(name) && Array.isArray(each)
          ? [name, each.map((position) => ids[position] ?? position)]
          : [name, each],
      ),
    );
  };
  return withIds;
}

function isTransaction(value: Fields): value is Fields & { readonly recipients: readonly string[] } {
  const { sender, recipients } = value;
  return (
    sender !== undefined &&
    Array.isArray(recipients) &&
    recipients.every((recipient) => typeof recipient === 'string')
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
