/**
 * Records the events of a connection in one list, and lets a test wait for the next one of a kind. Reactions (write,
 * upgrade, close) are given as handlers and run after the recording.
 */
import type { CloseReason, ConnectionEvents, TlsFacts } from '#net-stream-utils';

export type ConnectionEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'lines'; readonly lines: readonly string[]; readonly partial: boolean }
  | { readonly kind: 'drained' }
  | { readonly kind: 'secured'; readonly facts: TlsFacts }
  | { readonly kind: 'closed'; readonly reason: CloseReason };

type OfKind<K extends ConnectionEvent['kind']> = Extract<ConnectionEvent, { kind: K }>;

export interface EventLog {
  readonly events: ConnectionEvents;
  readonly seen: readonly ConnectionEvent[];
  /** all lines so far */
  lines(): readonly string[];
  /** the first event of this kind, now or later */
  first<K extends ConnectionEvent['kind']>(kind: K): Promise<OfKind<K>>;
  /** resolves when this line has come */
  line(text: string): Promise<void>;
}

export function recordEvents(react: Partial<ConnectionEvents> = {}): EventLog {
  const seen: ConnectionEvent[] = [];
  const waiting = new Set<() => void>();

  function add(event: ConnectionEvent): void {
    seen.push(event);
    for (const look of waiting) look();
  }

  /** Resolves with what `find` finds, called again after every event. */
  function eventually<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      function look(): void {
        const found = find();
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      }
      waiting.add(look);
      look();
    });
  }

  const lines = () => seen.flatMap((event) => (event.kind === 'lines' ? event.lines : []));

  return {
    seen,
    lines,
    first: <K extends ConnectionEvent['kind']>(kind: K) =>
      eventually(() => seen.find((event): event is OfKind<K> => event.kind === kind)),
    line: async (text) => {
      await eventually(() => lines().find((line) => line === text));
    },
    events: {
      connected() {
        add({ kind: 'connected' });
        react.connected?.();
      },
      lines(lines, partial) {
        add({ kind: 'lines', lines, partial });
        react.lines?.(lines, partial);
      },
      drained() {
        add({ kind: 'drained' });
        react.drained?.();
      },
      secured(facts) {
        add({ kind: 'secured', facts });
        react.secured?.(facts);
      },
      closed(reason) {
        add({ kind: 'closed', reason });
        react.closed?.(reason);
      },
    },
  };
}
