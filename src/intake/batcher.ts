/**
 * Makes one job out of the same message for many recipients. Servers of 2012 to 2017 open one connection per recipient,
 * all at once; the copies that arrive in this moment are put into the room together. Called by reception.ts. Nobody is
 * told that a message is safe before the room says so, and a lone connection never waits: waiting is only for those
 * that are already connected and may still bring the same, and never longer than the window. One that has been silent for
 * long is waited for no more: it would cost every mail of everybody the window.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { SpooledMessage } from './spooled-message.ts';

/** What one transaction brings. */
export interface Submission {
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  readonly letter: SpooledMessage;
  /** the Received line of its own way */
  readonly trace: ByteString;
}

/** What the transactions of one job bring together. The letter is the first one's. */
export interface SubmissionBatch extends Submission {
  readonly transactions: number;
}

interface Batch<Stored> {
  readonly key: string;
  readonly first: Submission;
  readonly recipients: Set<ByteString>;
  transactions: number;
  readonly timer: Timer;
  readonly stored: Promise<Stored>;
  readonly close: () => void;
}

export interface Batcher<Stored> {
  /** a connection that may bring something: from whom is not known yet (null) or known */
  expect(connection: string, sender: ByteString | null): void;
  /** it has brought it, or will not */
  forget(connection: string): void;
  /** Resolves when the message is safe. Takes the letter over and closes it. */
  join(share: Submission): Promise<Stored>;
  /** Wait for nobody any more; resolves when everything handed over so far is safe or has failed. */
  settle(): Promise<void>;
}

/** So many windows after it last said something that counts, nobody waits for a connection. */
const PATIENCE = 10;

/** @param window milliseconds a message waits for others at the most */
export function createBatcher<Stored>(
  clock: Clock,
  window: number,
  store: (gathered: SubmissionBatch) => Promise<Stored>,
): Batcher<Stored> {
  /** the longest silent first */
  const expected = new Map<string, { readonly sender: ByteString | null; readonly since: number }>();
  /** how many of them there are for each sender */
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

  function forget(connection: string): void {
    const before = expected.get(connection);
    if (before === undefined) return;
    expected.delete(connection);
    count(before.sender, -1);
    closeComplete();
  }

  function forgetSilent(): void {
    const since = clock.monotonic() - PATIENCE * window;
    for (const [connection, known] of expected) {
      if (known.since > since) return;
      forget(connection);
    }
  }

  function open(key: string, first: Submission): Batch<Stored> {
    let close = (): void => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const recipients = new Set<ByteString>();
    const batch: Batch<Stored> = {
      key,
      first,
      recipients,
      transactions: 0,
      timer: clock.after(window, () => batch.close()),
      stored: closed.then(() =>
        store({ ...first, recipients: [...recipients], transactions: batch.transactions }),
      ),
      close: () => {
        batches.delete(key);
        batch.timer.cancel();
        close();
      },
    };
    batches.set(key, batch);
    const over = batch.stored.finally(() => first.letter.close()).catch(() => {});
    storing.add(over);
    over.finally(() => storing.delete(over));
    return batch;
  }

  return {
    forget,
    expect(connection, sender) {
      const before = expected.get(connection);
      expected.delete(connection);
      expected.set(connection, { sender, since: clock.monotonic() });
      count(sender, 1);
      if (before !== undefined) count(before.sender, -1);
      closeComplete();
    },
    async join(share) {
      forgetSilent();
      const key = `${share.letter.size} ${share.letter.digest} ${share.sender}`;
      const known = batches.get(key);
      const batch = known ?? open(key, share);
      batch.transactions++;
      for (const recipient of share.recipients) batch.recipients.add(recipient);
      if (isComplete(share.sender)) batch.close();
      if (known !== undefined) await share.letter.close();
      return batch.stored;
    },
    async settle() {
      settling = true;
      closeComplete();
      await Promise.all(storing);
    },
  };
}
