/**
 * All mail of one Citadel server, on loopback: some connections submit a message each, as many more the copies
 * of one message as servers of 2012 and 2016 do, to `watch --intake`; real SMTP servers accept, greylist and refuse it;
 * reports come back by LMTP. The service is killed three times. In the end every recipient is accounted for.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { startDnsServer } from '../../src/cli/demo/world/dns-server.ts';
import { greylisting, type RecipientPolicy, startMailServer } from '../../src/cli/demo/world/mail-server.ts';
import { Conversation } from '../intake/conversation.ts';
import { type LogLine, RunningCommand } from '../support/command.ts';
import { messagesIn, spoolOf, temporaryDirectory } from '../support/spool.ts';
import { size } from '../support/thorough.ts';

const COUNT = size(70, 150);
const SENDER = 'alice@citref.example';
const SESSIONS = 4;
const RECIPIENTS = 5;

/** What the first, the second and the third process have done when they are killed. */
const KILLS = [
  { event: 'queued', times: size(15, 30) },
  { event: 'delivered', times: size(30, 60) },
  { event: 'reported', times: size(2, 3) },
] as const;

const DOMAINS = ['takes.example', 'greylists.example', 'refuses.example'] as const;
type Domain = (typeof DOMAINS)[number];

function domainOf(recipient: string): Domain {
  const domain = DOMAINS.find((each) => recipient.endsWith(`@${each}`));
  assert.ok(domain !== undefined, recipient);
  return domain;
}

/** The destination servers, and what they have received. */
async function world(t: TestContext) {
  const greylist = greylisting();
  const policies: Readonly<Record<Domain, RecipientPolicy>> = {
    'takes.example': () => null,
    'greylists.example': greylist,
    'refuses.example': () => ({ code: 550, text: 'No such mailbox here' }),
  };
  const server = await startMailServer(
    { name: 'mx.example', host: '127.0.0.1', port: 0 },
    (recipient, sender) => policies[domainOf(recipient)](recipient, sender),
  );
  t.after(() => server.close());
  const zones = DOMAINS.flatMap((domain) => [
    [domain, { MX: [{ preference: 10, exchange: `mx.${domain}` }] }] as const,
    [`mx.${domain}`, { A: ['127.0.0.1'] }] as const,
  ]);
  const dns = await startDnsServer(Object.fromEntries(zones));
  t.after(() => dns.close());
  return { dns: dns.address, port: server.port, accepted: server.accepted };
}

/** Citadel's lmtp.socket; collects the recipients of reports, once for each report. */
async function lmtp(t: TestContext) {
  const socket = path.join(temporaryDirectory(t), 'lmtp.socket');
  const errors: string[] = [];
  const server = new SMTPServer({
    lmtp: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onData(stream, { envelope }, done) {
      const pieces: Buffer[] = [];
      stream.on('data', (bytes) => pieces.push(bytes));
      stream.on('end', () => {
        assert.equal(envelope.mailFrom === false ? null : envelope.mailFrom.address, '');
        assert.deepEqual(
          envelope.rcptTo.map(({ address }) => address),
          [SENDER],
        );
        const report = Buffer.concat(pieces).toString('latin1');
        for (const [, recipient = ''] of report.matchAll(/^Final-Recipient: rfc822; ?(\S+)\r$/gm))
          errors.push(recipient);
        done(null, 'taken');
      });
    },
  });
  // Connections of killed processes.
  server.on('error', () => {});
  await once(server.listen(socket), 'listening');
  t.after(() => new Promise<void>((closed) => server.close(closed)));
  return { socket, errors };
}

/** The service; its address stays the same when it is started again. */
class Service {
  /** by event and recipient: how often it was logged */
  readonly logged = { delivered: new Map<string, number>(), refused: new Map<string, number>() };
  readonly #t: TestContext;
  readonly #words: readonly string[];
  #listen = '127.0.0.1:0';
  /** the address of its intake, once it listens */
  address: Promise<string>;
  #isListening: (address: string) => void = () => {};

  constructor(t: TestContext, words: readonly string[]) {
    this.#t = t;
    this.#words = words;
    this.address = this.#next();
  }

  #next(): Promise<string> {
    return new Promise((resolve) => {
      this.#isListening = resolve;
    });
  }

  /** Run until `isOver`, which is asked after each line of the log and after `also`; then kill it or stop it. */
  async runUntil(
    isOver: (counts: ReadonlyMap<unknown, number>) => boolean,
    signal: NodeJS.Signals,
    also: Promise<unknown> = new Promise(() => {}),
  ): Promise<unknown> {
    const words = ['watch', '--intake', '--intake.listen', this.#listen, '--poll', '200ms', ...this.#words];
    const running = new RunningCommand(this.#t, ...words);
    const counts = new Map<unknown, number>();
    let isTold = false;
    const look = (): void => {
      if (isTold || !isOver(counts)) return;
      isTold = true;
      if (signal === 'SIGKILL') this.address = this.#next();
      running.child.kill(signal);
    };
    void also.then(look);
    for (let line = await running.line(); line !== null; line = await running.line()) {
      counts.set(line.event, (counts.get(line.event) ?? 0) + 1);
      this.#note(line);
      look();
    }
    return running.ended();
  }

  #note({ event, address, recipient }: LogLine): void {
    if (event === 'listening') {
      this.#listen = String(address);
      this.#isListening(this.#listen);
    }
    if (event !== 'delivered' && event !== 'refused') return;
    const counts = this.logged[event];
    counts.set(String(recipient), (counts.get(String(recipient)) ?? 0) + 1);
  }
}

