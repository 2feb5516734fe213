/** The servers of the demonstration, queried by the real resolver and used by a foreign SMTP client. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { type DemoWorld, startDemoWorld } from '../../src/cli/demo/world/index.ts';
import { createResolver } from '../../src/platform/dns/resolver.ts';
import { createManualClock } from '../support/manual-clock.ts';

async function world(t: TestContext): Promise<DemoWorld> {
  const started = await startDemoWorld();
  t.after(() => started.close());
  return started;
}

function resolverFor({ dns }: DemoWorld) {
  return createResolver({ servers: [dns], timeout: 5000, tries: 1, clock: createManualClock() });
}

/** Delivers to the mail exchanger of the first recipient's domain; resolves to the replies to refused recipients. */
async function send(to: DemoWorld, recipients: readonly string[]): Promise<readonly (string | undefined)[]> {
  const domain = recipients[0]?.split('@')[1] ?? '';
  const addresses = await resolverFor(to).addresses(`mx.${domain}`, 4);
  const host = addresses.kind === 'found' ? (addresses.records[0] ?? '') : '';
  const transport = createTransport({ host, port: to.smtpPort, ignoreTLS: true });
  const envelope = { from: 'ann@site.example', to: [...recipients] };
  try {
    const { rejectedErrors = [] } = await transport.sendMail({ envelope, raw: 'Subject: x\r\n\r\n.dot\r\n' });
    return rejectedErrors.map(({ response }) => response);
  } catch (error) {
    return [(error as { readonly response?: string }).response];
  }
}

const counts = (of: DemoWorld) => of.accepted().map(({ messages }) => messages.length);

test('each domain has its own mail exchanger, all on one port', async (t) => {
  const resolver = resolverFor(await world(t));
  const addresses: string[] = [];
  for (const domain of ['accepts.example', 'greylist.example', 'refuses.example']) {
    assert.deepEqual(await resolver.mx(domain), {
      kind: 'found',
      records: [{ exchange: `mx.${domain}`, preference: 10 }],
    });
    const lookup = await resolver.addresses(`mx.${domain}`, 4);
    if (lookup.kind === 'found') addresses.push(...lookup.records);
  }
  assert.deepEqual(addresses, ['127.0.0.1', '127.0.0.2', '127.0.0.3']);
});

test('one domain accepts no mail, one does not exist', async (t) => {
  const resolver = resolverFor(await world(t));
  assert.deepEqual(await resolver.mx('nomail.example'), {
    kind: 'found',
    records: [{ exchange: '', preference: 0 }],
  });
  assert.deepEqual(await resolver.mx('gone.example'), { kind: 'failed', fault: 'no-domain' });
  assert.deepEqual(await resolver.mx('constructor'), { kind: 'failed', fault: 'no-domain' });
});

test('accepts.example keeps what it accepts, dots unstuffed', async (t) => {
  const to = await world(t);
  assert.deepEqual(await send(to, ['bob@accepts.example']), []);
  const [server] = to.accepted();
  assert.equal(server?.server, 'mx.accepts.example');
  assert.deepEqual(server?.messages, [
    {
      sender: 'ann@site.example',
      recipients: ['bob@accepts.example'],
      content: Buffer.from('Subject: x\r\n\r\n.dot\r\n'),
      secure: false,
      user: null,
    },
  ]);
});

test('greylist.example accepts a recipient at the second attempt', async (t) => {
  const to = await world(t);
  const greylisted = ['450 4.2.1 Greylisted, please try again later'];
  assert.deepEqual(await send(to, ['bob@greylist.example']), greylisted);
  assert.deepEqual(await send(to, ['eve@greylist.example']), greylisted);
  assert.deepEqual(counts(to), [0, 0, 0]);
  assert.deepEqual(await send(to, ['bob@greylist.example']), []);
  assert.deepEqual(counts(to), [0, 1, 0]);
});

test('refuses.example refuses one recipient and no other', async (t) => {
  const to = await world(t);
  const replies = await send(to, ['bob@refuses.example', 'nobody@refuses.example']);
  assert.deepEqual(replies, ['550 5.1.1 No such mailbox here']);
  assert.deepEqual(to.accepted()[2]?.messages[0]?.recipients, ['bob@refuses.example']);
});

test('two worlds run side by side, and a closed one is gone', async (t) => {
  const one = await world(t);
  const two = await startDemoWorld();
  assert.notEqual(one.smtpPort, two.smtpPort);
  await two.close();
  assert.deepEqual(await resolverFor(two).mx('accepts.example'), { kind: 'failed', fault: 'local-fault' });
  assert.deepEqual(await send(one, ['bob@accepts.example']), []);
});
