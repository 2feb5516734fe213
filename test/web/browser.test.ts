/** The web view in a real Chromium with scripts turned off: an administrator's way through it, and what fits on a phone. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { jobs, MAIL, NOW, PASSWORD, type Started, startWeb, USER } from './support.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => existsSync(file));
const QUIET = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

const HOSTILE =
  'Content-type: application/x-citadel-delivery-list\n\n' +
  `msgid|101\nsubmitted|${NOW}\nbounceto|x@example.org\nattempted|${NOW}\n` +
  'remote|"<img src=x onerror=alert(1)>"@example.com|4|550 <script>alert(1)</script> &amp; "no"\' such user|\n' +
  `remote|${'a-very-long-local-part.'.repeat(8)}@${'sub.'.repeat(20)}example.com|4|450 ${'long'.repeat(90)}|\n`;

const WIDTHS = [390, 1600];

describe('in Chromium', {
  skip: CHROMIUM === undefined && 'no Chromium on this machine',
  timeout: 60_000,
}, () => {
  let browser: Browser;
  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: QUIET });
  });
  after(() => browser.close());

  async function open({ web }: Started, options: object = {}): Promise<Page> {
    const context = await browser.newContext({ javaScriptEnabled: false, ...options });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => problems.push(message.text()));
    page.on('requestfailed', (request) => problems.push(request.url()));
    await page.goto(web.address);
    await page.getByLabel('User').fill(USER);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Queue' }).waitFor();
    assert.deepEqual(problems, []);
    return page;
  }

  it('jobs are selected, held and removed', async (t) => {
    const page = await open(await startWeb(t, jobs(60)));
    assert.equal(await page.getByRole('row').count(), 51);
    const pages = page.getByRole('navigation', { name: 'Pages of the list' });
    await pages.getByRole('link', { name: 'Next' }).click();
    assert.equal(await page.getByRole('row').count(), 11);
    await page.getByRole('link', { name: 'spoolroom' }).click();
    await page.getByRole('checkbox', { name: 'Job 120' }).check();
    await page.getByRole('checkbox', { name: 'Job 118' }).check();
    await page.getByRole('button', { name: 'Hold' }).click();
    assert.equal(await page.getByRole('status').textContent(), 'Held: jobs 118, 120.');
    await page.getByLabel('Status').selectOption('held');
    await page.getByRole('button', { name: 'Select' }).click();
    assert.equal(await page.getByRole('row').count(), 3);
    await page.getByLabel('With').selectOption('all');
    await page.getByRole('button', { name: 'Remove silently' }).click();
    await page.getByRole('heading', { name: /^Remove jobs 118, 120 with 2 pending recipients/ }).waitFor();
    await page.getByRole('button', { name: 'Yes, remove' }).click();
    assert.match((await page.getByRole('status').textContent()) ?? '', /^To be removed: jobs 118, 120\./);
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Password').waitFor();
    await page.goBack();
    assert.equal(await page.getByLabel('Password').count(), 1, 'nothing is kept in the cache');
  });

  it('the keyboard leads past the navigation, and one sees where it is', async (t) => {
    const page = await open(await startWeb(t, jobs(1)), { javaScriptEnabled: true });
    await page.keyboard.press('Tab');
    const skip = page.getByRole('link', { name: 'Skip to content' });
    assert.ok(((await skip.boundingBox())?.y ?? -1) >= 0);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(
      `[document.activeElement.closest('main') !== null, getComputedStyle(document.activeElement).outlineStyle]`,
    );
    assert.deepEqual(focused, [true, 'solid']);
  });

  it('no text is run, and no page is wider than its window', async (t) => {
    const started = await startWeb(t, { ...jobs(30), 101: MAIL, 102: HOSTILE });
    for (const width of WIDTHS) {
      const page = await open(started, { viewport: { width, height: 800 }, javaScriptEnabled: true });
      page.on('dialog', () => assert.fail('a script ran'));
      for (const path of ['', 'job/102', 'history', 'destinations', 'tls', 'activity', '?answer=550']) {
        await page.goto(started.web.address + path);
        const { content, window, scripts } = await page.evaluate<Measures>(MEASURES);
        assert.ok(content <= window, `/${path} at ${width}: ${content} of ${window}`);
        assert.equal(scripts, 0);
      }
      await page.context().close();
    }
  });

  it('what is written can be read, in light and dark', async (t) => {
    const started = await startWeb(t, { ...jobs(3), 101: MAIL, 102: HOSTILE });
    for (const colorScheme of ['light', 'dark']) {
      const page = await open(started, { colorScheme, javaScriptEnabled: true });
      for (const path of ['', 'job/102']) {
        await page.goto(started.web.address + path);
        assert.deepEqual(await page.evaluate(FAINT_TEXTS), [], `${path} in ${colorScheme}`);
      }
      await page.context().close();
    }
  });
});

interface Measures {
  /** pixels */
  readonly content: number;
  readonly window: number;
  readonly scripts: number;
}

/** Runs in the page. */
const MEASURES = `({
  content: document.documentElement.scrollWidth,
  window: document.documentElement.clientWidth,
  scripts: document.querySelectorAll('script, img, [onerror]').length,
})`;

/** Texts with less than 4.5 to 1 against their background (WCAG 2.1, 1.4.3). Runs in the page. */
const FAINT_TEXTS = `(() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const parsed = (text) => text.match(/[\\d.]+/g).map(Number);
  const backgroundOf = (element) => {
    if (element === null) return [255, 255, 255];
    const colour = parsed(getComputedStyle(element).backgroundColor);
    return colour.length === 3 ? colour : backgroundOf(element.parentElement);
  };
  const faint = new Set();
  for (const element of document.querySelectorAll('main *, header *')) {
    const isOwn = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!isOwn || element.closest('svg, [aria-hidden]') !== null) continue;
    const pair = [parsed(getComputedStyle(element).color), backgroundOf(element)];
    const [light, dark] = pair.map(luminance).sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) faint.add(element.className + ' ' + element.textContent.slice(0, 30) + ': ' + ratio.toFixed(2));
  }
  return [...faint];
})()`;
