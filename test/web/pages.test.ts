/** The pages as functions of data: nothing that a stranger wrote becomes markup; lists have pages; forms have names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HistoryRecord } from '../../src/history/record.ts';
import { storyFacts } from '../../src/output/history-text.ts';
import { html, type Markup, trusted } from '../../src/output/html/markup.ts';
import type { ListedJob } from '../../src/output/queue-list.ts';
import { activityContent } from '../../src/web/pages/activity.ts';
import { confirmContent } from '../../src/web/pages/confirm.ts';
import { destinationsContent } from '../../src/web/pages/destinations.ts';
import { historyContent, historyProblem } from '../../src/web/pages/history.ts';
import { jobContent } from '../../src/web/pages/job.ts';
import { framed } from '../../src/web/pages/layout.ts';
import { loginPage } from '../../src/web/pages/login.ts';
import { count, pager, queryText } from '../../src/web/pages/parts.ts';
import { queueContent, queueProblem } from '../../src/web/pages/queue.ts';
import { tlsContent } from '../../src/web/pages/tls.ts';
import type { QueueCounts } from '../../src/web/ports.ts';

const SESSION = { user: 'alice', csrf: 'token' };
const COUNTS: QueueCounts = {
  jobs: 3,
  pending: 4,
  due: 1,
  held: 1,
  oldest: 4000,
  delivering: null,
  unreadable: 1,
};

/** Every page, with this text in every place where text of others can be. */
function pages(text: string): readonly Markup[] {
  const job: ListedJob = {
    ...{
      job: 4,
      mail: 3,
      age: 60,
      pending: 1,
      delivered: 0,
      refused: 0,
      due: false,
      next: null,
      throttled: text,
      unwritten: 0,
    },
    ...{ why: text, last: text, sender: text, size: 10, request: { request: 'hold', by: text, at: 0 } },
    recipients: [
      { address: text, status: 4, text },
      { address: text, status: 5, text },
    ],
  };
  const record: HistoryRecord = {
    ...{ at: '2026-11-28T10:00:00.000Z', event: 'deferred', job: 4, mail: 3, submitted: 0, sender: text },
    ...{
      messageId: text,
      size: 5,
      recipients: [`${text}1`, text],
      host: text,
      address: text,
      port: 25,
      text,
      code: 451,
    },
  };
  const fields = { from: text, to: text, answer: text, jobs: text, words: text, since: text };
  const paging = { first: 0, shown: 1, total: 99, size: 50, more: true };
  const list = {
    kind: 'list',
    counts: COUNTS,
    total: 1,
    jobs: [job],
    selected: text,
    notes: [text],
    isWhole: true,
    now: 0,
  } as const;
  const plan = {
    kind: 'plan',
    count: 12,
    deed: `hold ${text}`,
    jobs: [job],
    now: 0,
    asks: true,
    perform: async () => '',
  } as const;
  const story = storyFacts([record]);
  const contents = [
    queueContent({ list, fields, order: 'oldest', paging, refresh: 5, session: SESSION, target: text }),
    queueProblem(text, fields, 'next'),
    confirmContent({ action: 'remove', plan, fields, session: SESSION, target: text }),
    jobContent(
      {
        ...{
          kind: 'job',
          number: 4,
          job,
          sentences: [text],
          envelope: [['from', text]],
          header: [text],
          now: 0,
        },
        ...{
          attempts: [{ name: text, at: text }],
          shown: { name: text, timeline: trusted('') },
          history: [record],
        },
      },
      SESSION,
    ),
    historyContent({
      list: { kind: 'list', stories: [story], more: true, since: text },
      fields,
      paging,
      events: ['queued'],
    }),
    historyProblem(text, fields, []),
    destinationsContent(
      {
        destinations: [{ destination: text, total: 2, ages: [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1] }],
        throttled: [
          { group: text, receiver: text, state: 'limited', until: text, rate: 2, answer: text, waiting: 1 },
        ],
        slowed: text,
      },
      0,
    ),
    tlsContent({
      ...{ kind: 'day', day: text, days: [text] },
      counts: [
        [
          text,
          [
            {
              policy: { type: 'tlsa', domain: `${text}.`, strings: [], mx: [] },
              successes: 1,
              failures: [{ type: 'validation-failure', reason: text, host: text, address: text, count: 2 }],
            },
          ],
        ],
      ],
    }),
    activityContent(COUNTS, { today: { queued: 2 }, lastHour: {} }, 15),
  ];
  return [
    loginPage({ target: text, user: text, problem: text }),
    ...contents.map((content) =>
      framed({
        title: text,
        name: text,
        path: '/',
        session: { user: text, csrf: text },
        notice: text,
        content,
      }),
    ),
  ];
}

