import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import PostalMime, { type Email } from 'postal-mime';
import { composeDsn } from '../../src/dsn/compose.ts';
import { noticeFromFailure } from '../../src/dsn/notice.ts';
import { BUSY, failure, GOLDEN, report, SAMPLES, STAMP } from './samples.ts';

const page = readFileSync(new URL('../../techdoc/reports.md', import.meta.url), 'utf8');

/** Nested messages stay parts of their own, as a mail program that lists attachments sees them. */
async function read(bytes: Buffer): Promise<Email> {
  return PostalMime.parse(bytes, { forceRfc822Attachments: true });
}

function partOf(email: Email, type: string): string {
  const part = email.attachments.find(({ mimeType }) => mimeType === type);
  assert.ok(part, `there is no ${type}`);
  const { content } = part;
  return typeof content === 'string' ? content : Buffer.from(content as ArrayBuffer).toString('utf8');
}

/** Groups of fields, names in lower case. */
function fieldsOf(text: string): readonly { readonly [name: string]: string }[] {
  return text
    .trim()
    .split(/\r?\n\r?\n/)
    .map((group) =>
      Object.fromEntries(
        group
          .replace(/\r?\n[ \t]/g, ' ')
          .split(/\r?\n/)
          .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
      ),
    );
}

function header(email: Email, name: string): string | undefined {
  return email.headers.find(({ key }) => key === name)?.value;
}

describe('the golden reports', () => {
  for (const [name, sample] of Object.entries(SAMPLES)) {
    it(`${name}.eml is what the composer writes`, async () => {
      const bytes = await composeDsn(sample, STAMP);
      assert.equal(bytes.toString('latin1'), readFileSync(`${GOLDEN}${name}.eml`, 'latin1'));
    });
  }

  it('are all there, and no others', () => {
    assert.deepEqual(
      readdirSync(GOLDEN).sort(),
      Object.keys(SAMPLES)
        .map((name) => `${name}.eml`)
        .sort(),
    );
  });

  it('stand in techdoc/reports.md, one of each kind', () => {
    const shown = [...page.matchAll(/^```eml (\S+)\n([\s\S]*?)^```$/gm)];
    assert.deepEqual(shown.map(([, name]) => name).sort(), ['delayed', 'failed', 'gave-up']);
    for (const [, name, text] of shown) {
      assert.equal(text, readFileSync(`${GOLDEN}${name}.eml`, 'latin1').replaceAll('\r\n', '\n'));
    }
  });
});

