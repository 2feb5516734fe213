import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { connect } from '#net-stream-utils';
import type { Signer } from '../../src/dkim/signer.ts';
import { composeDsn } from '../../src/dsn/compose.ts';
import { type DsnTransportSetting, parseDsnTransport } from '../../src/dsn/return-path.ts';
import type { DsnEvents, SentDsn } from '../../src/dsn/sender.ts';
import { DsnSender } from '../../src/dsn/sender.ts';
import type { DsnTransport, HandoverResult } from '../../src/dsn/transport.ts';
import { sessionTransport } from '../../src/dsn/transport.ts';
import { utf8 } from '../../src/message/charset.ts';
import { type OutgoingMessage, outgoingFrom } from '../../src/message/outgoing.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Queue, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { openDsnStore } from '../../src/queue/spool/notes/dsn-store.ts';
import { ActiveMessage } from '../../src/runner/active-message.ts';
import type { Failure, Outcome } from '../../src/smtp/outcome.ts';
import { type Disk, nodeDisk } from '../../src/storage/disk.ts';
import { DEADLINES } from '../delivery/scheduling.ts';
import { MESSAGE_DEPS } from '../support/message-deps.ts';
import { NO_MESSAGE_EVENTS } from '../support/no-events.ts';
import { startRawServer } from '../support/raw-server.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import {
  type Bench,
  bench,
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openQueue,
  spoolOf,
  temporaryDirectory,
  writeMessage,
} from '../support/spool.ts';
import { BUSY, failure, SAMPLES, STAMP } from './samples.ts';

const SITE = { fqdn: 'citadel.example.org', aide: 'room_aide@citadel.example.org' };
const HOUR = 3600;
const RENDER = {
  order: '2016',
  fqdn: SITE.fqdn,
  nodeName: '',
  legacy: utf8,
  zoneMinutes: 0,
} as const;
const ON = new AbortController().signal;
const SAFE: HandoverResult = { kind: 'safe', where: 'here' };
const UNKNOWN: HandoverResult = { kind: 'refused', what: 'recipient', why: 'unknown' };
const BAD: HandoverResult = { kind: 'refused', what: 'report', why: 'not like this' };

/** A return path that answers as set and keeps what it took. */
class TestTransport implements DsnTransport {
  readonly name = 'test';
  readonly taken: { readonly to: string; readonly text: string }[] = [];
  asked = 0;
  answer: (to: string, text: string) => HandoverResult = () => SAFE;

  async send(report: OutgoingMessage, to: string): Promise<HandoverResult> {
    this.asked++;
    const text = report.text ?? '';
    const answer = this.answer(to, text);
    if (answer.kind === 'safe') this.taken.push({ to, text });
    return answer;
  }
}

interface Harness {
  readonly spool: string;
  readonly deps: Bench;
  readonly room: Queue;
  readonly transport: TestTransport;
  readonly sender: DsnSender;
  readonly sent: SentDsn[];
  readonly log: string[];
}

/** A spool opened by one run: `open` again is the next one, with nothing in memory. */
async function openHarness(
  spool: string,
  transport = new TestTransport(),
  deps = bench(),
  change: { readonly transport?: null; readonly signer?: Signer } = {},
): Promise<Harness> {
  const room = await openQueue(spool, deps);
  const sent: SentDsn[] = [];
  const log: string[] = [];
  const events: DsnEvents = {
    sent: (record) => void sent.push(record),
    suppressed: ({ recipients, reason }) => void log.push(`${recipients}: ${reason}`),
    waiting: ({ control, why }) => void log.push(`job ${control} could not be sent: ${why}`),
  };
  const { clock, random } = deps;
  const reports = openDsnStore(spool, deps);
  const sender = new DsnSender(
    { queue: room, store: reports, transport, compose: composeDsn, clock, random, events, ...change },
    {
      ...{ site: SITE, author: 'postmaster@citadel.example.org', schedule: SCHEDULE, render: RENDER },
      signer: change.signer ?? null,
    },
  );
  return { spool, deps, room, transport, sender, sent, log };
}

