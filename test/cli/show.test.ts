/** `show`: envelope, header and text of a message, from each form in which it may be stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { listFor, messagesIn, NOW, spoolOf } from '../support/spool.ts';

const TEXT = [
  'From: =?utf-8?q?J=C3=B6rg?= <a@example.org>',
  'Subject: =?iso-8859-1?q?Gr=FC=DFe?= and',
  ' more',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=x',
  '',
  '--x',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Gr=C3=BC=C3=9Fe, 100 =E2=82=AC =1B[2J',
  '--x',
  'Content-Type: image/png',
  'Content-Disposition: attachment; filename="a.png"',
  'Content-Transfer-Encoding: base64',
  '',
  'AAAAAAAA',
  '--x--',
  '',
].join('\n');

/** Citadel's serialized form: format 1, a text without a header of its own. */
const NATIVE = Buffer.concat([
  Buffer.from([0xff, 0x41, 0x01]),
  Buffer.from('T1342224000\0Aalice\0Uhello\0MLine one.\n Line two.\n\0', 'latin1'),
]);

const HTML =
  'From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n<style>p{}</style><p>One &lt;b&gt;</p><p>Two</p>\n';

const LIST = listFor(1, 'bob@example.com', 'carol@example.com').replace(
  'carol@example.com|0||',
  'carol@example.com|4|4.2.1 greylisted|',
);

async function show(t: Parameters<typeof spoolOf>[0], message: string | Buffer | null, ...words: string[]) {
  const spool = spoolOf(t, { ...(message === null ? {} : { 1: message }), 2: LIST });
  const before = messagesIn(spool);
  const caught = caughtTerminal();
  const exit = await main(
    ['show', '2', '--spool', spool, '--now', String(NOW), ...words],
    {},
    caught.terminal,
  );
  assert.deepEqual(messagesIn(spool), before);
  return { exit, out: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

test('envelope and header, with encoded words decoded', async (t) => {
  const { exit, out } = await show(t, TEXT);
  assert.equal(exit, 0);
  assert.match(
    out,
    /^job 2, message 1, \d+ bytes, queued 2012-07-14T00:00:00Z\n {2}from .*\n {2}reports to {2}a@example\.org\n {2}new {9}bob@example\.com\n {2}deferred {4}carol@example\.com: 4\.2\.1 greylisted\n/,
  );
  assert.match(out, /\n\nFrom: Jörg <a@example\.org>\nSubject: Grüße and more\n/);
  assert.ok(!out.includes('--x'));
});

test('the text without its encoding, attachments by name, and nothing that a terminal obeys', async (t) => {
  const { out } = await show(t, TEXT, '--body');
  assert.match(out, /\n\nGrüße, 100 € \\x1b\[2J\n\[a\.png, image\/png, 6 B\]$/);
});

test('a message in Citadel’s own form', async (t) => {
  const { out } = await show(t, NATIVE, '--body');
  assert.match(out, /\nSubject: hello\n[\s\S]*\n\nLine one\.\s+Line two\.$/);
});

test('a message that is only HTML', async (t) => {
  assert.match((await show(t, HTML, '--body')).out, /\n\nOne <b>\nTwo$/);
});

test('a message that is gone is said so', async (t) => {
  const { exit, out } = await show(t, null, '--body');
  assert.equal(exit, 0);
  assert.match(out, /\n\nThe message cannot be shown: .* not in the spool any more\.$/);
});

test('as JSON, an object for each job', async (t) => {
  const shown = JSON.parse((await show(t, HTML, '--json', '--body')).out);
  assert.deepEqual(
    [shown.job, shown.bounceto, shown.problem, shown.body, shown.header[1]],
    [2, 'a@example.org', null, ['One <b>', 'Two'], 'Subject: x'],
  );
});
