/** The page of `replay --html`: self-contained, without scripts, and rendered by a real browser. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { unknown8bit } from '../../src/message/charset.ts';
import { htmlPage } from '../../src/output/html/page.ts';
import { timelineDrawing } from '../../src/output/html/timeline.ts';
import { deliveryListText, textAfter } from '../../src/output/replay/list-text.ts';
import { replayReport } from '../../src/output/replay/replay-report.ts';
import { textDecoder } from '../../src/output/text.ts';
import { simulate } from '../../src/replay/simulation.ts';
import { timelineOf } from '../../src/replay/timeline.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import {
  MAIL,
  NOW,
  payloadOf,
  queuedFor,
  record,
  rulesOf,
  settingsWith,
  transcriptOf,
  worldFile,
} from './recording.ts';

async function page(world: WorldScript, ...recipients: readonly string[]): Promise<string> {
  const queued = queuedFor(...recipients);
  const rules = rulesOf(settingsWith());
  const lists = [queued] as const;
  const { timeline } = await simulate(
    { lists, payload: payloadOf(MAIL), rules, now: NOW, force: true },
    world,
  );
  const { schedule } = rules.due;
  const seconds = NOW / 1000;
  const sources = {
    ...{ title: 'a <title>', job: queued.job, warnings: [], now: seconds, schedule, due: 'It is due.' },
    ...{
      routing: rules.delivery.routing,
      timeline,
      before: deliveryListText(queued.job),
      notes: [],
      would: null,
    },
    ...{ recipients: queued.job.recipients, whole: true, live: false, untried: null, reports: null },
    after: textAfter(queued.job, timeline, NOW, { dialect: '2012', spans: schedule.retry }),
  };
  return htmlPage(replayReport(sources, textDecoder(unknown8bit)), timeline);
}

test('nothing is loaded or run, and no text of a server is markup', async () => {
  const world = { ...WORLDS.accept, servers: { '*': { greeting: '554 <script>alert(1)</script>"' } } };
  const html = await page(world, 'alice@one.example');
  assert.ok(!/<script|<link|<img|https?:\/\/|url\(/i.test(html));
  assert.ok(html.includes('&#60;script&#62;alert(1)'));
  assert.ok(html.includes('a &#60;title&#62;'));
});

test('the drawing stays inside its frame', async () => {
  for (const [name, world] of [...Object.entries(WORLDS), ['two-hosts', worldFile('two-hosts')] as const]) {
    const html = await page(world, 'alice@one.example', 'gone@one.example', 'bob@two.example');
    for (const [layout, from, to] of [
      ['broad', 230, 1004],
      ['narrow', 0, 323],
    ] as const) {
      const bars = barsIn(html, layout);
      assert.ok(bars.length > 2, name);
      for (const { x, width } of bars)
        assert.ok(x >= from && x + width <= to, `${name}, ${layout}: ${x} + ${width}`);
    }
  }
});

function barsIn(html: string, layout: 'broad' | 'narrow') {
  const drawing = new RegExp(`<svg class="${layout}"[\\s\\S]*?</svg>`).exec(html)?.[0] ?? '';
  return [
    ...drawing.matchAll(/<title>([^<]*)<\/title><rect class="\w+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g),
  ].map(([, title = '', x, width]) => ({ title, x: Number(x), width: Number(width) }));
}

test('three seconds and forty are not drawn alike, and what takes no time is seen', async () => {
  const html = await page(worldFile('two-hosts'), 'alice@one.example');
  for (const layout of ['broad', 'narrow'] as const) {
    const bars = barsIn(html, layout);
    const [busy, slow] = ['greeting 421, 3.00 s', 'greeting 220, 40 s'].map(
      (title) => bars.find((bar) => bar.title === title)?.width ?? 0,
    );
    assert.ok((slow ?? 0) > 4 * (busy ?? 1), `${busy} and ${slow}`);
    assert.ok(Math.min(...bars.map(({ width }) => width)) >= 3);
  }
});

test('in a transcript the wait for the greeting begins with the connection', async () => {
  const { transcripts } = await record(queuedFor('alice@one.example'), worldFile('two-hosts'));
  const html = timelineDrawing(timelineOf(transcriptOf(transcripts[0])));
  const bars = barsIn(html, 'broad');
  for (const [greeting, address] of [
    ['greeting 421, 3.00 s', '192.0.2.1'],
    ['greeting 220, 40 s', '192.0.2.2'],
  ] as const) {
    const wait = bars.find(({ title }) => title === greeting);
    const connecting = bars.find(({ title }) => title.startsWith(`connect ${address}`));
    assert.ok(wait !== undefined && connecting !== undefined, JSON.stringify(bars));
    assert.ok(Math.abs(wait.x - (connecting.x + connecting.width)) < 0.2, `${wait.x} and ${connecting.x}`);
  }
});

test('a session that was there before its delivery begins when it began, by the clock of the dialogue (R270)', async () => {
  const { transcripts } = await record(queuedFor('alice@one.example'), worldFile('two-hosts'));
  const { events, ...timeline } = timelineOf(transcriptOf(transcripts[0]));
  const earlier = events.map((event) =>
    event.what === 'connected' || event.what === 'session-state'
      ? { ...event, at: event.at - 60_000 }
      : event,
  );
  const drawing = timelineDrawing({ ...timeline, events: earlier });
  const bars = barsIn(drawing, 'broad');
  const titles = bars.map(({ title }) => title);
  assert.deepEqual(
    titles.filter((title) => title.startsWith('connect ')),
    [],
    'it took nothing of the delivery’s time',
  );
  const first = Math.min(...earlier.map(({ at }) => at));
  assert.ok(first < 0);
  const waits = bars.filter(({ title }) => title.startsWith('greeting '));
  assert.equal(Math.min(...waits.map(({ x }) => x)), 230, titles.join(', '));
  assert.equal(/class="time"[^>]*>([^<]*)</.exec(drawing)?.[1], `${(first / 1000).toFixed(3)} s`);
});

test('outcomes at the end stand beside each other, inside the frame (R271)', async () => {
  const { transcripts } = await record(queuedFor('alice@one.example'), worldFile('two-hosts'));
  const { events, ...timeline } = timelineOf(transcriptOf(transcripts[0]));
  const many = events.flatMap((event) => (event.what === 'outcome' ? Array(8).fill(event) : [event]));
  const html = timelineDrawing({ ...timeline, events: many });
  for (const [layout, width] of [
    ['broad', 1000],
    ['narrow', 320],
  ] as const) {
    const drawing = new RegExp(`<svg class="${layout}"[\\s\\S]*?</svg>`).exec(html)?.[0] ?? '';
    const dots = [...drawing.matchAll(/<circle [^>]*cx="([\d.]+)"/g)].map(([, x]) => Number(x));
    assert.equal(new Set(dots).size, 8, dots.join(', '));
    assert.ok(Math.max(...dots) <= width - 6, dots.join(', '));
  }
});

const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => existsSync(file));
const QUIET = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

test('a browser shows it', { skip: BROWSER === undefined && 'no Chromium on this machine' }, async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'spoolroom-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const file = path.join(folder, 'page.html');
  writeFileSync(file, await page(worldFile('two-hosts'), 'alice@one.example', 'gone@one.example'));
  const picture = path.join(folder, 'page.png');
  const words = [...QUIET, `--user-data-dir=${path.join(folder, 'profile')}`, '--window-size=1280,1000'];
  execFileSync(BROWSER ?? '', [...words, `--screenshot=${picture}`, `file://${file}`], {
    stdio: 'ignore',
    timeout: 60_000,
  });
  assert.ok(statSync(picture).size > 40_000, 'the picture shows a drawing');
});
