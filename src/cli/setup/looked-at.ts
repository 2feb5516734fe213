/**
 * What a run over an empty spool has looked at. As long as nothing of it changes, another run with the same words would find as
 * little, and the launcher need not begin it (bin/unchanged.js).
 */
import { readdirSync } from 'node:fs';
import { hasThresholds } from '../../metrics/thresholds.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';

let paths: readonly string[] | null = null;

/** Files and directories; null: something else may bring work: time, a server, a message that is there. */
export function lookedAt(): readonly string[] | null {
  return paths;
}

/** The run has found nothing. */
export function foundNothing(spool: string, settings: Settings): void {
  if (hasOtherWork(settings) || readdirSync(spool).some((name) => /^\d/.test(name))) return;
  const named = [settings.config, settings['internet-config']].filter((path) => path !== null);
  paths = [spool, layoutOf(spool).requests, ...named];
}

/** What a run does without mail, or learns from elsewhere. */
function hasOtherWork(settings: Settings): boolean {
  return (
    settings.state !== null ||
    settings.now !== null ||
    settings.json ||
    settings['tls-report'] === 'send' ||
    settings['metrics-file'] !== null ||
    settings['internet-config'] === 'citadel' ||
    hasThresholds(settings)
  );
}
