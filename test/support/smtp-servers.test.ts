/** The servers the tests rely on, checked with a foreign SMTP client. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { certificates, testCa } from './certificates.ts';
import { type MailServer, type SmtpServerOptions, startSmtpServer } from './smtp-servers.ts';

async function serverWith(t: TestContext, options: SmtpServerOptions): Promise<MailServer> {
  const server = await startSmtpServer(options);
  t.after(() => server.close());
  return server;
}

/** `sent`, or the code of the reply that ended it. */
async function send({ host, port }: MailServer, options: object): Promise<number | 'sent' | undefined> {
  const tls = { ca: testCa, servername: 'mail.example' };
  const transport = createTransport({ host, port, tls, ...options });
  const envelope = { from: 'ann@site.example', to: 'bob@mx.example' };
  try {
    await transport.sendMail({ envelope, raw: `Subject: x\r\n\r\n${'text\r\n'.repeat(100)}` });
    return 'sent';
  } catch (error) {
    return (error as { readonly responseCode?: number }).responseCode;
  }
}

const users = { ann: 'secret' };
const auth = { user: 'ann', pass: 'secret' };
const wrong = { user: 'ann', pass: 'guess' };
const mail = certificates.mail;

const cases: readonly {
  readonly name: string;
  readonly server: SmtpServerOptions;
  readonly client?: object;
  readonly result: number | 'sent';
  readonly secure?: boolean;
}[] = [
  { name: 'plain', server: {}, client: { ignoreTLS: true }, result: 'sent', secure: false },
  {
    name: 'STARTTLS',
    server: { starttls: mail },
    client: { requireTLS: true },
    result: 'sent',
    secure: true,
  },
  {
    name: 'implicit TLS',
    server: { implicitTls: mail },
    client: { secure: true },
    result: 'sent',
    secure: true,
  },
  {
    name: 'AUTH after STARTTLS',
    server: { starttls: mail, users },
    client: { auth },
    result: 'sent',
    secure: true,
  },
  { name: 'AUTH in clear', server: { users }, client: { auth }, result: 'sent', secure: false },
  {
    name: 'CRAM-MD5',
    server: { users },
    client: { auth, authMethod: 'CRAM-MD5' },
    result: 'sent',
    secure: false,
  },
  { name: 'a wrong password', server: { users }, client: { auth: wrong }, result: 535 },
  { name: 'no password', server: { users }, result: 530 },
  {
    name: 'a refused recipient',
    server: { refuse: { 'bob@mx.example': { code: 551, text: 'gone' } } },
    result: 551,
  },
  { name: 'greylisting', server: { greylist: true }, result: 450 },
  { name: 'LMTP', server: { lmtp: true }, client: { lmtp: true }, result: 'sent', secure: false },
  { name: 'SMTP to an LMTP server', server: { lmtp: true }, result: 500 },
  { name: 'a message over the limit', server: { size: 100 }, result: 552 },
];

for (const { name, server: options, client = {}, result, secure } of cases) {
  test(`${name}: ${result}`, async (t) => {
    const server = await serverWith(t, options);
    assert.equal(await send(server, client), result);
    const seen = server.accepted.map((accepted) => accepted.secure);
    if (result === 'sent') assert.deepEqual(seen, [secure]);
  });
}

test('the user of an accepted message is known', async (t) => {
  const server = await serverWith(t, { users });
  await send(server, { auth });
  assert.equal(server.accepted[0]?.user, 'ann');
});
