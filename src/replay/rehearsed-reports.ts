/**
 * The reports of a run that is only played: decided and composed as in a run, with what was reported before, and handed to
 * nobody. Which server would take them is not asked.
 */
import { composeDsn } from '../dsn/compose.ts';
import type { Notice } from '../dsn/notice.ts';
import { type DsnRules, DsnSender } from '../dsn/sender.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Random } from '../platform/clock.ts';
import type { DsnStore, Notified } from '../queue/dsn-store.ts';
import type { Queue } from '../queue/queue.ts';

export interface ReportRules {
  readonly rules: DsnRules;
  /** what earlier runs have recorded */
  readonly store: Pick<DsnStore, 'notified' | 'firstAttempt' | 'refresh' | 'request'>;
  /** the server that takes reports, for people; null: none does, and they are kept for the postmaster */
  readonly transport: string | null;
}

export type RehearsedReport =
  | {
      readonly kind: 'report';
      readonly to: ByteString;
      /** null: kept for the postmaster */
      readonly through: string | null;
      /** why it is kept; null: it is not */
      readonly why: string | null;
      readonly notices: readonly Notice[];
      /** the message, CRLF line ends */
      readonly message: ByteString;
    }
  /** `reason` is a clause */
  | { readonly kind: 'suppressed'; readonly recipients: readonly ByteString[]; readonly reason: string }
  /** the report could not be made; a clause */
  | { readonly kind: 'waiting'; readonly why: ByteString };

interface RehearsalDeps {
  readonly queue: Pick<Queue, 'readPayload'>;
  readonly clock: Clock;
  readonly random: Random;
  report(report: RehearsedReport): void;
}

export function rehearseReports(
  { queue, clock, random, report }: RehearsalDeps,
  { rules, store, transport }: ReportRules,
): DsnSender {
  let message = '';
  return new DsnSender(
    {
      queue,
      clock,
      random,
      compose: composeDsn,
      store: inMemory(store, (kept) => {
        message = kept;
      }),
      transport:
        transport === null
          ? null
          : {
              name: transport,
              send: async (each) => {
                const pieces: Buffer[] = [];
                for await (const piece of each.chunks()) pieces.push(piece);
                message = Buffer.concat(pieces).toString('latin1');
                return { kind: 'safe', where: transport };
              },
            },
      events: {
        sent: ({ to, how, why, notices }) =>
          report({ kind: 'report', to, through: how === 'safe' ? transport : null, why, notices, message }),
        suppressed: ({ recipients, reason }) => report({ kind: 'suppressed', recipients, reason }),
        waiting: ({ why }) => report({ kind: 'waiting', why }),
      },
    },
    rules,
  );
}

/** What was recorded before, and in memory what would be. `keep` gets a report that is kept for the postmaster. */
function inMemory(before: ReportRules['store'], keep: (report: ByteString) => void): DsnStore {
  const told = new Map<number, Notified[]>();
  const first = new Map<number, number>();
  return {
    refresh: () => before.refresh(),
    request: (job) => before.request(job),
    notified: async (job) => [...(await before.notified(job)), ...(told.get(job.control) ?? [])],
    recordNotified: async ({ control }, notified) => {
      told.set(control, [...(told.get(control) ?? []), ...notified]);
    },
    firstAttempt: async (job) => first.get(job.control) ?? (await before.firstAttempt(job)),
    recordFirstAttempt: async ({ control }, at) => {
      first.set(control, at);
    },
    forget: async () => {},
    saveForPickup: async (report) => {
      keep(Buffer.from(report).toString('latin1'));
      return 'the folder of the postmaster';
    },
  };
}
