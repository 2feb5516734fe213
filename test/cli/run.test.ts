import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { command as run } from '../../src/cli/commands/run.ts';
import type { DemoWorld } from '../../src/cli/demo/world/index.ts';
import { startDemoWorld } from '../../src/cli/demo/world/index.ts';
import { EXIT } from '../../src/cli/shell/exit.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { startRawServer } from '../support/raw-server.ts';
import { bench, HEADER, listFor, MAIL, messagesIn, NOW, openQueue, spoolOf } from '../support/spool.ts';

/** One queue run over a real directory, with real servers on loopback: the complete state before and after. */

let world: DemoWorld;
before(async () => {
  world = await startDemoWorld();
});
after(() => world.close());

interface Ran {
  readonly code: number;
  readonly left: Record<string, string>;
  readonly log: readonly {
    readonly event: string;
    readonly message: string;
    readonly [field: string]: unknown;
  }[];
  readonly errors: readonly string[];
  /** Unix seconds at which the run read the clock */
  readonly now: number;
}

async function runOver(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
  settings: object = {},
): Promise<Ran> {
  const spool = spoolOf(t, files);
  return { ...(await runAgain(spool, settings)) };
}

async function runAgain(spool: string, settings: object = {}, now = NOW + 60): Promise<Ran> {
  const log = path.join(spool, '.log');
  const caught = caughtTerminal();
  const given = {
    spool,
    now: String(now),
    dns: world.dns,
    'mx-port': String(world.smtpPort),
    hostname: 'citadel.example',
    'log.target': log,
    'log.level': 'info',
    'log.format': 'json',
    ...settings,
  };
  const code = await perform(run, invocation(caught, given));
  const text = fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '';
  fs.rmSync(log, { force: true });
  const left = messagesIn(spool);
  return {
    code,
    left,
    now,
    errors: caught.errors,
    log: text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line)),
  };
}

/** The clock runs on while a run lasts: `attempted|` may be a second later. */
function withoutClock(text: string | undefined): string {
  return (text ?? '').replace(/^attempted\|\d+$/m, 'attempted|T');
}

const where = (host: string, address: string): string => `mx.${host} [${address}]:${world.smtpPort}`;

