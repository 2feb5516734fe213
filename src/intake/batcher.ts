/**
 * Makes one job of the same message for many recipients. Citadel servers of 2012 to 2017 open one connection per recipient,
 * all at once; the copies that arrive together are queued together. A message is acknowledged only when the queue has it on
 * disk. It waits, at most one window, only while another connection may still bring a copy: a single connection never waits,
 * and a connection that has long been silent is not waited for, because it would delay everyone's messages.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { type DsnRequest, dsnRequest, type RecipientDsn } from '../smtp/dsn-request.ts';
import type { SpooledMessage } from './spooled-message.ts';

/** What one transaction brings. */
export interface Submission {
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  readonly message: SpooledMessage;
  /** what its sender asked for; null: nothing */
  readonly dsn: DsnRequest | null;
  /** its Received header field */
  readonly receivedHeader: ByteString;
}

/** The submissions of one job together. The message is that of the first one. */
export interface SubmissionBatch extends Submission {
  readonly transactions: number;
}

interface Batch<Stored> {
  readonly first: Submission;
  readonly recipients: Set<ByteString>;
  readonly asked: Map<ByteString, RecipientDsn>;
  transactions: number;
  /** null: it waits for nobody */
  timer: Timer | null;
  readonly stored: Promise<Stored>;
  readonly close: () => void;
}

export interface Batcher<Stored> {
  /** a connection that may bring a message; `sender` is null before MAIL */
  expect(connection: string, sender: ByteString | null): void;
  /** the connection has brought its message, or will not */
  forget(connection: string): void;
  /** The connection has brought this message. Resolves when it is queued. Takes over the message and closes it. */
  join(connection: string, submission: Submission): Promise<Stored>;
  /** Stops waiting for copies; resolves when every message so far is queued or has failed. */
  settle(): Promise<void>;
}

/** A connection is not waited for when its last MAIL is this many windows ago. */
const SILENT_WINDOWS = 10;

/** @param window the longest a message waits for its other copies, milliseconds */
export function createBatcher<Stored>(
  clock: Clock,
  window: number,
  store: (batch: SubmissionBatch) => Promise<Stored>,
): Batcher<Stored> {
  /** by connection, the longest silent first */
  const expected = new Map<string, { readonly sender: ByteString | null; readonly since: number }>();
  /** number of expected connections for each sender */
  const counts = new Map<ByteString | null, number>();
  const batches = new Map<string, Batch<Stored>>();
  const storing = new Set<Promise<unknown>>();
  let settling = false;

  function count(sender: ByteString | null, by: 1 | -1): void {
    counts.set(sender, (counts.get(sender) ?? 0) + by);
    if (counts.get(sender) === 0) counts.delete(sender);
  }

  function isComplete(sender: ByteString): boolean {
    return settling || !(counts.has(sender) || counts.has(null));
  }

  function closeComplete(): void {
    for (const batch of [...batches.values()]) if (isComplete(batch.first.sender)) batch.close();
  }

  function remove(connection: string): boolean {
    const previous = expected.get(connection);
    if (previous === undefined) return false;
    expected.delete(connection);
    count(previous.sender, -1);
    return true;
  }

  function forget(connection: string): void {
    if (remove(connection)) closeComplete();
  }

  function forgetSilent(): void {
    const since = clock.monotonic() - SILENT_WINDOWS * window;
    for (const [connection, known] of expected) {
      if (known.since > since) return;
      forget(connection);
    }
  }

  function open(key: string, first: Submission): Batch<Stored> {
    let close = (): void => {};
    const recipients = new Set<ByteString>();
    const asked = new Map<ByteString, RecipientDsn>();
    const asks = first.dsn ?? { ret: null, envid: null };
    const stored = new Promise<Stored>((resolve) => {
      close = () => {
        batches.delete(key);
        batch.timer?.cancel();
        const { transactions } = batch;
        resolve(store({ ...first, recipients: [...recipients], dsn: dsnRequest(asks, asked), transactions }));
      };
    });
    const batch: Batch<Stored> = { first, recipients, asked, transactions: 0, timer: null, stored, close };
    batches.set(key, batch);
    const closeMessage = () => first.message.close();
    const done = stored.then(closeMessage, closeMessage).catch(() => {});
    storing.add(done);
    done.then(() => storing.delete(done));
    return batch;
  }

  /** Of what is the same; of a message that no other one can be a copy of its content is not looked at. */
  function keyOf({ message, sender, dsn }: Submission): string {
    if (batches.size === 0 && isComplete(sender)) return '';
    const { ret = '', envid = '', requireTls = '' } = dsn ?? {};
    return [message.size, message.digest(), ret, envid, requireTls, sender].join(' ');
  }

  return {
    forget,
    expect(connection, sender) {
      const previous = expected.get(connection);
      expected.delete(connection);
      expected.set(connection, { sender, since: clock.monotonic() });
      count(sender, 1);
      if (previous !== undefined) count(previous.sender, -1);
      closeComplete();
    },
    join(connection, submission) {
      remove(connection);
      forgetSilent();
      const key = keyOf(submission);
      const known = batches.get(key);
      const batch = known ?? open(key, submission);
      batch.transactions++;
      for (const recipient of submission.recipients) batch.recipients.add(recipient);
      for (const [recipient, asked] of submission.dsn?.recipients ?? []) batch.asked.set(recipient, asked);
      closeComplete();
      if (!isComplete(submission.sender)) batch.timer ??= clock.after(window, batch.close);
      if (known !== undefined) submission.message.close().catch(() => {});
      return batch.stored;
    },
    async settle() {
      settling = true;
      closeComplete();
      await Promise.all(storing);
    },
  };
}
