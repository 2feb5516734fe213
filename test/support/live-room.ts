/**
 * Live rooms for tests: the double of a Citadel server, a state directory beside it, a clock that is moved by hand. A room
 * is "proven" when the probe has stayed in it for the whole probe period.
 */
import fs from 'node:fs';
import type { TestContext } from 'node:test';
import { connect } from '../../src/net-stream-utils/index.ts';
import { type LiveOptions, openLiveQueue } from '../../src/queue/citadel/open.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { processTable } from '../../src/storage/processes.ts';
import { type CitadelDouble, type Era, listOf, startCitadel } from './citadel-server.ts';
import { type Bench, bench, NOW, quickDirectory, SETTINGS_2012 } from './spool.ts';

export const LOGIN = { user: 'admin', password: 'adminpass' };
export const MAIL = 'From: a@citref.example\r\nSubject: hello\r\n\r\nHello.\r\n';

/** A process table in which every other process is dead. */
export const allDead = { ...processTable(nodeDisk), alive: () => false };

export interface LiveScene {
  readonly double: CitadelDouble;
  readonly deps: Bench;
  readonly options: LiveOptions;
}

export async function liveScene(t: TestContext, era: Era = '2012', admin = true): Promise<LiveScene> {
  const directory = quickDirectory(t);
  const double = await startCitadel(`${directory}/citadel-admin.socket`, { era, admin, highest: 100 });
  double.time = NOW;
  t.after(() => double.close());
  fs.mkdirSync(`${directory}/state`);
  const server = { endpoint: { address: double.path, port: 0 }, tls: null };
  return {
    double,
    deps: bench({ processes: allDead }),
    options: { server, login: LOGIN, state: `${directory}/state` },
  };
}

/** The same server, with another state directory. */
export function neighbour(scene: LiveScene): LiveScene {
  const state = `${scene.options.state}-2`;
  fs.mkdirSync(state, { recursive: true });
  return { ...scene, deps: bench({ processes: allDead }), options: { ...scene.options, state } };
}

export async function openLive({ deps, options }: LiveScene, settings = SETTINGS_2012): Promise<Queue> {
  const opened = await openLiveQueue(options, { ...deps, connect }, settings);
  if (opened.kind === 'refused') throw new Error(opened.text);
  return opened.queue;
}

/** A room whose probe period has ended. */
export async function openProven(scene: LiveScene, settings = SETTINGS_2012): Promise<Queue> {
  const room = await openLive(scene, settings);
  await room.scan();
  scene.deps.clock.advance(150_000);
  await room.scan();
  return room;
}

/** A list as the server creates it, without its header line. */
export function newList(msgid: number, ...recipients: readonly string[]): string {
  const lines = recipients.map((address) => `remote|${address}|0||\n`).join('');
  return `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@citref.example\n${lines}`;
}

/** Delivery lists in the room without flag and probe, by number. */
export function listsIn({ messages }: CitadelDouble): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [number, message] of messages) {
    const text = listOf(message);
    if (text !== null && !text.includes('spoolroom.invalid')) found[number] = text;
  }
  return found;
}

/** Numbers of our own messages in the room: flag and probe. */
export function probesIn({ messages }: CitadelDouble): number[] {
  return [...messages].flatMap(([number, message]) =>
    listOf(message)?.includes('spoolroom.invalid') ? [number] : [],
  );
}

/** Control message, address and status of all recipients of a scan. */
export async function shown(room: Queue): Promise<(readonly [number, string, number])[]> {
  return (await room.scan()).jobs.flatMap(({ control, job }) =>
    job.recipients.map(({ address, status }) => [control, address, status] as const),
  );
}