/** One run: what becomes of each recipient, in the order of the list; true when the job is over. */
async function run(harness: Harness, verdicts: Readonly<Record<string, Failure | 'delivered'>>, signal = ON) {
  const { room, sender, deps } = harness;
  const { jobs } = await room.scan();
  const [first, ...others] = jobs;
  assert.ok(first, 'there is no job');
  const lists: [QueuedJob, ...QueuedJob[]] = [first, ...others];
  const now = () => Math.floor(deps.clock.now() / 1000);
  const mail = new ActiveMessage(
    lists,
    { ...MESSAGE_DEPS, queue: room, now, dsnSender: sender },
    NO_MESSAGE_EVENTS,
  );
  for (const index of mail.pending()) {
    const given = verdicts[mail.recipients[index]?.address ?? ''];
    if (given !== undefined)
      mail.recordOutcome('example.com', [index], verdictOf(given), { milliseconds: 1, tls: null });
  }
  const over = await mail.close(signal);
  await room.flush();
  return over;
}

function verdictOf(given: Failure | 'delivered'): Outcome {
  if (given !== 'delivered') return { kind: 'failed', ...given };
  const peer = { host: 'mx.example.com', address: '192.0.2.25', port: 25 };
  return { kind: 'delivered', code: 250, enhanced: '2.0.0', text: 'ok', peer };
}

