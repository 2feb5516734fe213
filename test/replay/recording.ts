/** Runs jobs in worlds and records their transcripts. */
import { readFileSync } from 'node:fs';
import type { Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import type { ControlMessages } from '../../src/queue/due.ts';
import type { PayloadResult, QueuedJob } from '../../src/queue/queue.ts';
import { CopiedQueue } from '../../src/replay/copied-queue.ts';
import type { TranscriptWriter } from '../../src/replay/transcript/recorder.ts';
import { Recorder } from '../../src/replay/transcript/recorder.ts';
import type { Transcript } from '../../src/replay/transcript/transcript.ts';
import { readTranscript } from '../../src/replay/transcript/transcript.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import { readWorld } from '../../src/replay/world/worlds.ts';
import type { Relay } from '../../src/routing/hosts.ts';
import { parseRelayEntry } from '../../src/routing/relays.ts';
import { readyDeliveries } from '../../src/runner/deliveries.ts';
import { runQueue } from '../../src/runner/queue-runner.ts';
import type { RunRules } from '../../src/runner/rules.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import type { Settings } from '../../src/settings/table.ts';
import { NO_RUN_EVENTS } from '../support/no-events.ts';

export const NOW = 1_400_000_000_000;
export const MAIL = 'From: me@me.example\nTo: you\nSubject: hello\n\nA secret body.\n';

export function jobFor(...recipients: readonly string[]): Job {
  const lines = recipients.map((address) => `remote|${address}|0||\n`).join('');
  const text = `msgid|7\nsubmitted|1399999000\nbounceto|me@me.example\nenvelope_from|me@me.example\n${lines}`;
  const parsed = parseDeliveryList(text, { dialect: '2012', fallback: '2012' });
  if (parsed.kind !== 'list') throw new Error(parsed.reason);
  return parsed.job;
}

export function queuedFor(...recipients: readonly string[]): QueuedJob {
  return { control: 8, job: jobFor(...recipients), warnings: [] };
}

export function payloadOf(text: string): PayloadResult {
  const bytes = Buffer.from(text, 'latin1');
  return {
    kind: 'found',
    message: {
      size: bytes.length,
      bytes,
      async *stream() {
        yield bytes;
      },
    },
  };
}

export function settingsWith(given: { readonly [name: string]: unknown } = {}): Settings {
  const read = readSettings({ hostname: 'me.example', ...given });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.settings;
}

export function relaysIn(settings: Settings): readonly Relay[] {
  return settings.smarthost.flatMap((entry) => {
    const parsed = parseRelayEntry(entry, 'smarthost');
    return parsed.kind === 'relay' ? [parsed.relay] : [];
  });
}

export function rulesOf(settings: Settings): RunRules {
  return rulesFrom(settings, {
    hostname: 'me.example',
    ehloName: 'me.example',
    relays: relaysIn(settings),
    charset: unknown8bit,
    certificates: [],
    signer: null,
    warnings: [],
    interfaces: [],
  });
}

export interface Recorded {
  /** the transcripts that were kept, and the number of all that were begun */
  readonly transcripts: readonly string[];
  readonly begun: number;
  readonly world: World;
}

/** A queue run with a recorder. */
export async function record(
  queued: QueuedJob | ControlMessages,
  script: WorldScript,
  given: { readonly [name: string]: unknown } = {},
  keep: 'failures' | 'all' = 'failures',
): Promise<Recorded> {
  const { recorder, transcripts, runIn, begun } = longRecorder(queued, given, keep);
  const world = await runIn(script);
  await recorder.close();
  return { transcripts, begun: begun(), world };
}

/** A recorder for several runs, as in `watch`. */
export function longRecorder(
  queued: QueuedJob | ControlMessages = queuedFor('alice@one.example'),
  given: { readonly [name: string]: unknown } = {},
  keep: 'failures' | 'all' = 'failures',
) {
  const settings = settingsWith(given);
  const clock = new VirtualClock(NOW);
  const transcripts: string[] = [];
  let begun = 0;
  const open = (): TranscriptWriter => {
    begun++;
    let text = '';
    return {
      isFull: false,
      append: (more) => (text += more),
      keep: () => transcripts.push(text),
      discard: () => {},
    };
  };
  const recorded = {
    keep,
    settings,
    relays: relaysIn(settings),
    hostname: 'me.example',
    ehloName: 'me.example',
  };
  const recorder = new Recorder(recorded, clock, { open });
  const events = { ...NO_RUN_EVENTS, trace: recorder.observe };
  const runIn = async (script: WorldScript): Promise<World> => {
    const world = new World(script, clock);
    const queue = new CopiedQueue('control' in queued ? [queued] : queued, payloadOf(MAIL));
    const { resolver, connect } = world;
    const deps = { queue, resolver, connect, clock, random: () => 0.5, events };
    const rules = rulesOf(settings);
    await clock.runUntil(runQueue(readyDeliveries(deps, rules), rules, new AbortController().signal));
    return world;
  };
  return { recorder, transcripts, runIn, begun: () => begun };
}

export function transcriptOf(text: string | undefined): Transcript {
  const read = readTranscript(text ?? '');
  if (read.kind === 'unusable') throw new Error(read.reason);
  return read.transcript;
}

export function worldFile(name: string): WorldScript {
  const path = new URL(`../../fixtures/worlds/${name}.json`, import.meta.url);
  const read = readWorld(readFileSync(path, 'utf8'));
  if (read.kind === 'unusable') throw new Error(`${name}: ${read.reason}`);
  return read.world;
}
