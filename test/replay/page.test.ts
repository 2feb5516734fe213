/** The page of `replay --html`: self-contained, without scripts, and rendered by a real browser. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { unknown8bit } from '../../src/message/charset.ts';
import { htmlPage } from '../../src/output/html/page.ts';
import { deliveryListText, textAfter } from '../../src/output/replay/list-text.ts';
import { replayReport } from '../../src/output/replay/replay-report.ts';
import { textDecoder } from '../../src/output/text.ts';
import { simulate } from '../../src/replay/simulation.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { MAIL, NOW, payloadOf, queuedFor, rulesOf, settingsWith, worldFile } from './recording.ts';

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
    const bars = [...html.matchAll(/<rect class="\w+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)];
    assert.ok(bars.length > 2, name);
    for (const [, x, width] of bars) {
      assert.ok(Number(x) >= 230 && Number(x) + Number(width) <= 1004, `${name}: ${x} + ${width}`);
    }
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