/** One connection of Citadel, from greeting to QUIT. False: there was no 250, so Citadel keeps the message. */
async function handOver(address: string, recipient: string, message: string): Promise<boolean> {
  try {
    const client = await Conversation.with(address);
    await client.hello();
    await client.envelope(SENDER, recipient);
    const reply = await client.ask(message);
    client.send('QUIT\r\n');
    return reply?.startsWith('250 ') === true;
  } catch {
    return false;
  }
}

function times<T>(values: readonly T[], wanted: T): number {
  return values.filter((value) => value === wanted).length;
}

test('every recipient is accounted for, whenever the service is killed', { timeout: 120_000 }, async (t) => {
  const { dns, port, accepted } = await world(t);
  const { socket, errors } = await lmtp(t);
  const spool = spoolOf(t, {});
  const settings = [
    ...['--spool', spool, '--hostname', 'queue.example', '--dns', dns, '--mx-port', String(port)],
    ...['--return', `lmtp:${socket}`, '--retry.first', '1s', '--transcripts', 'none'],
    ...['--limit.sessions', String(SESSIONS), '--limit.recipients', String(RECIPIENTS)],
  ];
  const service = new Service(t, settings);

  /** how often Citadel had to submit it */
  const attempts = new Map<string, number>();
  const submit = async (recipient: string, message: string): Promise<void> => {
    do attempts.set(recipient, (attempts.get(recipient) ?? 0) + 1);
    while (!(await handOver(await service.address, recipient, message)));
  };
  const name = (kind: string, number: number): string =>
    `${kind}${number}@${DOMAINS[Math.max(0, (number % 10) - 7)]}`;
  const numbers = Array.from({ length: COUNT }, (_, number) => number);
  const single = numbers.map((number) => name('single', number));
  const many = numbers.map((number) => name('many', number));
  const all = [...single, ...many];
  let isHandedOver = false;
  const citadel = Promise.all([
    ...single.map((recipient) => submit(recipient, `Subject: to ${recipient}\r\n\r\nHello.\r\n.`)),
    ...many.map((recipient) => submit(recipient, 'Subject: to many\r\n\r\nHello, all.\r\n.')),
  ]).then(() => {
    isHandedOver = true;
  });

  for (const { event, times: often } of KILLS) {
    const exit = await service.runUntil((counts) => counts.get(event) === often, 'SIGKILL');
    assert.equal(exit, null, `killed after ${often} lines "${event}"`);
  }
  const isDone = (): boolean => {
    const settled = new Set([...accepted.flatMap(({ recipients }) => recipients), ...errors]);
    return isHandedOver && settled.size === all.length;
  };
  assert.equal(await service.runUntil(isDone, 'SIGTERM', citadel), 0);
  // Messages that were submitted twice may still be in the spool.
  assert.equal(await new RunningCommand(t, 'run', '--force', ...settings).ended(), 0);

  const copies = accepted.flatMap(({ recipients }) => recipients);
  let unlogged = 0;
  for (const recipient of all) {
    const [got, heard] = [times(copies, recipient), times(errors, recipient)];
    const handed = attempts.get(recipient) ?? 0;
    const [delivered, refused] = [
      service.logged.delivered.get(recipient) ?? 0,
      service.logged.refused.get(recipient) ?? 0,
    ];
    const facts = `${recipient}: handed over ${handed}, got ${got} (${delivered} logged), reported ${heard} (${refused} logged)`;
    if (domainOf(recipient) === 'refuses.example') {
      assert.ok(got === 0 && heard >= 1 && heard <= handed + KILLS.length && refused <= handed, facts);
      continue;
    }
    // A recipient with a recorded delivery is never sent to again.
    assert.ok(got >= 1 && heard === 0 && delivered <= handed, facts);
    unlogged += Math.max(0, got - handed);
  }
  // Only a kill between a 250 and its record may cause a second copy.
  assert.ok(unlogged <= KILLS.length * SESSIONS * RECIPIENTS, `${unlogged} second copies`);
  const left = Object.values(messagesIn(spool));
  const again = [...attempts.values()].reduce((sum, count) => sum + count - 1, 0);
  assert.ok(left.length <= again, 'only mail whose connection was cut is left');
  assert.ok(
    left.every((text) => text.startsWith('Received: ')),
    'no list is left',
  );
  t.diagnostic(`${again} hand-overs again, ${unlogged} second copies, ${left.length} mails without a list`);
});
