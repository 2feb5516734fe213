/** `run` and `watch` on the queue inside a Citadel server: its relays and name are used, reports, what is refused. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type Connect, connect } from '#net-stream-utils';
import { main } from '../../src/cli/shell/main.ts';
import { citadelServer } from '../../src/queue/citadel/client/server.ts';
import { readCitadelConfig } from '../../src/queue/citadel/client/server-config.ts';
import { flagText } from '../../src/queue/citadel/rival/probe.ts';
import { listOf, startCitadel } from '../support/citadel-server.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { startRawServer } from '../support/raw-server.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { HandClock, temporaryDirectory } from '../support/spool.ts';

const MAIL = 'Subject: hello\r\nFrom: alice@citref.example\r\n\r\nHello.\r\n';

async function bench(t: TestContext) {
  const state = temporaryDirectory(t);
  const folder = temporaryDirectory(t);
  const login = path.join(folder, 'login');
  fs.writeFileSync(login, 'admin\nadminpass\n', { mode: 0o600 });
  const citadel = await startCitadel(path.join(folder, 'citadel-admin.socket'), { era: '2016' });
  t.after(() => citadel.close());
  const relay = await startSmtpServer({
    refuse: {
      'nobody@example.com': { code: 550, text: 'No such mailbox here' },
      'later@example.com': { code: 450, text: 'Later' },
    },
  });
  t.after(() => relay.close());
  citadel.config = `citref.example|localhost\n127.0.0.1:${relay.port}|smarthost\n`;
  const log = path.join(folder, 'log');
  const server = ['--citadel', citadel.path, '--citadel-login', login];
  const callAt = async (interactive: boolean, ...words: readonly string[]) => {
    const caught = caughtTerminal();
    const terminal = { ...caught.terminal, interactive };
    const exit = await main([...words, '--log.target', log, '--log.format', 'json'], {}, terminal);
    return { exit, errors: caught.errors.join('\n') };
  };
  const call = (...words: readonly string[]) => callAt(false, ...words);
  const logged = (): string => fs.readFileSync(log, 'utf8');
  const way = `smtp://127.0.0.1:${relay.port}`;
  const live = [...server, '--state', state, '--internet-config', 'citadel', '--return', way];
  /** As cron does: a run a minute, until the probe period has ended. */
  const proven = async (...words: readonly string[]) => {
    for (const later of ['+0s', '+1m', '+2m', '+3m'])
      assert.deepEqual(await call('run', '--now', later, ...words), { exit: 0, errors: '' });
  };
  return { state, citadel, relay, call, callAt, proven, logged, live, server };
}

it('nothing waits for a server after QUIT', async (t) => {
  const { citadel } = await bench(t);
  const clock = new HandClock();
  let isOver = (): void => {};
  const over = new Promise<void>((resolve) => {
    isOver = resolve;
  });
  const connectHere: Connect = (endpoint, events, tls) => {
    const closed: typeof events.closed = (reason) => {
      events.closed(reason);
      isOver();
    };
    return connect(endpoint, { ...events, closed }, tls);
  };
  const address = { endpoint: { address: citadel.path, port: 0 }, tls: null };
  const login = { user: 'admin', password: 'adminpass' };
  const server = citadelServer(address, login, { connect: connectHere, clock, random: Math.random });
  await readCitadelConfig(server);
  await server.close();
  await over;
  assert.equal(clock.pending, 0);
});

