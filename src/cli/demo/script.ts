/** What happens in the demo, as facts: demo.ts gathers them, demo-print.ts shows them. */

import type { JobFacts } from '../../output/queue-table.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { RunSummary } from '../../runner/queue-runner.ts';

export interface Conversation {
  readonly host: string;
  readonly lines: readonly DialogueLine[];
}

export interface ControlText {
  readonly job: number;
  readonly text: string;
}

/** One queue run and what it left behind. */
export interface Act {
  /** ISO 8601 */
  readonly at: string;
  readonly conversations: readonly Conversation[];
  readonly outcomes: readonly OutcomeRecord[];
  readonly summary: RunSummary;
  /** who was told of what, in the words of the log */
  readonly told: readonly string[];
  readonly removed: readonly number[];
  /** control messages that read differently now */
  readonly changed: readonly ControlText[];
}

export interface DemoResult {
  readonly spool: string;
  readonly before: readonly JobFacts[];
  readonly acts: readonly Act[];
  readonly after: readonly JobFacts[];
}
