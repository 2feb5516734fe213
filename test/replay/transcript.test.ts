/** Transcripts: which are kept, that the machines repeat them, and that they contain no secrets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryAttempt } from '../../src/delivery/attempt.ts';
import type { TraceEvent } from '../../src/delivery/trace.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { QueuedJob } from '../../src/queue/queue.ts';
import { compareTranscript } from '../../src/replay/transcript/compare.ts';
import { Recorder } from '../../src/replay/transcript/recorder.ts';
import { redactTranscript } from '../../src/replay/transcript/redact.ts';
import { isTranscript, readTranscript } from '../../src/replay/transcript/transcript.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import {
  longRecorder,
  MAIL,
  NOW,
  queuedFor,
  record,
  settingsWith,
  transcriptOf,
  worldFile,
} from './recording.ts';

const ALICE = 'alice@one.example';

for (const [name, world] of Object.entries(WORLDS)) {
  test(`in the world ${name} the machines repeat the recording`, async () => {
    const { transcripts } = await record(queuedFor(ALICE, 'bob@two.example'), world, {}, 'all');
    assert.equal(transcripts.length, 2);
    for (const text of transcripts) {
      const transcript = transcriptOf(text);
      assert.ok(transcript.lines.some(({ what }) => what === 'delivery'));
      assert.equal(compareTranscript(transcript), null);
    }
  });
}

test('a delivery that succeeds at once writes nothing', async () => {
  const { transcripts, begun } = await record(queuedFor(ALICE), WORLDS.accept);
  assert.deepEqual([transcripts.length, begun], [0, 0]);
});

test('a delivery that succeeds at its second host is recorded and not kept', async () => {
  const world = worldFile('two-hosts');
  const friendly = { ...world, servers: { ...world.servers, '192.0.2.2': {} } };
  const { transcripts, begun } = await record(queuedFor(ALICE), friendly);
  assert.deepEqual([transcripts.length, begun], [0, 1]);
});

test('a transcript holds lookups, connections, both machines, the body as length and hash, and outcomes', async () => {
  const { transcripts } = await record(queuedFor(ALICE), WORLDS['drop-after-data']);
  const { header, lines } = transcriptOf(transcripts[0]);
  assert.equal(header.control, 8);
  assert.deepEqual(header.recipients, [ALICE]);
  const kinds = new Set(lines.map(({ what }) => what));
  assert.deepEqual(
    [...kinds].sort(),
    ['body', 'connected', 'delivery', 'digest', 'session-state', 'lookup', 'session', 'outcome'].sort(),
  );
  const digest = lines.find((line) => line.what === 'digest');
  assert.match(digest?.sha256 ?? '', /^[0-9a-f]{64}$/);
});

test('neither bodies nor credentials are recorded', async () => {
  const smarthost = ['smtp://aladdin:open+sesame@smart.example'];
  const { transcripts } = await record(queuedFor(ALICE), worldFile('starttls'), { smarthost });
  assert.equal(transcripts.length, 1);
  const text = transcripts[0] ?? '';
  assert.match(text, /"type":"authenticate"/, 'the relay was authenticated with');
  for (const secret of ['aladdin', 'sesame', Buffer.from('\0aladdin\0open sesame').toString('base64')]) {
    assert.ok(!text.includes(secret), secret);
  }
  assert.ok(!text.includes('A secret body') && MAIL.includes('A secret body'));
  assert.equal(compareTranscript(transcriptOf(text)), null);
});

test('after a crash the beginning is readable, wherever it is cut', async () => {
  const { transcripts } = await record(queuedFor(ALICE), worldFile('two-hosts'));
  const text = transcripts[0] ?? '';
  const whole = transcriptOf(text).lines.length;
  const end = text.indexOf('\n') + 1;
  for (let cut = end; cut < text.length; cut += 97) {
    const { lines, cut: wasCut } = transcriptOf(text.slice(0, cut));
    assert.ok(lines.length < whole);
    assert.equal(wasCut, text[cut - 1] !== '\n');
    assert.equal(compareTranscript({ ...transcriptOf(text.slice(0, cut)) }), null);
  }
});

test('the first difference is shown with its line', async () => {
  const { transcripts } = await record(queuedFor(ALICE), WORLDS['refuse-rcpt']);
  const transcript = transcriptOf(transcripts[0]);
  const at = transcript.lines.findIndex((line) => line.what === 'session' && line.rows.includes('ehlo-ok'));
  const lines = transcript.lines.map((line, index) =>
    index === at && line.what === 'session' ? { ...line, rows: ['ehlo-odd'] } : line,
  );
  const difference = compareTranscript({ ...transcript, lines });
  assert.equal(difference?.line, at + 2);
  assert.deepEqual(difference?.recorded.rows, ['ehlo-odd']);
  assert.equal(difference?.taken.rows[0], 'ehlo-ok');
});

test('input that is not a transcript is refused with the line number', () => {
  assert.ok(!isTranscript(Buffer.from('Content-type: x')));
  for (const [text, reason] of [
    ['', 'first line'],
    ['{"transcript":2}\n', 'first line'],
    ['{"transcript":3}\n', 'first line'],
    ['[]\n', 'first line'],
    ['x\n', 'line 1'],
  ] as const) {
    const read = readTranscript(text);
    assert.ok(read.kind === 'unusable' && read.reason.includes(reason), `${text}: ${JSON.stringify(read)}`);
  }
});

test('a session taken over from another delivery is recorded from its beginning', async () => {
  const job = (n: number): QueuedJob => {
    const queued = queuedFor(`user${n}@one.example`);
    return { ...queued, control: n + 8, job: { ...queued.job, msgid: n + 100 } };
  };
  const jobs = [job(0), ...[1, 2, 3, 4, 5].map(job)] as const;
  const later = { 'user4@one.example': '450 4.2.0 later' };
  for (const server of [{}, { rcpt: later }, { rcpt: later, ehlo: '250-mx\n250 PIPELINING' }]) {
    const { transcripts } = await record(jobs, { ...WORLDS.accept, servers: { '*': server } }, {}, 'all');
    assert.equal(transcripts.length, jobs.length);
    const takenOver = transcripts.filter((text) => {
      const { lines } = transcriptOf(text);
      const states = lines.flatMap((line) => (line.what === 'session-state' ? [line.value.state] : []));
      return states[0] === 'greeting' && states[1] !== undefined && states[1] !== 'greeting';
    });
    assert.ok(takenOver.length > 0);
    for (const text of transcripts) assert.equal(compareTranscript(transcriptOf(text)), null);
  }
});

test('what follows from one read has one time, and what comes later has its own', async () => {
  let now = 0;
  const clock: Clock = { now: () => NOW, monotonic: () => now++, after: () => ({ cancel: () => {} }) };
  const texts: string[] = [];
  const append = (text: string) => texts.push(text);
  const writer = { isFull: false, append, keep: () => {}, discard: () => {} };
  const settings = settingsWith();
  const rules = {
    keep: 'all',
    settings,
    relays: [],
    hostname: 'me.example',
    ehloName: 'me.example',
  } as const;
  const recorder = new Recorder(rules, clock, { open: () => writer });
  const attempt = { facts: null, recipients: [], message: { job: queuedFor(ALICE) } };
  const asked = { what: 'lookup', question: 'mx', name: 'a.example', answer: { kind: 'found', records: [] } };
  const lookUp = () => recorder.observe([attempt as unknown as DeliveryAttempt], asked as TraceEvent);
  lookUp();
  lookUp();
  await null;
  lookUp();
  await recorder.close();
  assert.deepEqual(texts.join('').match(/(?<="t":)\d+/g), ['0', '0', '1']);
});

test('a recorder for several runs does not confuse their sessions', async () => {
  const { recorder, transcripts, runIn } = longRecorder();
  const cut = { ...WORLDS.accept, servers: { '*': { rcpt: { '*': '450 4.2.0 later' }, quit: 'silence' } } };
  await runIn(cut);
  await runIn(WORLDS['refuse-rcpt']);
  await recorder.close();
  assert.equal(transcripts.length, 2);
  for (const text of transcripts) assert.equal(compareTranscript(transcriptOf(text)), null);
});

test('an alias replaces a whole name, the same one everywhere', async () => {
  const { transcripts } = await record(queuedFor(ALICE), worldFile('two-hosts'));
  const text = redactTranscript(transcriptOf(transcripts[0]), false);
  assert.ok(!/\.example\.example|alice|mx1|one\.example/.test(text));
  const { header, lines } = transcriptOf(text);
  const lookups = lines.flatMap((line) => (line.what === 'lookup' ? [line.name] : []));
  assert.equal(new Set(lookups).size, 3);
  assert.equal(lookups[0], header.recipients[0]?.split('@')[1]);
  assert.ok(redactTranscript(transcriptOf(transcripts[0]), true).includes(ALICE));
});

test('a fixture of the second destination of a job leads the same way, with its own recipients only', async () => {
  const queued = queuedFor(ALICE, 'bob@two.example', 'carol@two.example');
  const { transcripts } = await record(queued, WORLDS['refuse-rcpt'], {}, 'all');
  const text = transcripts.find((each) => transcriptOf(each).header.indices.length === 2);
  const redacted = redactTranscript(transcriptOf(text), true);
  const { header, lines } = transcriptOf(redacted);
  assert.deepEqual([header.indices, header.job.recipients.length], [[0, 1], 2]);
  const decided = lines.flatMap((line) => (line.what === 'outcome' ? line.recipients : []));
  assert.deepEqual(decided.sort(), [0, 1]);
  assert.equal(compareTranscript(transcriptOf(redacted)), null);
});

test('no state is kept of sessions that were destroyed while waiting for the reply to QUIT', async () => {
  const queued = queuedFor(ALICE, 'bob@one.example', 'carol@one.example', 'dan@one.example');
  const { recorder, runIn } = longRecorder(queued, { 'limit.recipients': 1 });
  const ehlo = '250-mx.one.example\n250-PIPELINING\n250 LIMITS MAILMAX=1';
  const world = await runIn({
    ...WORLDS.accept,
    servers: { '*': { ehlo, quit: { say: '221 bye', after: '10m' } } },
  });
  assert.equal(world.connections, 4);
  assert.equal(recorder.openSessions, 0);
});

test('of a job with thousands of recipients, a transcript holds those of its delivery, and leads the same way (R260)', async () => {
  const others = Array.from({ length: 3000 }, (_, n) => ({
    address: `u${n}@two.example`,
    status: 2,
    text: 'ok',
  }));
  const one = { address: 'alice@one.example', status: 0, text: '' };
  const base = queuedFor('alice@one.example');
  const queued = {
    ...base,
    job: { ...base.job, recipients: [...others, one, { ...one, address: 'bob@one.example' }] },
  };
  const servers = { '*': { rcpt: { 'bob@one.example': '550 5.1.1 no bob' } } };
  const { transcripts } = await record(queued, { names: { '*': { a: ['192.0.2.1'] } }, servers });
  const [text = ''] = transcripts;
  assert.ok(text.length < 20_000, `${text.length} bytes`);
  const transcript = transcriptOf(text);
  assert.deepEqual(
    transcript.header.job.recipients.map(({ address }) => address),
    ['alice@one.example', 'bob@one.example'],
  );
  assert.deepEqual(transcript.header.indices, [0, 1]);
  assert.equal(compareTranscript(transcript), null);
  const decided = transcript.lines.flatMap((line) => (line.what === 'outcome' ? [...line.recipients] : []));
  assert.deepEqual(decided.sort(), [0, 1]);
});