describe('a run', () => {
  it('delivers, and removes what is finished: control message and payload', async (t) => {
    const ran = await runOver(t, { 1: MAIL, 2: listFor(1, 'alice@accepts.example') });
    assert.equal(ran.code, EXIT.ok);
    assert.deepEqual(ran.left, {});
    const [delivered] = ran.log;
    assert.equal(ran.log.length, 1, JSON.stringify(ran.log));
    assert.equal(delivered?.event, 'delivered');
    assert.deepEqual(
      [delivered?.job, delivered?.recipient, delivered?.host, delivered?.address, delivered?.code],
      [2, 'alice@accepts.example', 'mx.accepts.example', '127.0.0.1', 250],
    );
  });

  it('writes one status line for each recipient and keeps the payload for pending ones', async (t) => {
    const recipients = [
      'alice@accepts.example',
      'bob@greylist.example',
      'nobody@refuses.example',
      'eve@refuses.example',
    ];
    const files = { 1: MAIL, 2: listFor(1, ...recipients) };
    const ran = await runOver(t, files, { return: `smtp://127.0.0.1:${world.smtpPort}` });
    assert.deepEqual(Object.keys(ran.left), ['1', '2']);
    assert.equal(ran.left['1'], MAIL);
    assert.equal(ran.log.filter(({ event }) => event === 'reported').length, 1);
    assert.equal(
      withoutClock(ran.left['2']),
      `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|T\n` +
        `remote|alice@accepts.example|2|2.6.0 Accepted (250, ${where('accepts.example', '127.0.0.1')})\n` +
        `remote|bob@greylist.example|4|4.2.1 Greylisted, please try again later (450, ${where('greylist.example', '127.0.0.2')})\n` +
        `remote|nobody@refuses.example|5|5.1.1 No such mailbox here (550, ${where('refuses.example', '127.0.0.3')})\n` +
        `remote|eve@refuses.example|2|2.6.0 Accepted (250, ${where('refuses.example', '127.0.0.3')})\n`,
    );
  });

  it('names the job of a recipient where two lists name one message', async (t) => {
    const files = { 1: MAIL, 2: listFor(1, 'alice@accepts.example'), 3: listFor(1, 'bob@accepts.example') };
    const { log } = await runOver(t, files);
    assert.deepEqual(log.map(({ job, recipient }) => `${job} ${recipient}`).sort(), [
      '2 alice@accepts.example',
      '3 bob@accepts.example',
    ]);
  });

  it('keeps a report for the postmaster when no server takes it, and makes no job of it', async (t) => {
    const files = { 1: MAIL, 2: listFor(1, 'nobody@refuses.example') };
    const ran = await runOver(t, files, { return: 'room' });
    assert.deepEqual(ran.left, {});
    const reported = ran.log.find(({ event }) => event === 'reported');
    assert.deepEqual([reported?.how, reported?.level], ['left', 'warn']);
  });

  it('reports an unusable return path, and changes nothing', async (t) => {
    const files = { 1: MAIL, 2: listFor(1, 'alice@accepts.example') };
    const ran = await runOver(t, files, { return: 'lmtp' });
    assert.equal(ran.code, EXIT.usage);
    assert.match(ran.errors.join(), /setting return: \*\*\* is not lmtp:/);
    assert.deepEqual(ran.left, files);
  });

  it('writes the 2017 form where that is set', async (t) => {
    const ran = await runOver(
      t,
      { 1: MAIL, 2: listFor(1, 'alice@accepts.example', 'carol@greylist.example') },
      { dialect: '2017' },
    );
    assert.equal(
      withoutClock(ran.left['2']),
      // The 2017 writer leaves one more empty line behind the header.
      `${HEADER}\nmsgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\n` +
        `remote|carol@greylist.example|4|450 (450 4.2.1 Greylisted, please try again later, ${where('greylist.example', '127.0.0.2')})\n` +
        'attempted|T\n',
    );
  });

  it('leaves a job alone until it is due, then finishes it', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'dora@greylist.example') });
    const first = await runAgain(spool);
    const early = await runAgain(spool, {}, NOW + 120);
    assert.deepEqual(early.left, first.left);
    assert.deepEqual(early.log, [], 'no noise when nothing is due');
    const late = await runAgain(spool, {}, NOW + 3600);
    assert.deepEqual(late.left, {});
  });

  it('warns once of what each run meets again: a report that waits, a message that cannot be read (R222)', async (t) => {
    const spool = spoolOf(t, {
      1: MAIL,
      2: listFor(1, 'b@example.com').replace('|0||', '|5|550 no|'),
      4: listFor(3, 'c@example.com'),
    });
    const DAY = 86_400;
    const closed = { return: 'smtp://127.0.0.1:1' };
    const warned = async (at: number, settings: object = closed): Promise<readonly string[]> =>
      (await runAgain(spool, { ...settings, 'retry.ceiling': '1m' }, at)).log
        .filter(({ level }) => level === 'warn')
        .map(({ message }) => message.replace(/:.*/s, ''))
        .sort();
    const all = ['The report to the sender of job 2 could not be sent', 'deferred'];
    assert.deepEqual(await warned(NOW + 60), all);
    assert.deepEqual(await warned(NOW + 600), []);
    assert.deepEqual(await warned(NOW + DAY), []);
    assert.deepEqual(await warned(NOW + DAY + 300), all);
    assert.deepEqual(await warned(NOW + DAY + 600, { return: `smtp://127.0.0.1:${world.smtpPort}` }), []);
    assert.equal(fs.readFileSync(path.join(spool, '.spoolroom/alerts'), 'latin1').includes('report'), false);
  });

  it('reports at once that another runner is active, with status 0', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@accepts.example') });
    const [one, two] = await Promise.all([runAgain(spool), runAgain(spool)]);
    assert.deepEqual([one.code, two.code], [EXIT.ok, EXIT.ok]);
    assert.deepEqual([...one.errors, ...two.errors], []);
    const busy = [...one.log, ...two.log].find(({ event }) => event === 'busy');
    assert.match(String(busy?.message), /is already delivering from .*; nothing was done/);
    assert.equal(busy?.runner, process.pid);
  });

  it('beside another runner prints nothing for cron, and its process for programs', async (t) => {
    const spool = spoolOf(t, {});
    const room = await openQueue(spool, bench());
    const caught = caughtTerminal();
    const listeners = process.listenerCount('SIGTERM');
    assert.equal(await perform(run, invocation(caught, { spool, 'log.level': 'warn', json: true })), EXIT.ok);
    assert.equal(process.listenerCount('SIGTERM'), listeners, 'signals do again what they do by themselves');
    await room.close();
    assert.deepEqual([caught.errors, caught.printed], [[], [`{"busy":${process.pid}}`]]);
  });

  it('reports, when it is stopped, what it waits for', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@a.example') });
    const server = await startRawServer(() => void process.emit('SIGINT', 'SIGINT'));
    const { code, log } = await runAgain(spool, {
      ...{ smarthost: `${server.host}:${server.port}`, 'timeout.stop': '50ms' },
    });
    await server.close();
    assert.equal(code, EXIT.tempFail);
    assert.equal(log[0]?.event, 'stopping');
    assert.match(String(log[0]?.message), /^stopping \(SIGINT\): no new deliveries are started/);
  });

  it('reports that mail goes in clear where TLS does not work', async (t) => {
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@a.example') });
    const server = await startRawServer(async (peer, connection) => {
      await peer.say('220 relay\r\n');
      await peer.expect(/^EHLO/);
      await peer.say('250-relay\r\n250 STARTTLS\r\n');
      if (connection > 1) return peer.end();
      await peer.expect('STARTTLS');
      await peer.say('220 go\r\n');
      await peer.reset();
    });
    const { log } = await runAgain(spool, { smarthost: `${server.host}:${server.port}` });
    await server.close();
    assert.match(
      String(log.find(({ event }) => event === 'in-clear')?.message),
      /without TLS for now, because/,
    );
  });

  it('reports at a terminal when nothing is due, and a summary', async (t) => {
    const spool = spoolOf(t, {
      1: MAIL,
      2: `${listFor(1, 'alice@accepts.example')}retry|600\nattempted|${NOW + 600}\n`,
    });
    const watched = async (now: number): Promise<string> => {
      const caught = caughtTerminal();
      const log = { 'log.target': `${spool}/.log`, 'log.level': 'info' };
      const given = { spool, now, dns: world.dns, 'mx-port': world.smtpPort, hostname: 'a.example', ...log };
      await perform(
        run,
        invocation({ ...caught, terminal: { ...caught.terminal, interactive: true } }, given),
      );
      return caught.errors.join();
    };
    assert.equal(
      await watched(NOW),
      'No job is due: 1 job waiting; the next attempt is at 2012-07-14T00:10:00Z.',
    );
    assert.equal(await watched(NOW + 700), '');
    assert.match(
      fs.readFileSync(`${spool}/.log`, 'utf8'),
      /queue run: 1 of 1 job due, 1 recipient delivered/,
    );
    assert.equal(await watched(NOW + 700), 'There is nothing to deliver now.');
  });
});