/** Tags with the names of their attributes, without the values. */
function skeleton({ text }: Markup): string {
  const tags = text.replace(/="[^"]*"/g, '=').match(/<[^>]*>/g) ?? [];
  return tags.join('\n');
}

test('no text of others changes what a page is made of', () => {
  const plain = pages('x').map(skeleton);
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom(
      '"><script>alert(1)</script>',
      `' onfocus=alert(1) x='`,
      '</title><b>',
      '<!--',
      '&#60;',
      ']]>',
      '$1 {x}',
      '\0"',
      '\u202e',
    ),
    fc
      .array(fc.constantFrom('<', '>', '"', "'", '&', '=', ' ', 'a', '/', '\n'), { minLength: 1 })
      .map((all) => all.join('')),
  );
  fc.assert(
    fc.property(
      hostile.filter((text) => text.trim() !== ''),
      (text) => {
        for (const [at, page] of pages(text).entries()) {
          assert.equal(skeleton(page), plain[at], JSON.stringify(text));
          assert.doesNotMatch(
            page.text,
            /[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
          );
        }
      },
    ),
  );
});

test('no page has a script, a style of its own, or loads from elsewhere', () => {
  for (const { text } of pages('x'))
    assert.doesNotMatch(text, /<script|<style|<img|<iframe| style=| on[a-z]+=|https?:\/\//i);
});

test('every field has a label, every table a caption, every column a scope, and pages one heading', () => {
  for (const { text } of pages('x')) {
    for (const [, id] of text.matchAll(
      /<(?:input|select)(?![^>]*type="hidden")(?![^>]*aria-label)[^>]* id="([^"]+)"/g,
    ))
      assert.ok(text.includes(`for="${id}"`), id);
    assert.doesNotMatch(text, /<input(?![^>]*(?:type="hidden"|aria-label|id="))/);
    const without = text.replace(/<table class="(?:dialogue|fields)">[\s\S]*?<\/table>/g, '');
    assert.equal(without.match(/<table/g)?.length, without.match(/<caption/g)?.length);
    assert.doesNotMatch(without, /<th(?![^>]*scope=)[ >]/);
    assert.equal(text.match(/<h1/g)?.length, 1);
    assert.match(text, /<html lang="en">/);
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length, ids.join(' '));
  }
});

test('holes of a template', () => {
  assert.equal(
    html`<a b="${'"'}">${'<'}${null}${undefined}${false}${0}${[html`<i>`, '&', ['x']]}</a>`.text,
    '<a b="&#34;">&#60;0<i>&#38;x</a>',
  );
});

test('a queue that is still being read does not look empty', () => {
  const page = (isWhole: boolean): string => {
    const counts = { ...COUNTS, jobs: 0 };
    const list = {
      kind: 'list',
      counts,
      total: 0,
      jobs: [],
      selected: '',
      notes: [],
      isWhole,
      now: 0,
    } as const;
    const paging = { first: 0, shown: 0, total: 0, size: 50, more: false };
    return queueContent({
      list,
      fields: {},
      order: 'newest',
      paging,
      refresh: 0,
      session: SESSION,
      target: '/',
    }).text;
  };
  assert.match(page(true), /The queue is empty\./);
  assert.match(page(false), /No jobs so far\./);
});

test('a list has pages', () => {
  const of = (page: number, shown = 50, total: number | null = 120) =>
    pager('/', { from: 'a b' }, { first: (page - 1) * 50, shown, total, size: 50, more: page < 3 })
      .text.replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ');
  assert.equal(of(1), ' 1–50 of 120 Next › Last ');
  assert.equal(of(2), ' 51–100 of 120 ‹ Previous Next › ');
  assert.equal(of(3, 20), ' 101–120 of 120 First ‹ Previous ');
  assert.equal(of(1, 50, null), ' 1–50 Next › ');
  assert.equal(count(1234567), '1,234,567');
  assert.equal(queryText({ from: 'a&b', page: 1, order: 'newest', refresh: 0, to: '' }), '?from=a%26b');
});
