/**
 * The rules of a queue run as data, made once from the settings. Called by the commands; the queue run and all
 * below it see rules and never settings.
 */
import type { ByteString } from '../control/job.ts';
import type { RenderOptions } from '../message/render.ts';
import type { DueOptions } from '../plan/due.ts';
import type { DispatchRules } from './counter.ts';

export interface RunRules {
  readonly dispatch: DispatchRules;
  readonly due: DueOptions;
  readonly render: RenderOptions;
  /** envelope sender of mail that names none */
  readonly postmaster: ByteString;
}