describe('bad input', () => {
  const good = { 90: MAIL, 91: listFor(90, 'alice@accepts.example') };

  async function besidesGood(t: TestContext, files: Readonly<Record<string, string>>): Promise<Ran> {
    const ran = await runOver(t, { ...files, ...good });
    assert.ok(
      ran.log.some(({ event, job }) => event === 'delivered' && job === 91),
      'the other job went on',
    );
    assert.equal(ran.code, EXIT.ok);
    return ran;
  }

  it('an unreadable control message is quarantined with the reason, once', async (t) => {
    const torn = `${HEADER}nothing here is an instruction\n`;
    const spool = spoolOf(t, { 1: MAIL, 2: torn });
    const ran = await runAgain(spool);
    assert.deepEqual(
      ran.log.map(({ event }) => event),
      ['set-aside'],
    );
    assert.match(
      String(ran.log[0]?.message),
      /The list is now .*\/\.spoolroom\/bad\/2, and its message is not delivered/,
    );
    assert.equal(ran.left['1'], MAIL);
    const kept = Object.entries(ran.left).filter(([name]) => name.startsWith('.spoolroom/bad/'));
    assert.ok(
      kept.some(([, text]) => text === torn),
      'no byte of it is lost',
    );
    const again = await runAgain(spool, {}, NOW + 3600);
    assert.deepEqual(again.log, []);
    assert.deepEqual(again.left, ran.left);
  });

  for (const [what, files] of [
    ['missing', {}],
    ['empty', { 1: '' }],
  ] as const) {
    it(`a message that is ${what} is never sent as an empty message (R036)`, async (t) => {
      const before = world.accepted().flatMap(({ messages }) => messages).length;
      const ran = await besidesGood(t, { ...files, 2: listFor(1, 'bob@accepts.example') });
      assert.match(ran.left['2'] ?? '', /^remote\|bob@accepts\.example\|4\|.+/m);
      assert.equal(world.accepted().flatMap(({ messages }) => messages).length, before + 1);
    });
  }

  it('a message that two jobs share is delivered for both and removed with the last', async (t) => {
    const ran = await runOver(t, {
      1: MAIL,
      2: listFor(1, 'alice@accepts.example'),
      3: listFor(1, 'frieda@greylist.example'),
    });
    assert.deepEqual(
      Object.keys(ran.left),
      ['1', '2', '3'].filter((name) => ran.left[name] !== undefined),
    );
    assert.equal(ran.left['1'], MAIL, 'somebody still waits for it');
    assert.match(ran.left['3'] ?? '', /frieda@greylist\.example\|4\|/);
  });

  it('recipients that are not addresses are refused with a reason, the others get the message', async (t) => {
    const list = listFor(
      1,
      'alice@accepts.example',
      'nodomain',
      'two words@accepts.example',
      'cr\r@accepts.example',
      '',
      'gerd@greylist.example',
    );
    const ran = await runOver(t, { 1: MAIL, 2: list });
    const lines = (ran.left['2'] ?? '').split('\n').filter((line) => line.startsWith('remote|'));
    assert.deepEqual(
      lines.map((line) => line.split('|')[2]),
      ['2', '5', '5', '5', '5', '4'],
    );
    for (const line of lines.slice(1, 5)) assert.match(line, /\|5\|\S+/);
  });

  it('a symbolic link is ignored, whatever it points to', async (t) => {
    const spool = spoolOf(t, good);
    fs.symlinkSync('/etc/passwd', path.join(spool, '1'));
    fs.symlinkSync(path.join(spool, '91'), path.join(spool, '2'));
    const ran = await runAgain(spool);
    assert.equal(ran.log.filter(({ event }) => event === 'delivered').length, 1);
    assert.deepEqual(
      fs
        .readdirSync(spool)
        .filter((name) => name !== '.spoolroom')
        .sort(),
      ['1', '2'],
    );
  });

  it('a spool that does not exist, or is not a directory, is reported', async (t) => {
    const spool = spoolOf(t, { 1: MAIL });
    for (const [name, said] of [
      ['nowhere', /does not exist/],
      ['1', /is not a directory/],
    ] as const) {
      const caught = caughtTerminal();
      const code = await perform(run, invocation(caught, { spool: path.join(spool, name) }));
      assert.equal(code, EXIT.noInput);
      assert.match(caught.errors.join(), said);
    }
  });

  it('a text whose lines begin with dots arrives as it was', async (t) => {
    const text = 'From: a@example.org\n\n.\n..\n.x\nend\n';
    await runOver(t, { 1: text, 2: listFor(1, 'dots@accepts.example') });
    const arrived = world
      .accepted()
      .flatMap(({ messages }) => messages)
      .filter(({ recipients }) => recipients.includes('dots@accepts.example'));
    assert.equal(arrived.length, 1);
    assert.equal(arrived[0]?.content.toString('latin1'), text.replaceAll('\n', '\r\n'));
  });
});

it('an address to send from that this machine does not have is told (R295)', async (t) => {
  const { log } = await runOver(
    t,
    { 1: MAIL, 2: listFor(1, 'dots@accepts.example') },
    {
      'local-address': ['192.0.2.77', '127.0.0.1'],
      destinations: [{ to: 'x.example', 'local-address': ['192.0.2.78'] }],
    },
  );
  assert.equal(log.filter(({ event }) => event === 'deferred').length, 1);
  const told = log.filter(({ message }) => message.startsWith('local-address '));
  assert.equal(told.length, 2);
  assert.match(
    told[0]?.message ?? '',
    /^local-address is 192\.0\.2\.77, which this machine does not have, so mail .* waits\. It has .*127\.0\.0\.1/,
  );
  assert.match(told[1]?.message ?? '', /^local-address of destinations entry 1 is 192\.0\.2\.78, which/);
});
