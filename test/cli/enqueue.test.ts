/** `enqueue` as sendmail is called: what is in the spool afterwards, byte for byte; after a refusal, nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { command } from '../../src/cli/commands/enqueue.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { messagesIn, NOW, spoolOf, temporaryDirectory } from '../support/spool.ts';

const DATED = 'Date: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@example.org>\n';
const MAIL = `From: Jane <jane@example.org>\nTo: bob@example.com\nSubject: hello\n${DATED}\nHello.\n`;

interface Done {
  readonly exit: number;
  readonly printed: readonly string[];
  readonly errors: readonly string[];
  readonly files: Record<string, string>;
}

async function enqueue(
  t: TestContext,
  input: readonly (string | Buffer)[],
  options: { readonly [name: string]: unknown },
  settings: { readonly [name: string]: unknown } = {},
): Promise<Done> {
  const spool = spoolOf(t, {});
  const caught = caughtTerminal(input);
  const exit = await perform(command, invocation(caught, { spool, now: NOW, ...settings }, options));
  return { exit, printed: caught.printed, errors: caught.errors, files: messagesIn(spool) };
}

test('a message from standard input becomes a payload and a control message', async (t) => {
  const done = await enqueue(t, [MAIL], {
    recipients: ['bob@example.com', '<bob@example.com>', 'eve@example.net'],
  });
  assert.deepEqual([done.exit, done.errors], [0, []]);
  assert.deepEqual(done.printed, ['queued: job 2, message 1, 2 recipients']);
  assert.equal(done.files['1'], MAIL);
  const list = done.files['2'] ?? '';
  assert.match(list, /^Content-type: application\/x-citadel-delivery-list\n\nmsgid\|1\nsubmitted\|\d+\n/);
  assert.match(
    list,
    /\nbounceto\|jane@example\.org\nremote\|bob@example\.com\|0\|\|\nremote\|eve@example\.net\|0\|\|\n$/,
  );
});

test('as JSON', async (t) => {
  const done = await enqueue(t, [MAIL], { recipients: ['bob@example.com'] }, { json: true });
  assert.deepEqual(JSON.parse(done.printed.join('')), {
    job: 2,
    mail: 1,
    payload: 1,
    control: 2,
    recipients: 1,
  });
});

test('-t takes the recipients of the header, and removes Bcc', async (t) => {
  const mail =
    'Bcc: hidden@example.com,\n other@example.com\nTo: "Doe, John" <john@example.com>,\n' +
    `\tFriends: a@example.net, b@example.net;\nCc: (comma, here) c@example.net\nSubject: a\rbcc: stays\nFrom: d@example.net\n${DATED}\nBcc: in the body\n`;
  const done = await enqueue(t, [mail], { t: true });
  assert.equal(done.exit, 0);
  const remotes = [...(done.files['2'] ?? '').matchAll(/^remote\|([^|]*)\|/gm)].map(([, address]) => address);
  assert.deepEqual(remotes, [
    ...['hidden@example.com', 'other@example.com', 'john@example.com'],
    ...['a@example.net', 'b@example.net', 'c@example.net'],
  ]);
  assert.equal(
    done.files['1'],
    'To: "Doe, John" <john@example.com>,\n\tFriends: a@example.net, b@example.net;\n' +
      `Cc: (comma, here) c@example.net\nSubject: a\rbcc: stays\nFrom: d@example.net\n${DATED}\nBcc: in the body\n`,
  );
});

test('every byte of the body arrives, however the input is split', async (t) => {
  const body = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
  const header = `From: a@example.com\nTo: bob@example.com\n${DATED}\n`.replaceAll('\n', '\r\n');
  const mail = Buffer.concat([Buffer.from(header), body]);
  const whole = await enqueue(t, [mail], { t: true });
  const bytes = Array.from(mail, (_, at) => mail.subarray(at, at + 1));
  const cut = await enqueue(t, bytes, { t: true });
  assert.equal(whole.exit, 0);
  assert.equal(whole.files['1'], mail.toString('latin1'));
  assert.deepEqual(cut.files, whole.files);
});

test('-f is the envelope sender and gets reports of failures, unless --bounceto names another', async (t) => {
  const own = await enqueue(t, [MAIL], { f: 'list@example.org', recipients: ['bob@example.com'] });
  assert.match(own.files['2'] ?? '', /\nbounceto\|list@example\.org\nenvelope_from\|list@example\.org\n/);
  const nobody = await enqueue(t, [MAIL], { f: '<>', recipients: ['bob@example.com'] });
  assert.match(nobody.files['2'] ?? '', /\nbounceto\|\nenvelope_from\|<>\n/);
  const other = await enqueue(t, [MAIL], {
    f: 'list@example.org',
    bounceto: 'Jane Doe',
    recipients: ['bob@example.com'],
  });
  assert.match(other.files['2'] ?? '', /\nbounceto\|Jane Doe\nenvelope_from\|list@example\.org\n/);
});

const HOST = { hostname: 'mail.example.org' };

const recipientsIn = ({ files }: Done): readonly (string | undefined)[] =>
  [...(files['2'] ?? '').matchAll(/^remote\|([^|]*)\|/gm)].map(([, address]) => address);

test('addresses without a domain get ours, and an argument may name several recipients', async (t) => {
  const words = ['root', 'bob@example.com,Carol <carol@example.net>', '"Doe, J." <doe>'];
  const done = await enqueue(t, [MAIL], { recipients: words, r: 'cron' }, HOST);
  assert.deepEqual(recipientsIn(done), [
    'root@mail.example.org',
    'bob@example.com',
    'carol@example.net',
    'doe@mail.example.org',
  ]);
  assert.match(
    done.files['2'] ?? '',
    /\nbounceto\|cron@mail\.example\.org\nenvelope_from\|cron@mail\.example\.org\n/,
  );
  const header = await enqueue(t, [`To: root\nCc: eve@example.com\n\nhi\n`], { t: true }, HOST);
  assert.deepEqual(recipientsIn(header), ['root@mail.example.org', 'eve@example.com']);
});

test('a text that is not a message gets a header, with the full name of -F', async (t) => {
  const options = { F: 'Cron "Daemon"', f: 'root', recipients: ['bob@example.com'] };
  const done = await enqueue(t, ['disk is full\n', '\nreally\n'], options, HOST);
  assert.match(
    done.files['1'] ?? '',
    /^From: "Cron \\"Daemon\\"" <root@mail\.example\.org>\nTo: bob@example\.com\nDate: .*\nMessage-ID: <[^@]+@mail\.example\.org>\n\ndisk is full\n\nreally\n$/,
  );
});

test('lines may end in CR alone', async (t) => {
  const done = await enqueue(t, ['Subject: x\rTo: b@exam', 'ple.com\r\rone\rtwo\r'], { t: true });
  assert.equal(done.exit, 0);
  assert.match(done.files['1'] ?? '', /^Subject: x\nTo: b@example\.com\nFrom: .*\n[\s\S]*\n\none\ntwo\n$/);
});

test('an empty text becomes a message, as with sendmail (R220)', async (t) => {
  for (const input of [[], ['']]) {
    const done = await enqueue(t, input, { f: 'root', recipients: ['bob@example.com'] }, HOST);
    assert.deepEqual([done.exit, done.errors], [0, []]);
    assert.match(
      done.files['1'] ?? '',
      /^From: root@mail\.example\.org\nTo: bob@example\.com\nDate: .*\nMessage-ID: .*\n\n$/,
    );
  }
});

test('what RFC 3461 asks for is kept beside the job, and nothing else is taken (R221)', async (t) => {
  const spool = spoolOf(t, {});
  const given = async (options: Record<string, string>) => {
    const caught = caughtTerminal([MAIL]);
    const called = { ...options, recipients: ['bob@example.com'] };
    const exit = await perform(command, invocation(caught, { spool, now: NOW }, called));
    return { exit, errors: caught.errors.join('\n') };
  };
  assert.deepEqual(await given({}), { exit: 0, errors: '' });
  assert.equal(fs.existsSync(`${spool}/.spoolroom/dsn`), false);
  assert.deepEqual(await given({ N: 'never', R: 'hdrs', V: 'QQ 1+2' }), { exit: 0, errors: '' });
  const { submitted, payload, ...note } = JSON.parse(fs.readFileSync(`${spool}/.spoolroom/dsn/3`, 'latin1'));
  assert.deepEqual(note, {
    ret: 'HDRS',
    envid: 'QQ+201+2B2',
    recipients: { 'bob@example.com': { notify: 'NEVER', orcpt: null } },
  });
  assert.equal(submitted, NOW);
  assert.match(payload, /^\d+@/);
  for (const [options, says] of [
    [{ N: 'sometimes' }, /^spoolroom: -N sometimes: it takes never, or some of/],
    [{ N: 'never,delay' }, /^spoolroom: -N never,delay: it takes/],
    [{ R: 'half' }, /^spoolroom: -R half: it takes full or hdrs\. Nothing was queued\.$/],
    [{ V: 'x'.repeat(101) }, /it takes up to 100 characters/],
  ] as const) {
    const done = await given(options);
    assert.equal(done.exit, 64);
    assert.match(done.errors, says);
  }
});

test('the last of several values of an option counts', async (t) => {
  const options = { f: ['a@example.org', 'b@example.org'], recipients: ['bob@example.com'] };
  const done = await enqueue(t, [MAIL], options);
  assert.match(done.files['2'] ?? '', /\nenvelope_from\|b@example\.org\n/);
});

test('each accepted message is logged with its sender and recipients', async (t) => {
  const file = path.join(temporaryDirectory(t), 'log');
  const log = { 'log.target': file, 'log.format': 'json' };
  await enqueue(t, [MAIL], { f: '<>', recipients: ['bob@example.com', 'eve@example.net'] }, log);
  const { event, job, sender, recipients, size } = JSON.parse(fs.readFileSync(file, 'utf8'));
  assert.deepEqual(
    { event, job, sender, recipients, size },
    {
      event: 'queued',
      job: 2,
      sender: '<>',
      recipients: 'bob@example.com, eve@example.net',
      size: MAIL.length,
    },
  );
});

const REFUSED: readonly {
  readonly why: string;
  readonly input?: readonly string[];
  readonly options: { readonly [name: string]: unknown };
  readonly exit: number;
  readonly says: RegExp;
}[] = [
  {
    why: 'no recipient',
    options: {},
    exit: 64,
    says: /^spoolroom: No recipients given\. .*Nothing was queued\.$/,
  },
  {
    why: 'no recipient in the header',
    input: ['Subject: x\n\n'],
    options: { t: true },
    exit: 64,
    says: /No recipients given/,
  },
  {
    why: 'a recipient without a user',
    options: { recipients: ['a@example.com', '@example.net'] },
    exit: 65,
    says: /@example\.net is not a usable recipient: /,
  },
  {
    why: 'a recipient with a line end',
    options: { recipients: ['a@example.com\nremote|b@c.de|0||'] },
    exit: 65,
    says: /a@example\.com\\nremote/,
  },
  {
    why: 'a sender that is none',
    options: { f: 'a b@c', recipients: ['a@example.com'] },
    exit: 64,
    says: /is not a usable sender/,
  },
  {
    why: 'a delivery list',
    input: ['Content-type: application/x-citadel-delivery-list\n\nmsgid|1\n'],
    options: { recipients: ['a@example.com'] },
    exit: 65,
    says: /delivery list/,
  },
  {
    why: 'a mode in which sendmail takes no message',
    options: { b: 'p', recipients: ['a@example.com'] },
    exit: 64,
    says: /-bp of sendmail is not available\. Nothing was queued\. .*spoolroom queue/,
  },
  {
    why: 'the mode in which sendmail runs its queue',
    options: { b: 'q' },
    exit: 64,
    says: /-q of sendmail is not available\. Nothing was queued\. Mail is delivered by: spoolroom run/,
  },
  {
    why: 'recipients below the header',
    input: ['hello there\nTo: a@example.com\n\n'],
    options: { t: true },
    exit: 64,
    says: /^spoolroom: No recipients given/,
  },
  {
    why: 'a header without end',
    input: ['X-Y: ', 'y'.repeat(1024 * 1024 + 10)],
    options: { recipients: ['a@example.com'] },
    exit: 65,
    says: /does not end within/,
  },
  {
    why: 'a file that is not there',
    options: { file: '/nowhere/at/all', recipients: ['a@example.com'] },
    exit: 66,
    says: /\/nowhere\/at\/all cannot be read: it does not exist \(ENOENT\)/,
  },
];

for (const { why, input, options, exit, says } of REFUSED) {
  test(`refused, and nothing is queued: ${why}`, async (t) => {
    const done = await enqueue(t, input ?? [MAIL], options);
    assert.equal(done.exit, exit);
    assert.match(done.errors.join('\n'), says);
    assert.deepEqual([done.files, done.printed], [{}, []]);
  });
}

test('a message from a file; a spool that is not there', async (t) => {
  const folder = temporaryDirectory(t);
  const file = path.join(folder, 'mail');
  fs.writeFileSync(file, MAIL);
  const fromFile = await enqueue(t, [], { file, recipients: ['bob@example.com'] });
  assert.equal(fromFile.files['1'], MAIL);
  const missing = await enqueue(
    t,
    [MAIL],
    { recipients: ['bob@example.com'] },
    { spool: path.join(folder, 'no') },
  );
  assert.equal(missing.exit, 66);
  assert.match(missing.errors.join(''), /does not exist/);
});
