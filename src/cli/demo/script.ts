/** What happened in the demo, for its text and its JSON. */
import type { JobFacts } from '../../output/queue-facts.ts';
import type { DialogueLine } from '../../output/replay/dialogue.ts';
import type { OutcomeRecord } from '../../runner/active-message.ts';
import type { RunSummary } from '../../runner/run-count.ts';

export interface Conversation {
  readonly host: string;
  readonly lines: readonly DialogueLine[];
}

export interface ControlText {
  readonly job: number;
  readonly text: string;
}

/** One queue run and its effects on the spool. */
export interface DemoRun {
  /** ISO 8601 */
  readonly at: string;
  readonly conversations: readonly Conversation[];
  readonly outcomes: readonly OutcomeRecord[];
  readonly summary: RunSummary;
  /** the log lines about reports */
  readonly reports: readonly string[];
  readonly removed: readonly number[];
  /** control messages that were rewritten */
  readonly changed: readonly ControlText[];
}

export interface DemoResult {
  readonly spool: string;
  readonly before: readonly JobFacts[];
  readonly runs: readonly DemoRun[];
  readonly after: readonly JobFacts[];
}
