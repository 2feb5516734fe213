/** Transcripts: what is kept, that they lead the same way again, and that they hold no secrets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTranscript } from '../../src/replay/transcript/compare.ts';
import { redactTranscript } from '../../src/replay/transcript/redact.ts';
import { isTranscript, readTranscript } from '../../src/replay/transcript/transcript.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { longRecorder, MAIL, queuedFor, record, transcriptOf, worldFile } from './plays.ts';

const ALICE = 'alice@one.example';

for (const [name, world] of Object.entries(WORLDS)) {
  test(`in the world ${name} the machines take the recorded way again`, async () => {
    const { tapes } = await record(queuedFor(ALICE, 'bob@two.example'), world, {}, 'all');
    assert.equal(tapes.length, 2);
    for (const tape of tapes) {
      const transcript = transcriptOf(tape);
      assert.ok(transcript.lines.some(({ what }) => what === 'delivery'));
      assert.equal(compareTranscript(transcript), null);
    }
  });
}

test('a delivery that succeeds at once leaves nothing', async () => {
  const { tapes, begun } = await record(queuedFor(ALICE), WORLDS.accept);
  assert.deepEqual([tapes.length, begun], [0, 0]);
});

test('a delivery that succeeds at its second host goes on tape and is not kept', async () => {
  const world = worldFile('two-hosts');
  const friendly = { ...world, servers: { ...world.servers, '192.0.2.2': {} } };
  const { tapes, begun } = await record(queuedFor(ALICE), friendly);
  assert.deepEqual([tapes.length, begun], [0, 1]);
});

test('a transcript holds lookups, connections, both machines, the body as length and hash, and outcomes', async () => {
  const { tapes } = await record(queuedFor(ALICE), WORLDS['drop-after-data']);
  const { header, lines } = transcriptOf(tapes[0]);
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

test('neither a body nor a credential is written down', async () => {
  const smarthost = ['smtp://aladdin:open+sesame@smart.example'];
  const { tapes } = await record(queuedFor(ALICE), worldFile('starttls'), { smarthost });
  assert.equal(tapes.length, 1);
  const tape = tapes[0] ?? '';
  assert.match(tape, /"type":"authenticate"/, 'the relay was authenticated with');
  for (const secret of ['aladdin', 'sesame', Buffer.from('\0aladdin\0open sesame').toString('base64')]) {
    assert.ok(!tape.includes(secret), secret);
  }
  assert.ok(!tape.includes('A secret body') && MAIL.includes('A secret body'));
  assert.equal(compareTranscript(transcriptOf(tape)), null);
});

test('a crash leaves a readable beginning, wherever it cuts', async () => {
  const { tapes } = await record(queuedFor(ALICE), worldFile('two-hosts'));
  const tape = tapes[0] ?? '';
  const whole = transcriptOf(tape).lines.length;
  const end = tape.indexOf('\n') + 1;
  for (let cut = end; cut < tape.length; cut += 97) {
    const { lines, cut: wasCut } = transcriptOf(tape.slice(0, cut));
    assert.ok(lines.length < whole);
    assert.equal(wasCut, tape[cut - 1] !== '\n');
    assert.equal(compareTranscript({ ...transcriptOf(tape.slice(0, cut)) }), null);
  }
});

test('the first difference is shown with its line', async () => {
  const { tapes } = await record(queuedFor(ALICE), WORLDS['refuse-rcpt']);
  const transcript = transcriptOf(tapes[0]);
  const at = transcript.lines.findIndex((line) => line.what === 'session' && line.rows.includes('ehlo-ok'));
  const lines = transcript.lines.map((line, index) =>
    index === at && line.what === 'session' ? { ...line, rows: ['ehlo-odd'] } : line,
  );
  const difference = compareTranscript({ ...transcript, lines });
  assert.equal(difference?.line, at + 2);
  assert.deepEqual(difference?.recorded.rows, ['ehlo-odd']);
  assert.equal(difference?.taken.rows[0], 'ehlo-ok');
});

test('what is no transcript is refused with its line', () => {
  assert.ok(!isTranscript(Buffer.from('Content-type: x')));
  for (const [text, reason] of [
    ['', 'first line'],
    ['{"transcript":2}\n', 'first line'],
    ['[]\n', 'first line'],
    ['x\n', 'line 1'],
  ] as const) {
    const read = readTranscript(text);
    assert.ok(read.kind === 'unusable' && read.reason.includes(reason), `${text}: ${JSON.stringify(read)}`);
  }
});

test('sessions that come from another delivery tell how they were introduced', async () => {
  const recipients = ['a@one.example', 'b\xe9@one.example'];
  const world = {
    ...WORLDS.accept,
    servers: { '*': { rcpt: { '*': '450 4.2.0 later' } } },
  };
  const { tapes, world: played } = await record(queuedFor(...recipients), world);
  assert.ok(tapes.length >= 1);
  assert.ok(played.connections >= 1);
  for (const tape of tapes) assert.equal(compareTranscript(transcriptOf(tape)), null);
});

test('a recorder that outlives a run takes the next run’s sessions for what they are', async () => {
  const { recorder, tapes, runIn } = longRecorder();
  const cut = { ...WORLDS.accept, servers: { '*': { rcpt: { '*': '450 4.2.0 later' }, quit: 'silence' } } };
  await runIn(cut);
  await runIn(WORLDS['refuse-rcpt']);
  await recorder.close();
  assert.equal(tapes.length, 2);
  for (const tape of tapes) assert.equal(compareTranscript(transcriptOf(tape)), null);
});

test('an alias stands for a whole name, the same one everywhere', async () => {
  const { tapes } = await record(queuedFor(ALICE), worldFile('two-hosts'));
  const text = redactTranscript(transcriptOf(tapes[0]), false);
  assert.ok(!/\.example\.example|alice|mx1|one\.example/.test(text));
  const { header, lines } = transcriptOf(text);
  const lookups = lines.flatMap((line) => (line.what === 'lookup' ? [line.name] : []));
  assert.equal(new Set(lookups).size, 3);
  assert.equal(lookups[0], header.recipients[0]?.split('@')[1]);
  assert.ok(redactTranscript(transcriptOf(tapes[0]), true).includes(ALICE));
});

test('a fixture of the second destination of a job leads the same way, with its own recipients only', async () => {
  const queued = queuedFor(ALICE, 'bob@two.example', 'carol@two.example');
  const { tapes } = await record(queued, WORLDS['refuse-rcpt'], {}, 'all');
  const tape = tapes.find((each) => transcriptOf(each).header.indices.length === 2);
  const redacted = redactTranscript(transcriptOf(tape), true);
  const { header, lines } = transcriptOf(redacted);
  assert.deepEqual([header.indices, header.job.recipients.length], [[0, 1], 2]);
  const decided = lines.flatMap((line) => (line.what === 'outcome' ? line.recipients : []));
  assert.deepEqual(decided.sort(), [0, 1]);
  assert.equal(compareTranscript(transcriptOf(redacted)), null);
});

test('nothing is kept of sessions that were cut off while they said QUIT', async () => {
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