describe('a report, read by a parser of somebody else', () => {
  it('has every field of its header', async () => {
    const email = await read(await composeDsn(report(), STAMP));
    assert.equal(email.date, '2012-07-19T00:05:00.000Z');
    assert.deepEqual(email.from, { address: STAMP.author, name: 'Citadel mail delivery' });
    assert.deepEqual(
      email.to?.map(({ address }) => address),
      ['alice@citadel.example.org'],
    );
    assert.equal(email.subject, 'Delivery Status Notification (Failure)');
    assert.equal(email.messageId, '<report.8xk2m0q4@citadel.example.org>');
    assert.equal(email.inReplyTo, '<4FFEE1C0-00000001@citadel.example.org>');
    assert.equal(email.references, '<4FFEE1C0-00000001@citadel.example.org>');
    assert.equal(header(email, 'auto-submitted'), 'auto-replied');
    assert.match(header(email, 'content-type') ?? '', /^multipart\/report; *report-type=delivery-status;/);
  });

  it('tells people which recipient was refused, with which text, and where the message was posted', async () => {
    const email = await read(await composeDsn(report({ sourceRoom: 'Announce' }), STAMP));
    assert.equal(
      email.text?.trim(),
      [
        'A message you sent could not be delivered to some or all of its recipients.',
        'The following addresses were undeliverable:',
        '',
        'Bob <bob@example.com>: 5.1.1 No such user here (550, mx.example.com [192.0.2.25])',
        '',
        'The message was originally posted in: Announce',
      ].join('\n'),
    );
  });

  it('tells programs all that is known', async () => {
    const email = await read(await composeDsn(report(), STAMP));
    assert.deepEqual(fieldsOf(partOf(email, 'message/delivery-status')), [
      {
        'reporting-mta': 'dns; citadel.example.org',
        'x-spoolroom-job': '17',
        'arrival-date': 'Sat, 14 Jul 2012 00:00:00 +0000',
      },
      {
        'final-recipient': 'rfc822; bob@example.com',
        action: 'failed',
        status: '5.1.1',
        'remote-mta': 'dns; mx.example.com',
        'diagnostic-code': 'smtp; 550 5.1.1 No such user here',
        'last-attempt-date': 'Thu, 19 Jul 2012 00:04:59 +0000',
      },
    ]);
  });

  it('returns the message as it was, or its header alone', async () => {
    const whole = partOf(await read(await composeDsn(report(), STAMP)), 'message/rfc822');
    assert.match(whole, /^From: "Alice"[\s\S]*Here they are\.\r?\n\.\r?\n--=_spoolroom_/);
    const part = partOf(
      await read(await composeDsn(SAMPLES['gave-up'] ?? report(), STAMP)),
      'text/rfc822-headers',
    );
    assert.match(part, /Subject: Minutes/);
  });

  it('has the text of each kind in its own section, and a matching subject (R002)', async () => {
    const kinds = ['failed', 'gave-up', 'delayed'] as const;
    const words = { failed: 'undeliverable', 'gave-up': 'Giving up', delayed: 'delayed:' };
    for (const kind of kinds) {
      const email = await read(
        await composeDsn(report({ notices: [noticeFromFailure(kind, 'b@example.com', BUSY)] }), STAMP),
      );
      for (const other of kinds) assert.equal(email.text?.includes(words[other]), other === kind, other);
      assert.equal(
        email.subject,
        `Delivery Status Notification (${kind === 'delayed' ? 'Delay' : 'Failure'})`,
      );
    }
  });

  it('says addresses and headers in UTF-8 where they need it (RFC 6533)', async () => {
    const email = await read(await composeDsn(SAMPLES.international ?? report(), STAMP));
    assert.match(email.text ?? '', /böb@bücher\.example: 5\.1\.1 Gibt´s nicht \?/);
    const [, recipient] = fieldsOf(partOf(email, 'message/global-delivery-status'));
    assert.equal(recipient?.['final-recipient'], 'utf-8; böb@xn--bcher-kva.example');
    assert.match(partOf(email, 'message/global'), /Subject: Grüße\r?\n\r?\nHallo ä/);
  });

  it('folds a long diagnostic and loses nothing of it', async () => {
    const text = `5.7.1 ${'refused because of policy '.repeat(60)}end`;
    const bytes = await composeDsn(
      report({ notices: [noticeFromFailure('failed', 'b@example.com', failure({ text }))] }),
      STAMP,
    );
    for (const line of bytes.toString('latin1').split('\r\n')) assert.ok(line.length <= 998, line);
    const [, recipient] = fieldsOf(partOf(await read(bytes), 'message/delivery-status'));
    assert.equal(recipient?.['diagnostic-code'], `smtp; 550 ${text}`);
  });
});

describe('whatever servers and lists contain', () => {
  const evil = fc.string({
    unit: fc.constantFrom(
      '\r',
      '\n',
      '\0',
      ' ',
      '\t',
      '|',
      '<',
      '>',
      '@',
      '.',
      '-',
      'a',
      '5',
      '\xe9',
      '(',
      '"',
    ),
    maxLength: 60,
  });

  it('a report keeps its header, its parts and its line ends', async () => {
    await fc.assert(
      fc.asyncProperty(evil, evil, evil, async (text, recipient, room) => {
        const notices = [noticeFromFailure('failed', recipient, failure({ text }))];
        const bytes = await composeDsn(report({ notices, sourceRoom: room }), STAMP);
        assert.doesNotMatch(bytes.toString('latin1'), /\0|\r(?!\n)|(?<!\r)\n/);
        const email = await read(bytes);
        assert.equal(email.headers.length, 10);
        const types = email.attachments.map(({ mimeType }) => mimeType);
        assert.match(types[0] ?? '', /^message\/(global-)?delivery-status$/);
        assert.deepEqual(types.slice(1), ['message/rfc822']);
        assert.equal(fieldsOf(partOf(email, types[0] ?? '')).length, 2);
      }),
      { numRuns: 300 },
    );
  });
});