describe('the queue inside a Citadel server', () => {
  it('is delivered by its own relays after the probe period, and failures are reported', async (t) => {
    const { citadel, relay, call, proven, logged, live } = await bench(t);
    const mail = citadel.postMail(MAIL);
    const now = Math.floor(Date.now() / 1000);
    const lines = ['bob@example.com', 'nobody@example.com']
      .map((address) => `remote|${address}|0||\n`)
      .join('');
    citadel.post(`msgid|${mail}\nsubmitted|${now}\nbounceto|alice@citref.example\n${lines}`);
    assert.deepEqual(await call('run', ...live), { exit: 0, errors: '' });
    assert.match(logged(), /The messages 3 \(flag\) and 4 \(probe\) are in the queue room/);
    assert.equal(relay.accepted.length, 0);
    await proven(...live);
    const [toBob, report, ...rest] = relay.accepted;
    assert.deepEqual(
      [toBob?.recipients, report?.recipients],
      [['bob@example.com'], ['alice@citref.example']],
    );
    assert.match(report?.content.toString('latin1') ?? '', /^Reporting-MTA: dns; ?citref\.example\r$/m);
    assert.deepEqual(rest, []);
    assert.deepEqual([...citadel.messages.keys()], [3], 'the flag stays');
  });

  it('is not called empty at a terminal while its jobs wait for the end of the probe period', async (t) => {
    const { citadel, callAt, live } = await bench(t);
    citadel.post(`msgid|${citadel.postMail(MAIL)}\nbounceto|\nremote|bob@example.com|0||\n`);
    assert.equal((await callAt(true, 'run', ...live)).errors, 'There is nothing to deliver now.');
  });

  it('sends a message once that is accepted after its list was rewritten and scanned again', async (t) => {
    const { citadel, call, proven, live } = await bench(t);
    await proven(...live);
    let posted = false;
    let looks = 0;
    let lookedTwice = (): void => {};
    const later = new Promise<void>((resolve) => {
      lookedTwice = resolve;
    });
    citadel.fault = (line) => {
      if (line.startsWith('ENT0')) posted = true;
      // A scan, a flush: by then the queue has been scanned again.
      if (posted && line === 'MSGS ALL' && ++looks === 5) lookedTwice();
      return null;
    };
    const accepted: string[] = [];
    const slow = await startRawServer(async (peer) => {
      await peer.say('220 relay.example\r\n');
      const to: string[] = [];
      for (let line = await peer.line(); line !== null; line = await peer.line()) {
        if (line.startsWith('RCPT') && !line.includes('nobody')) to.push(line);
        if (line === 'DATA') {
          await peer.say('354 go on\r\n');
          await peer.until('\r\n.\r\n');
          await later;
          accepted.push(...to.splice(0));
        }
        const isRefused = line.startsWith('RCPT') && line.includes('nobody');
        await peer.say(isRefused ? '550 5.1.1 no such user\r\n' : '250 ok\r\n');
        if (line === 'QUIT') peer.end();
      }
    });
    const mail = citadel.postMail(MAIL);
    const now = Math.floor(Date.now() / 1000);
    citadel.post(
      `msgid|${mail}\nsubmitted|${now}\nbounceto|alice@citref.example\nremote|nobody@example.com|0||\nremote|bob@example.com|0||\n`,
    );
    const words = ['--smarthost', `${slow.host}:${slow.port}`, '--poll', '1s', ...live];
    const without = words.filter(
      (word, at) => word !== '--internet-config' && words[at - 1] !== '--internet-config',
    );
    for (const at of ['+0s', '+10m', '+60m'])
      assert.deepEqual(await call('run', '--now', at, ...without), { exit: 0, errors: '' });
    await slow.close();
    assert.deepEqual(accepted, ['RCPT TO:<bob@example.com>']);
    assert.equal(citadel.messages.size, 1, 'the flag alone is left');
  });

  it('is named by --room as well', async (t) => {
    const { state, citadel, call, live } = await bench(t);
    const others = live.slice(2);
    const room = `citadel:${citadel.path}`;
    assert.deepEqual(await call('run', '--room', room, ...others), { exit: 0, errors: '' });
    assert.equal(citadel.messages.size, 2, 'flag and probe are there');
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['--room', state, ...others], /--room takes citadel:\/path\/citadel\.socket/],
      [['--room', 'citadel:x', ...others], /neither the \/path of a socket nor ADDRESS:PORT/],
      [['--room', 'citadel:', ...others], /--room takes citadel:\/path\/citadel\.socket/],
      [['--room', `${room}2`, ...live], /Two Citadel servers given/],
      [['--room', room], /Name it with --state DIR/],
    ];
    for (const [words, sentence] of cases) {
      const got = await call('run', ...words);
      assert.equal(got.exit, 64);
      assert.match(got.errors, sentence);
    }
  });

  it('reports a delay once, though the control message has a new number each time', async (t) => {
    const { citadel, relay, call, proven, live } = await bench(t);
    await proven(...live);
    const mail = citadel.postMail(MAIL);
    const now = Math.floor(Date.now() / 1000);
    const first = citadel.post(
      `msgid|${mail}\nsubmitted|${now}\nbounceto|alice@citref.example\nremote|later@example.com|0||\n`,
    );
    for (const later of ['+0s', '+10m', '+30m', '+60m']) {
      assert.deepEqual(await call('run', '--now', later, '--retry.notice', '1m', ...live), {
        exit: 0,
        errors: '',
      });
    }
    const errors = relay.accepted.map(({ content }) => /^Action: \w+/m.exec(content.toString('latin1'))?.[0]);
    assert.deepEqual(errors, ['Action: delayed']);
    assert.ok(!citadel.messages.has(first), 'it was rewritten');
    assert.match([...citadel.messages.values()].map(listOf).join(''), /^remote\|later@example\.com\|4\|/m);
  });

  it('is left alone after an alarm by every later process, until an administrator ends it', async (t) => {
    const { state, citadel, call, live } = await bench(t);
    citadel.post(`msgid|${citadel.postMail(MAIL)}\nbounceto|\nremote|bob@example.com|0||\n`);
    const later = (minutes: number): readonly string[] => ['--now', `+${minutes}m`, ...live];
    for (const minutes of [0, 1])
      assert.deepEqual(await call('run', ...later(minutes)), { exit: 0, errors: '' });
    // A process that stays counts in fractions of a millisecond.
    const memory = path.join(state, '.spoolroom/trial');
    fs.writeFileSync(
      memory,
      fs.readFileSync(memory, 'utf8').replace('"waited":60000', '"waited":60000.284517'),
    );
    // A relay took the probe: servers of 2012 and 2016 delete it, and the flag as its payload.
    for (const number of [3, 4]) citadel.messages.delete(number);
    for (const command of ['run', 'run', 'watch', 'run', 'watch']) {
      const { exit, errors } = await call(command, ...later(2));
      assert.deepEqual([exit, errors.split('delivered or removed the probe').length], [78, 2], command);
      assert.deepEqual([...citadel.messages.keys()], [1, 2], 'no new probe');
    }
    const { terminal, printed } = caughtTerminal();
    assert.equal(await main(['check', ...live], {}, terminal), 1);
    assert.match(printed.join('\n'), /another program delivered or removed the probe, the message 4/);
    fs.rmSync(memory);
    assert.deepEqual(await call('run', ...later(3)), { exit: 0, errors: '' });
    assert.equal(citadel.messages.size, 4, 'the probe period begins again');
  });

  it('is watched until another program works on it: what is in progress is recorded, then exit 78', async (t) => {
    const { state, citadel, call, proven, live, logged } = await bench(t);
    await proven(...live);
    const accepted: string[] = [];
    const memory = path.join(state, '.spoolroom');
    const alarm = async (): Promise<void> => {
      for await (const _ of fs.promises.watch(memory))
        if (fs.readFileSync(path.join(memory, 'trial'), 'utf8').includes('replaced')) return;
    };
    const slow = await startRawServer(async (peer) => {
      await peer.say('220 relay.example\r\n');
      for (let line = await peer.line(); line !== null; line = await peer.line()) {
        if (line === 'DATA') {
          await peer.say('354 go on\r\n');
          await peer.until('\r\n.\r\n');
          const seen = alarm();
          citadel.messages.delete(first);
          citadel.post(`msgid|${mail}\nbounceto|\nremote|a@example.com|4|later\n`);
          await seen;
          accepted.push('a message');
        }
        await peer.say('250 ok\r\n');
        if (line === 'QUIT') peer.end();
      }
    });
    const mail = citadel.postMail(MAIL);
    const first = citadel.post(`msgid|${mail}\nbounceto|\nremote|a@example.com|0||\n`);
    const words = live.filter((word, at) => ![word, live[at - 1]].includes('--internet-config'));
    const to = ['--smarthost', `${slow.host}:${slow.port}`, '--poll', '1s', '--now', '+3m'];
    const { exit, errors } = await call('watch', ...to, ...words);
    await slow.close();
    assert.deepEqual([exit, accepted], [78, ['a message']]);
    assert.match(errors, /Something else works on the queue.*replaced the control message/);
    assert.match(logged(), /stopped by another program/);
  });

  it('counts no attempt while the server restarts', async (t) => {
    const { citadel, relay, call, proven, live } = await bench(t);
    await proven(...live);
    const posted = Array.from({ length: 20 }, (_, index) => {
      const mail = citadel.postMail(MAIL);
      return citadel.post(`msgid|${mail}\nbounceto|\nremote|r${index}@d${index}.example|0||\n`);
    });
    let isAway = false;
    citadel.fault = (line) => {
      isAway ||= line.startsWith('MSG3');
      return isAway ? 'lost-before' : null;
    };
    await call('run', '--now', '+3m', ...live);
    assert.equal(relay.accepted.length, 0);
    citadel.fault = () => null;
    assert.deepEqual(
      posted.filter((number) => !citadel.messages.has(number)),
      [],
      'each list is as the server wrote it',
    );
    assert.deepEqual(await call('run', '--now', '+3m', ...live), { exit: 0, errors: '' });
    assert.equal(relay.accepted.length, 20);
  });

  it('refuses a message of type delivery list at once, with a report', async (t) => {
    const { citadel, relay, call, proven, live } = await bench(t);
    await proven(...live);
    const now = Math.floor(Date.now() / 1000);
    const type = 'Content-type: application/x-citadel-delivery-list';
    const mail = citadel.postMail(`${type}\r\n\r\nmsgid|1\r\nremote|x@example.com|0||\r\n`);
    citadel.post(
      `msgid|${mail}\nsubmitted|${now}\nbounceto|alice@citref.example\nremote|bob@example.com|0||\n`,
    );
    assert.deepEqual(await call('run', '--now', '+3m', ...live), { exit: 0, errors: '' });
    const [report, ...others] = relay.accepted;
    assert.deepEqual([report?.recipients, others], [['alice@citref.example'], []]);
    assert.match(report?.content.toString('latin1') ?? '', /Action: failed\r\nStatus: 5\.6\.0/);
    assert.equal(citadel.messages.size, 1, 'the flag stays');
  });

  it('says what is in the way', async (t) => {
    const { state, citadel, call, live, server } = await bench(t);
    const asking = ['run', ...server, '--state', state];
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['run', ...live, '--spool', state], 64, /Two queues given/],
      [['run', ...live.slice(4)], 64, /No Citadel server given\./],
      [['run', ...live.slice(0, 2), ...live.slice(4)], 64, /No login for the Citadel server given\./],
      [[...asking, '--return', 'room'], 64, /takes no reports\. Use/],
      [['run', ...live.with(1, 'citadel')], 64, /neither the \/path of a socket nor ADDRESS:PORT/],
      [['run', ...live.with(1, `${citadel.path}.gone`)], 69, /citadel-admin\.socket\.gone/],
      [['run', ...live.with(5, `${state}/gone`)], 66, /does not exist/],
      [['watch', '--intake', ...live], 64, /--intake needs a spool/],
    ];
    for (const [words, exit, sentence] of cases) {
      const got = await call(...words);
      assert.equal(got.exit, exit, `${words.join(' ')}: ${got.errors}`);
      assert.match(got.errors, sentence);
    }
    citadel.post(flagText('0123', 1));
    const rival = await call('run', ...live);
    assert.deepEqual([rival.exit, /Another spoolroom/.test(rival.errors)], [78, true], rival.errors);
    citadel.greeting = '551 Maximum number of sessions reached\n';
    const full = await call('run', ...live);
    assert.equal(full.exit, 69);
    assert.match(full.errors, /551 Maximum/);
    const without = await call('run', ...server, '--state', state, '--return', 'smtp://127.0.0.1:1');
    assert.deepEqual([without.exit, /551 Maximum/.test(without.errors)], [69, true]);
  });
});