const ONE = { '1': MAIL, '2': listFor(1, 'b@example.com') };
const REFUSED = { 'b@example.com': failure() };
const TWO = { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') };
const MIXED = { 'b@example.com': failure(), 'c@example.com': BUSY };

describe('a permanent failure', () => {
  it('of tens of thousands of recipients is told in several reports, each of them once (R266)', async (t) => {
    const recipients = Array.from({ length: 25_000 }, (_, n) => `u${n}@example.com`);
    const list = listFor(1, ...recipients).replaceAll('|0||', '|5|550 5.1.1 no such user|');
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': list }));
    // The second report is not taken at first.
    harness.transport.answer = () =>
      harness.transport.asked === 2 ? { kind: 'unavailable', why: 'no server' } : SAFE;
    assert.equal(await run(harness, {}), false);
    await harness.room.close();
    const again = await openHarness(harness.spool, harness.transport);
    assert.equal(await run(again, {}), true);
    const told = harness.transport.taken.map(({ text }) =>
      [...text.matchAll(/^Final-Recipient: rfc822; (.*)\r$/gm)].map(([, recipient]) => recipient),
    );
    assert.deepEqual(
      told.map(({ length }) => length),
      [10_000, 10_000, 5000],
    );
    assert.deepEqual(told.flat(), recipients);
  });

  it('is reported at once and once, for all recipients that failed in the run, and ends the job', async (t) => {
    const harness = await openHarness(spoolOf(t, TWO));
    const over = await run(harness, { 'b@example.com': failure(), 'c@example.com': failure() });
    assert.equal(over, true);
    assert.deepEqual(messagesIn(harness.spool), {});
    assert.equal(harness.transport.taken.length, 1);
    const [taken] = harness.transport.taken;
    assert.equal(taken?.to, 'a@example.org');
    assert.equal(taken?.text.match(/^Action: failed\r$/gm)?.length, 2);
    assert.deepEqual(readdirSync(`${harness.spool}/.spoolroom/reported`), []);
  });

  it('is not reported again while others of the job are still tried (R058, R079)', async (t) => {
    const harness = await openHarness(spoolOf(t, TWO));
    assert.equal(await run(harness, MIXED), false);
    assert.equal(await run(harness, MIXED), false);
    assert.equal(await run(harness, { 'c@example.com': 'delivered' }), true);
    assert.equal(harness.transport.taken.length, 1);
    assert.doesNotMatch(harness.transport.taken[0]?.text ?? '', /c@example\.com/);
  });

  it('is not reported again at every scan while the disk takes no record of it', async (t) => {
    let full = true;
    const disk: Disk = {
      ...nodeDisk,
      rename(from, to) {
        if (full && to.includes('/reported/')) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        nodeDisk.rename(from, to);
      },
    };
    const harness = await openHarness(spoolOf(t, TWO), new TestTransport(), bench({ disk }));
    assert.equal(await run(harness, MIXED), false);
    assert.equal(await run(harness, MIXED), false);
    full = false;
    assert.equal(await run(harness, MIXED), false);
    assert.equal(harness.transport.taken.length, 1);
    const note = readFileSync(`${harness.spool}/.spoolroom/reported/2`, 'latin1');
    assert.match(note, /b@example\.com/);
  });

  it('is not reported again when another program adds a recipient at the end of the job', async (t) => {
    const spool = spoolOf(t, TWO);
    const transport = new TestTransport();
    transport.answer = () => {
      writeMessage(spool, '2', listFor(1, 'b@example.com', 'c@example.com', 'new@example.com'));
      return { kind: 'safe', where: 'there' };
    };
    const harness = await openHarness(spool, transport);
    await run(harness, { 'b@example.com': failure(), 'c@example.com': 'delivered' });
    await run(harness, { 'new@example.com': 'delivered' });
    assert.equal(transport.taken.length, 1);
    assert.deepEqual(messagesIn(spool), {});
  });

  it('is not reported again after a crash behind its record', async (t) => {
    const spool = spoolOf(t, TWO);
    const before = await openHarness(spool);
    await run(before, MIXED);
    await before.room.close();
    const after = await openHarness(spool);
    await run(after, { 'c@example.com': 'delivered' });
    assert.equal(after.transport.taken.length, 0);
  });

  for (const code of ['EACCES', 'EIO', 'EMFILE'])
    it(`is not reported again while the disk refuses its record with ${code}`, async (t) => {
      const spool = spoolOf(t, TWO);
      const before = await openHarness(spool);
      await run(before, MIXED);
      await before.room.close();
      let refuses = true;
      const disk: Disk = {
        ...nodeDisk,
        read(path, limit) {
          if (refuses && path.includes('/reported/')) throw Object.assign(new Error('refused'), { code });
          return nodeDisk.read(path, limit);
        },
      };
      const after = await openHarness(spool, new TestTransport(), bench({ disk }));
      assert.equal(await run(after, MIXED), false);
      assert.equal(after.log.length, 1, 'it is said what the report waits for');
      refuses = false;
      after.deps.clock.advance(HOUR * 1000);
      await run(after, { 'c@example.com': 'delivered' });
      assert.equal(after.transport.taken.length, 0);
    });

  it('is reported again where its record is damaged, or is no file', async (t) => {
    for (const damage of [
      (path: string) => writeFileSync(path, '{'),
      (path: string) => {
        rmSync(path);
        mkdirSync(path);
      },
    ]) {
      const spool = spoolOf(t, TWO);
      const before = await openHarness(spool);
      await run(before, MIXED);
      await before.room.close();
      damage(`${spool}/.spoolroom/reported/2`);
      const after = await openHarness(spool);
      await run(after, MIXED);
      assert.equal(after.transport.taken.length, 1);
    }
  });

  it('is reported after a crash before its report, from its status line', async (t) => {
    const list = `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nremote|b@example.com|5|5.1.1 Unknown (550, mx.example.com [192.0.2.25])\n`;
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': list }));
    assert.equal(await run(harness, {}), true);
    assert.match(
      harness.transport.taken[0]?.text ?? '',
      /Status: 5\.1\.1[\s\S]*Diagnostic-Code: smtp; 550 5\.1\.1 Unknown/,
    );
  });

  it('of a payload that took an old number is reported, whatever was reported about the number before', async (t) => {
    const spool = spoolOf(t, TWO);
    const before = await openHarness(spool);
    await run(before, MIXED);
    await before.room.close();
    writeMessage(spool, '1', `${MAIL}Another mail.\n`);
    writeMessage(spool, '2', listFor(1, 'b@example.com', 'c@example.com'));
    const after = await openHarness(spool);
    await run(after, MIXED);
    assert.equal(after.transport.taken.length, 1);
  });
});

describe('a transient failure', () => {
  it('is not reported while the message is young (R059)', async (t) => {
    const harness = await openHarness(spoolOf(t, TWO));
    await run(harness, { 'b@example.com': BUSY, 'c@example.com': BUSY });
    assert.equal(harness.transport.asked, 0);
  });

  it('is reported once for each recipient when the message is late, then given up once, and the job ends (C09)', async (t) => {
    const harness = await openHarness(spoolOf(t, TWO));
    harness.deps.clock.advance(4 * HOUR * 1000);
    await run(harness, { 'b@example.com': BUSY });
    await run(harness, { 'b@example.com': BUSY, 'c@example.com': BUSY });
    await run(harness, { 'b@example.com': BUSY, 'c@example.com': BUSY });
    const delays = harness.transport.taken.map(({ text }) => text.match(/^Final-Recipient: .*$/gm)?.join());
    assert.deepEqual(delays, [
      'Final-Recipient: rfc822; b@example.com',
      'Final-Recipient: rfc822; c@example.com',
    ]);
    assert.match(harness.transport.taken[0]?.text ?? '', /Notification \(Delay\)[\s\S]*Will-Retry-Until: /);

    harness.deps.clock.advance(121 * HOUR * 1000);
    assert.equal(await run(harness, { 'b@example.com': BUSY, 'c@example.com': BUSY }), true);
    assert.equal(harness.transport.taken.length, 3);
    assert.match(harness.transport.taken[2]?.text ?? '', /Giving up on[\s\S]*Status: 4\.4\.7/);
    assert.deepEqual(messagesIn(harness.spool), {});
  });

  it('counts from the first attempt on where that came late, also in a later process and after a notification', async (t) => {
    const spool = spoolOf(t, TWO);
    const harness = await openHarness(spool);
    const { jobs } = await harness.room.scan();
    const [queued] = jobs;
    assert.ok(queued);
    const tried = { ...queued, job: { ...queued.job, attempted: 1 } };
    assert.equal(await harness.sender.firstAttempt(tried), null);
    const first = Math.floor(harness.deps.clock.now() / 1000);
    assert.equal(await harness.sender.firstAttempt(queued), first);
    harness.deps.clock.advance(5 * HOUR * 1000);
    await run(harness, { 'b@example.com': BUSY });
    assert.equal(harness.transport.taken.length, 1);
    assert.equal(await harness.sender.firstAttempt(tried), first);
    await harness.room.close();
    const later = await openHarness(spool, harness.transport, harness.deps);
    assert.equal(await later.sender.firstAttempt(tried), first);
  });

  it('is not reported twice when the clock runs backwards', async (t) => {
    const harness = await openHarness(spoolOf(t, TWO));
    harness.deps.clock.advance(5 * HOUR * 1000);
    await run(harness, MIXED);
    harness.deps.clock.advance(-5 * HOUR * 1000);
    await run(harness, MIXED);
    harness.deps.clock.advance(6 * HOUR * 1000);
    await run(harness, MIXED);
    assert.equal(harness.transport.taken.length, 1);
  });
});

describe('no report is sent', () => {
  const cases: readonly (readonly [name: string, mail: string, list: string])[] = [
    [
      'of a mail with the null sender',
      MAIL,
      listFor(1, 'b@example.com').replace('bounceto', 'envelope_from|<>\nbounceto'),
    ],
    [
      'of a report or another automatic reply',
      `Auto-Submitted: auto-replied\n${MAIL}`,
      listFor(1, 'b@example.com'),
    ],
  ];
  for (const [name, mail, list] of cases) {
    it(`${name}, and its job ends`, async (t) => {
      const harness = await openHarness(spoolOf(t, { '1': mail, '2': list }));
      assert.equal(await run(harness, { 'b@example.com': failure() }), true);
      assert.equal(harness.transport.asked, 0);
      assert.match(harness.log.join(), /^b@example\.com: the message /);
    });
  }

  it('of the same report a second time in the log', async (t) => {
    const mail = `Precedence: bulk\n${MAIL}`;
    const harness = await openHarness(spoolOf(t, { '1': mail, '2': listFor(1, 'b@example.com') }));
    harness.deps.clock.advance(5 * HOUR * 1000);
    await run(harness, { 'b@example.com': BUSY });
    await run(harness, { 'b@example.com': BUSY });
    assert.equal(harness.log.length, 1);
  });
});

describe('while the return path', () => {
  it('is unavailable the job stays, says why, and is reported when it is available again', async (t) => {
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') }));
    harness.transport.answer = () => ({ kind: 'unavailable', why: 'it refuses connections' });
    assert.equal(await run(harness, { 'b@example.com': failure() }), false);
    assert.match(harness.log.join(), /^job 2 could not be sent: .*it refuses connections$/);
    assert.ok(existsSync(path.join(harness.spool, '2')));

    harness.transport.answer = () => SAFE;
    assert.equal(await run(harness, {}), false, 'it is left alone for a while');
    assert.equal(harness.transport.asked, 1);
    harness.deps.clock.advance(60_000);
    assert.equal(await run(harness, {}), true);
    assert.equal(harness.transport.taken.length, 1);
  });

  it('refuses the recipient the Aide room gets the report', async (t) => {
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') }));
    harness.transport.answer = (to) => (to === SITE.aide ? SAFE : UNKNOWN);
    assert.equal(await run(harness, { 'b@example.com': failure() }), true);
    assert.deepEqual(
      harness.transport.taken.map(({ to }) => to),
      [SITE.aide],
    );
  });

  it('refuses everybody the postmaster keeps the report, and the job ends', async (t) => {
    const harness = await openHarness(spoolOf(t, ONE));
    harness.transport.answer = () => UNKNOWN;
    assert.equal(await run(harness, REFUSED), true);
    assert.equal(harness.transport.asked, 2, 'no other form is tried where the address is refused');
    const [sent] = harness.sent;
    assert.equal(sent?.how, 'left');
    assert.equal(sent?.to, 'a@example.org');
    assert.match(sent?.why ?? '', /a@example\.org: unknown; room_aide@citadel\.example\.org: unknown/);
    assert.match(readFileSync(sent?.where ?? '', 'latin1'), /^To: a@example\.org\r$[\s\S]*message\/rfc822/m);
    assert.deepEqual(messagesIn(harness.spool), {});
  });

  it('refuses a report for what it contains, the next form is tried, and none is tried twice', async (t) => {
    const harness = await openHarness(spoolOf(t, ONE));
    const forms: string[] = [];
    harness.transport.answer = (to, text) => {
      const form = /message\/rfc822|text\/rfc822-headers|^(?![\s\S]*multipart\/report)/.exec(text)?.[0];
      forms.push(`${to.slice(0, 1)} ${form === '' ? 'plain text' : form}`);
      return BAD;
    };
    assert.equal(await run(harness, REFUSED), true);
    const expected = ['message/rfc822', 'text/rfc822-headers', 'plain text'];
    assert.deepEqual(forms, [...expected.map((form) => `a ${form}`), ...expected.map((form) => `r ${form}`)]);
    assert.equal(harness.sent[0]?.how, 'left');
  });

  for (const [form, refused, taken] of [
    ['with the header only', /message\/rfc822/, /text\/rfc822-headers[\s\S]*Subject: hello/],
    ['as plain text', /multipart\/report/, /^Content-Type: text\/plain[\s\S]*b@example\.com: 5\.1\.1/m],
  ] as const) {
    it(`takes a report ${form}, the sender gets it so`, async (t) => {
      const harness = await openHarness(spoolOf(t, ONE));
      harness.transport.answer = (_, text) => (refused.test(text) ? BAD : SAFE);
      assert.equal(await run(harness, REFUSED), true);
      assert.deepEqual(
        harness.transport.taken.map(({ to }) => to),
        ['a@example.org'],
      );
      assert.match(harness.transport.taken[0]?.text ?? '', taken);
    });
  }

  it('does not exist the postmaster keeps the reports, and none becomes a job', async (t) => {
    const spool = spoolOf(t, ONE);
    const harness = await openHarness(spool, new TestTransport(), bench(), { transport: null });
    assert.equal(await run(harness, REFUSED), true);
    assert.deepEqual(messagesIn(spool), {});
    assert.equal(harness.sent[0]?.how, 'left');
    assert.equal(readdirSync(`${spool}/.spoolroom/reports`).length, 1);
  });

  it('defers one report, others are taken, and it is tried ever more rarely', async (t) => {
    const spool = spoolOf(t, ONE);
    const harness = await openHarness(spool);
    harness.transport.answer = () => ({ kind: 'deferred', why: 'mailbox busy' });
    const askedAfter: number[] = [];
    await run(harness, REFUSED);
    for (const minutes of [1, 1, 1, 3, 1]) {
      harness.deps.clock.advance(minutes * 60_000);
      await run(harness, {});
      askedAfter.push(harness.transport.asked);
    }
    assert.deepEqual(askedAfter, [2, 2, 3, 3, 4]);
    harness.transport.answer = () => SAFE;
    const control = ONE['2'];
    rmSync(path.join(spool, '2'));
    writeMessage(spool, '3', MAIL);
    writeMessage(spool, '4', control.replace('msgid|1', 'msgid|3'));
    assert.equal(await run(harness, REFUSED), true);
  });

  it('has not taken a report for as long as its message was tried, the postmaster keeps it', async (t) => {
    const harness = await openHarness(spoolOf(t, ONE));
    harness.transport.answer = () => ({ kind: 'unavailable', why: 'it refuses connections' });
    assert.equal(await run(harness, REFUSED), false);
    harness.deps.clock.advance(9 * 24 * HOUR * 1000);
    assert.equal(await run(harness, {}), false);
    harness.deps.clock.advance(2 * 24 * HOUR * 1000);
    assert.equal(await run(harness, {}), true);
    assert.equal(harness.sent[0]?.how, 'left');
    assert.match(harness.sent[0]?.why ?? '', /it refuses connections/);
  });
});

it('a report that came back into the queue and is refused there is kept for the postmaster', async (t) => {
  const report = (await composeDsn(SAMPLES.failed ?? assert.fail(), STAMP)).toString('latin1');
  const list = `${HEADER}msgid|1\nsubmitted|${NOW}\nenvelope_from|<>\nremote|b@example.com|0||\n`;
  const harness = await openHarness(spoolOf(t, { '1': report.replaceAll('\r', ''), '2': list }));
  assert.equal(await run(harness, REFUSED), true);
  assert.equal(harness.transport.asked, 0);
  const [sent] = harness.sent;
  assert.equal(sent?.how, 'left');
  assert.equal(readFileSync(sent?.where ?? '', 'latin1'), report);
});

it('a report is signed in the form in which it leaves', async (t) => {
  const signed: string[] = [];
  const signer: Signer = {
    sign: async ({ headers, text }, time) => {
      signed.push(`${headers.from} ${text?.length}`);
      return `DKIM-Signature: t=${time}\r\n`;
    },
  };
  const harness = await openHarness(spoolOf(t, ONE), new TestTransport(), bench(), { signer });
  assert.equal(await run(harness, REFUSED), true);
  const text = harness.transport.taken[0]?.text ?? '';
  assert.match(text, /^DKIM-Signature: t=\d+\r\nDate: /);
  const length = text.length - text.indexOf('Date: ');
  assert.deepEqual(signed, [`Citadel mail delivery <postmaster@citadel.example.org> ${length}`]);
});

it('a run that is stopped begins no report, and the next one does', async (t) => {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') });
  const harness = await openHarness(spool);
  assert.equal(await run(harness, { 'b@example.com': failure() }, AbortSignal.abort()), false);
  assert.equal(harness.transport.asked, 0);
  assert.equal(await run(harness, {}), true);
});

it('of a large message only the header is returned, of a missing one nothing', async (t) => {
  const large = await openHarness(
    spoolOf(t, { '1': MAIL + 'x\n'.repeat(40_000), '2': listFor(1, 'b@example.com') }),
  );
  await run(large, { 'b@example.com': failure() });
  const [taken] = large.transport.taken;
  assert.ok(taken && taken.text.length < 3000);
  assert.match(taken.text, /text\/rfc822-headers[\s\S]*Subject: hello\r\n\r\n--=_/);
  const missing = await openHarness(spoolOf(t, { '2': listFor(1, 'b@example.com') }));
  assert.equal(await run(missing, { 'b@example.com': failure() }), true);
  assert.doesNotMatch(missing.transport.taken[0]?.text ?? '', /rfc822-headers|message\/rfc822/);
});

describe('by real servers', () => {
  const ports = { connect, clock: systemClock, resolver: noResolver() };
  const alice = 'alice@citadel.example.org';
  const TEXT = 'Subject: x\r\n\r\n.dots\r\n';
  const REPORT = outgoingFrom(Buffer.from(TEXT));
  const transportTo = (returnPath: DsnTransportSetting | null) => {
    assert.ok(returnPath !== null && returnPath.kind !== 'room');
    return sessionTransport(returnPath, ports, DEADLINES, SITE.fqdn);
  };

  it('a report goes in over a unix socket by LMTP, from the null sender', async (t) => {
    const socket = path.join(temporaryDirectory(t), 'lmtp.socket');
    const got: string[] = [];
    const server = new SMTPServer({
      lmtp: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      onRcptTo: ({ address }, _, done) =>
        address.startsWith('nobody')
          ? done(Object.assign(new Error('no such user'), { responseCode: 550 }))
          : done(),
      onData(stream, { envelope }, done) {
        const { mailFrom, rcptTo } = envelope;
        got.push(
          `<${mailFrom === false ? '?' : mailFrom.address}> -> ${rcptTo.map(({ address }) => address)}\n`,
        );
        stream.on('data', (bytes) => got.push(bytes.toString('latin1')));
        stream.on('end', () => done(null, 'taken'));
      },
    });
    t.after(() => new Promise<void>((closed) => server.close(closed)));
    await once(server.listen(socket), 'listening');
    const transport = transportTo(parseDsnTransport(`lmtp:${socket}`));
    assert.equal((await transport.send(REPORT, alice)).kind, 'safe');
    assert.equal(got.join(''), `<> -> ${alice}\n${TEXT}`);
    const refused = await transport.send(REPORT, 'nobody@citadel.example.org');
    assert.equal(refused.kind, 'refused');
  });

  it('a report goes in by SMTP, and a parser reads it', async (t) => {
    const server = await startSmtpServer();
    t.after(() => server.close());
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') }));
    harness.transport.send = (report, to) =>
      transportTo(parseDsnTransport(`smtp://127.0.0.1:${server.port}`)).send(report, to);
    assert.equal(await run(harness, { 'b@example.com': failure() }), true);
    const [mail] = server.accepted;
    assert.equal(mail?.sender, '');
    assert.deepEqual(mail?.recipients, ['a@example.org']);
    const email = await PostalMime.parse(mail?.content ?? Buffer.alloc(0), { forceRfc822Attachments: true });
    assert.deepEqual(
      email.attachments.map(({ mimeType }) => mimeType),
      ['message/delivery-status', 'message/rfc822'],
    );
  });

  it('a report with 8-bit bytes goes in 7 bits to a server without 8BITMIME', async (t) => {
    const server = await startSmtpServer({ sevenBit: true });
    t.after(() => server.close());
    const harness = await openHarness(spoolOf(t, { ...ONE, '1': `${MAIL}\xc3\xa4\n` }));
    harness.transport.send = (report, to) =>
      transportTo(parseDsnTransport(`smtp://127.0.0.1:${server.port}`)).send(report, to);
    assert.equal(await run(harness, REFUSED), true);
    const content = server.accepted[0]?.content.toString('latin1') ?? '';
    assert.doesNotMatch(content, /[\x80-\xff]/);
    assert.match(content, /message\/rfc822[\s\S]*Subject: hello[\s\S]*base64\r\n\r\nSGVsbG8uDQrDpA0K/);
  });

  it('a return path that does not answer is unavailable', async (t) => {
    const socket = path.join(temporaryDirectory(t), 'lmtp.socket');
    const handover = await transportTo({ kind: 'lmtp', socket }).send(REPORT, alice);
    assert.equal(handover.kind, 'unavailable');
    assert.match('why' in handover ? handover.why : '', /lmtp\.socket/);
  });

  for (const [name, last, kind] of [
    ['a busy reader is tried again', '450 4.2.1 busy', 'deferred'],
    [
      'a server that goes away before its answer may have the report, and is asked again',
      null,
      'unavailable',
    ],
    ['a refusal of the text is one', '554 5.6.0 no', 'refused'],
  ] as const) {
    it(name, async (t) => {
      const server = await startRawServer(
        async (peer) => {
          await peer.say('220 x\r\n');
          await peer.expect('LHLO citadel.example.org');
          await peer.say('250 x\r\n');
          await peer.expect('MAIL FROM:<>');
          await peer.say('250 x\r\n');
          await peer.expect(/^RCPT TO:/);
          await peer.say('250 x\r\n');
          await peer.expect('DATA');
          await peer.say('354 x\r\n');
          await peer.until('\r\n.\r\n');
          if (last === null) peer.end();
          else await peer.say(`${last}\r\n`);
        },
        { path: path.join(temporaryDirectory(t), 'lmtp.socket') },
      );
      t.after(() => server.close());
      const transport = transportTo({ kind: 'lmtp', socket: server.host });
      assert.equal((await transport.send(REPORT, alice)).kind, kind);
    });
  }
});

it('the setting names a return path, or none', () => {
  assert.deepEqual(parseDsnTransport('lmtp:/run/lmtp.socket'), { kind: 'lmtp', socket: '/run/lmtp.socket' });
  assert.deepEqual(parseDsnTransport('smtp://localhost'), {
    kind: 'smtp',
    host: 'localhost',
    literal: null,
    port: 25,
  });
  assert.deepEqual(parseDsnTransport('smtp://[::1]:2525'), {
    kind: 'smtp',
    host: '::1',
    literal: 6,
    port: 2525,
  });
  assert.deepEqual(parseDsnTransport('smtp://127.0.0.1:26'), {
    kind: 'smtp',
    host: '127.0.0.1',
    literal: 4,
    port: 26,
  });
  assert.deepEqual(parseDsnTransport('room'), { kind: 'room' });
  for (const text of [
    '',
    'lmtp:',
    'lmtp:socket',
    'smtp://',
    'smtp://x:0',
    'smtp://x:70000',
    'smtp://a@b',
    'aide',
  ])
    assert.equal(parseDsnTransport(text), null, text);
});

function noResolver() {
  const answer = async () => ({ kind: 'failed', fault: 'no-data' }) as const;
  return { mx: answer, addresses: answer };
}
