import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { connect } from '#net-stream-utils';
import { composeDsn } from '../../src/dsn/compose.ts';
import type { DsnRecipient } from '../../src/dsn/recipient.ts';
import type { DsnEvents, SentDsn } from '../../src/dsn/sender.ts';
import { DsnSender } from '../../src/dsn/sender.ts';
import type { DsnTransport, DsnTransportSetting, HandoverResult } from '../../src/dsn/transport.ts';
import { parseDsnTransport, queueTransport, sessionTransport } from '../../src/dsn/transport.ts';
import { utf8 } from '../../src/message/charset.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Queue, QueuedJob } from '../../src/queue/queue.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { openDsnStore } from '../../src/queue/spool/dsn-store.ts';
import { ActiveMessage } from '../../src/runner/active-message.ts';
import type { Failure, Outcome } from '../../src/smtp/outcome.ts';
import { type Disk, nodeDisk } from '../../src/storage/disk.ts';
import { DEADLINES } from '../delivery/scheduling.ts';
import { MESSAGE_DEPS } from '../support/message-deps.ts';
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
  openRoom,
  spoolOf,
  temporaryDirectory,
  writeMessage,
} from '../support/spool.ts';
import { BUSY, failure } from './samples.ts';

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

/** A return path that answers as set and keeps what it took. */
class TestTransport implements DsnTransport {
  readonly name = 'test';
  readonly eightBit = true;
  readonly taken: { readonly to: string; readonly text: string }[] = [];
  asked = 0;
  answer: (to: DsnRecipient, text: string) => HandoverResult = () => SAFE;

  async send(report: Buffer, to: DsnRecipient): Promise<HandoverResult> {
    this.asked++;
    const text = report.toString('latin1');
    const answer = this.answer(to, text);
    if (answer.kind === 'safe') this.taken.push({ to: to.address, text });
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
async function openHarness(spool: string, transport = new TestTransport(), deps = bench()): Promise<Harness> {
  const room = await openRoom(spool, deps);
  const sent: SentDsn[] = [];
  const log: string[] = [];
  const events: DsnEvents = {
    sent: (record) => void sent.push(record),
    suppressed: (_, recipients, reason) => void log.push(`${recipients}: ${reason}`),
    waiting: (text) => void log.push(text),
  };
  const { clock, random } = deps;
  const reports = openDsnStore(spool, deps);
  const sender = new DsnSender(
    { queue: room, store: reports, transport, compose: composeDsn, clock, random, events },
    { site: SITE, author: 'postmaster@citadel.example.org', schedule: SCHEDULE, render: RENDER },
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
    {
      outcome: () => {},
      notWritten: (_, error) => {
        throw error;
      },
    },
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

const TWO = { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') };
const MIXED = { 'b@example.com': failure(), 'c@example.com': BUSY };

describe('a permanent failure', () => {
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
    assert.match(
      harness.log.join(),
      /^The report to the sender of job 2 could not be sent: .*it refuses connections\. The job stays/,
    );
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
    harness.transport.answer = ({ local }) => (local ? SAFE : { kind: 'refused', why: 'unknown' });
    assert.equal(await run(harness, { 'b@example.com': failure() }), true);
    assert.deepEqual(
      harness.transport.taken.map(({ to }) => to),
      [SITE.aide],
    );
  });

  it('refuses everybody the job stays', async (t) => {
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') }));
    harness.transport.answer = () => ({ kind: 'refused', why: 'unknown' });
    assert.equal(await run(harness, { 'b@example.com': failure() }), false);
    assert.match(harness.log.join(), /a@example\.org: unknown; room_aide@citadel\.example\.org: unknown/);
  });

  it('takes no 8-bit mail the header is returned alone', async (t) => {
    const harness = await openHarness(
      spoolOf(t, { '1': `${MAIL}\xc3\xa4\n`, '2': listFor(1, 'b@example.com') }),
    );
    harness.transport.answer = (_, text) =>
      /[\x80-\xff]/.test(text) ? { kind: 'no-8bitmime', why: 'no' } : SAFE;
    assert.equal(await run(harness, { 'b@example.com': failure() }), true);
    assert.match(harness.transport.taken[0]?.text ?? '', /text\/rfc822-headers[\s\S]*Subject: hello/);
  });
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
  const alice: DsnRecipient = { address: 'alice@citadel.example.org', local: true };
  const REPORT = Buffer.from('Subject: x\r\n\r\n.dots\r\n');
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
    assert.equal((await transport.send(REPORT, alice, 'n')).kind, 'safe');
    assert.equal(got.join(''), `<> -> ${alice.address}\n${REPORT}`);
    const refused = await transport.send(REPORT, { ...alice, address: 'nobody@citadel.example.org' }, 'n');
    assert.equal(refused.kind, 'refused');
  });

  it('a report goes in by SMTP, and a parser reads it', async (t) => {
    const server = await startSmtpServer();
    t.after(() => server.close());
    const harness = await openHarness(spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com') }));
    harness.transport.send = (report, to) =>
      transportTo(parseDsnTransport(`smtp://127.0.0.1:${server.port}`)).send(report, to, 'n');
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

  it('a return path that does not answer is unavailable', async (t) => {
    const socket = path.join(temporaryDirectory(t), 'lmtp.socket');
    const handover = await transportTo({ kind: 'lmtp', socket }).send(REPORT, alice, 'n');
    assert.equal(handover.kind, 'unavailable');
    assert.match('why' in handover ? handover.why : '', /lmtp\.socket/);
  });

  for (const [name, last, kind] of [
    ['a busy reader is tried again', '450 4.2.1 busy', 'unavailable'],
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
      assert.equal((await transport.send(REPORT, alice, 'n')).kind, kind);
    });
  }
});

describe('by the room', () => {
  it('a local reader gets a file, another one a job with the null sender', async (t) => {
    const deps = bench();
    const spool = spoolOf(t, {});
    const room = await openRoom(spool, deps);
    const transport = queueTransport(room, openDsnStore(spool, deps), () => NOW);
    const report = Buffer.from('Subject: x\r\n\r\nx\r\n');
    const local = await transport.send(
      report,
      { address: 'alice@citadel.example.org', local: true },
      '1-a-b',
    );
    assert.ok(local.kind === 'left');
    assert.deepEqual(readFileSync(local.where), report);
    const remote = await transport.send(report, { address: 'a@example.org', local: false }, '1-a-c');
    assert.deepEqual(remote, { kind: 'safe', where: 'job 2' });
    assert.match(messagesIn(spool)['2'] ?? '', /\nenvelope_from\|<>\nremote\|a@example\.org\|0\|\|\n$/);
  });
});

it('the setting names a way back, or none', () => {
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
