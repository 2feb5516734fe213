/** `check`: whatever stops mail is found, graded and explained; nothing is sent and nothing changes. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConnectionEvents } from '#net-stream-utils';
import { probeServer } from '../../src/cli/check/banner-probe.ts';
import { runnerFinding } from '../../src/cli/check/jobs.ts';
import { reportSession } from '../../src/cli/check/network.ts';
import { printFindings } from '../../src/cli/check/print.ts';
import { command } from '../../src/cli/commands/check.ts';
import type { DemoWorld } from '../../src/cli/demo/world/index.ts';
import { startDemoWorld } from '../../src/cli/demo/world/index.ts';
import { loadRules } from '../../src/cli/setup/load-config.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { checkReport, type Finding } from '../../src/output/check-report.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { openSpoolReadOnly } from '../../src/queue/spool/open.ts';
import { readSettings } from '../../src/settings/read.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { passwordLine, withUser } from '../../src/web/password.ts';
import { certificates, type ServerCertificate } from '../support/certificates.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { emptyJob } from '../support/jobs.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { AS_NOBODY, asNobody, closeTo } from '../support/permission.ts';
import { type RawPeer, type Script, startRawServer } from '../support/raw-server.ts';
import {
  bench,
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openClient,
  openQueue,
  SETTINGS_2012,
  spoolOf,
  temporaryDirectory,
} from '../support/spool.ts';

let world: DemoWorld;
before(async () => {
  world = await startDemoWorld();
});
after(() => world.close());

async function check(spool: string | null, settings: object = {}) {
  const caught = caughtTerminal();
  const given = {
    spool,
    dns: world.dns,
    hostname: 'citadel.example',
    return: `smtp://127.0.0.1:${world.smtpPort}`,
    json: true,
    ...settings,
  };
  const exit = await perform(command, invocation(caught, given));
  assert.deepEqual(caught.errors, []);
  const text = caught.printed.join('\n');
  const findings: readonly Finding[] = JSON.parse(text).findings;
  const bad = findings.filter(({ grade }) => grade !== 'ok').map(({ check, grade }) => `${grade} ${check}`);
  const seen = (name: string): string =>
    findings
      .filter((finding) => finding.check === name)
      .map((finding) => finding.seen)
      .join('\n');
  return { exit, text, findings, bad, seen };
}

/** A relay on loopback that follows this script while `work` runs. */
async function withRelay(script: Script, work: (relay: string) => Promise<void>): Promise<void> {
  const server = await startRawServer(script);
  try {
    await work(`${server.host}:${server.port}`);
  } finally {
    await server.close();
  }
}

const leaves = async (peer: RawPeer): Promise<void> => {
  await peer.expect('QUIT');
  await peer.say('221 bye\r\n');
  peer.end();
};

const introduced = async (peer: RawPeer, ...offers: readonly string[]): Promise<void> => {
  await peer.expect('EHLO citadel.example');
  const lines = ['relay.example', ...offers];
  await peer.say(lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join(''));
};

const greets: Script = async (peer) => {
  await peer.say('220-relay.example\r\n220 ready\r\n');
  await introduced(peer);
  await leaves(peer);
};

const encrypts =
  (certificate: ServerCertificate, ...offers: readonly string[]): Script =>
  async (peer) => {
    await peer.say('220 relay.example\r\n');
    await introduced(peer, 'STARTTLS');
    await peer.expect('STARTTLS');
    await peer.say('220 go\r\n');
    const secure = await peer.startTls(certificate).catch(() => null);
    if (secure === null) return;
    await introduced(peer, ...offers);
    await leaves(peer);
  };

describe('check', () => {
  it('finds nothing where nothing is wrong, and changes nothing', (t) =>
    withRelay(greets, async (relay) => {
      const spool = spoolOf(t, {});
      const { exit, bad, findings, seen } = await check(spool, { smarthost: relay });
      assert.deepEqual([exit, bad], [0, []]);
      assert.deepEqual(
        findings.map((finding) => finding.check),
        ['settings', 'hostname', 'spool', 'disk', 'journal', 'runner', 'dns', 'smarthost', 'reports'],
      );
      assert.match(seen('smarthost'), /^\[127\.0\.0\.1\]:\d+ greets: relay\.example \(no TLS\)$/);
      assert.deepEqual(fs.readdirSync(spool), []);
    }));

  it('an address to send from that this machine does not have is told, of an entry of destinations, too (R307)', async (t) => {
    const { seen } = await check(spoolOf(t, {}), {
      'local-address': ['192.0.2.77'],
      destinations: [{ to: 'x.example', 'local-address': ['127.0.0.1', '2001:db8::78'] }],
    });
    assert.match(seen('settings'), /^local-address is 192\.0\.2\.77, which this machine does not have/m);
    assert.match(seen('settings'), /^local-address of destinations entry 1 is 2001:db8::78, which/m);
    assert.doesNotMatch(seen('settings'), /is 127/);
  });

  it('says why the web view could not start, where it is set (R308)', async (t) => {
    const spool = spoolOf(t, {});
    const { bad, seen } = await check(spool, { 'web.listen': '192.0.2.1:8080' });
    assert.deepEqual(bad, ['trouble web']);
    assert.match(seen('web'), /does not listen on 192\.0\.2\.1 without TLS/);
    const users = path.join(temporaryDirectory(t), 'users');
    const without = await check(spool, { 'web.users': users });
    assert.match(without.seen('web'), /users cannot be used: /);
    fs.writeFileSync(users, withUser('', 'root', await passwordLine('a long enough password')), {
      mode: 0o600,
    });
    assert.deepEqual((await check(spool, { 'web.users': users })).bad, []);
  });

  it('reports what is in the spool and will not be delivered', async (t) => {
    const spool = spoolOf(t, {
      ...{ 1: MAIL, 2: listFor(1, 'b@example.com'), 3: MAIL, 4: listFor(3, 'c@example.com') },
      ...{ 5: MAIL, 6: `${HEADER}nothing\n`, 8: listFor(7, 'd@example.com'), 10: `${HEADER}no\n` },
      ...{ 11: MAIL, 12: listFor(11, 'e@example.com').replace('|0||', '|7|what|') },
    });
    const room = await openQueue(spool, bench());
    await room.scan();
    const client = await openClient(spool, bench());
    const { jobs } = await client.scan();
    await client.request(
      'hold',
      jobs.filter(({ control }) => control === 4),
      { by: 'root', at: NOW },
    );
    const before = messagesIn(spool);
    const young = await check(spool, { now: NOW + 60 });
    assert.deepEqual(young.bad.sort(), [
      'warning held',
      'warning mail',
      'warning now',
      'warning orphans',
      'warning status',
      'warning unreadable',
      'warning unreadable',
    ]);
    assert.match(young.seen('held'), /: 4$/);
    assert.match(young.seen('status'), /: 12$/);
    assert.match(young.seen('mail'), /: 8$/);
    assert.match(young.seen('orphans'), /without a job for more than 24 h: 5$/);
    assert.match(young.seen('unreadable'), /^\.spoolroom\/bad\/6: Message 6 was quarantined, because/);
    assert.match(young.seen('runner'), new RegExp(`^process ${process.pid} is delivering$`));
    assert.ok(!(await check(spool, { now: NOW + 60, 'orphan-age': '2d' })).bad.includes('warning orphans'));
    const late = await check(spool, { now: NOW + 1000 });
    assert.ok(late.bad.includes('warning runner'));
    assert.match(late.seen('runner'), /; 2 jobs are overdue, by up to 17 min/);
    await room.close();
    const left = await check(spool, { now: NOW + 6 * 86_400 });
    assert.ok(left.bad.includes('trouble runner') && left.exit === 1);
    assert.match(left.seen('age'), /: 2, 4, 8$/);
    assert.deepEqual(messagesIn(spool), before);
  });

  it('sums up the replies after which jobs wait', async (t) => {
    const after = (text: string, ...words: Parameters<typeof listFor>): string =>
      listFor(...words).replace(/\|0\|\|/g, `|4|${text}|`);
    const spool = spoolOf(t, {
      ...{
        1: MAIL,
        2: after('mx.a.example [192.0.2.1] TLS failed: certificate has expired', 1, 'b@a.example'),
      },
      ...{
        3: MAIL,
        4: after('mx2.b.example [2001:db8::1]:25 TLS failed: certificate has expired', 3, 'c@b.example'),
      },
      ...{ 5: MAIL, 6: after('5.7.8 wrong (535, mx [192.0.2.1]:587)', 5, 'd@b.example', 'e@b.example') },
    });
    const { exit, findings } = await check(spool, { now: NOW + 60 });
    const answers = findings.filter(({ check }) => check === 'answers');
    assert.deepEqual(
      answers.map(({ seen }) => seen),
      [
        '2 jobs (2, 4) are waiting because of this reply: TLS failed: certificate has expired',
        '1 job (6) is waiting because of this reply: 5.7.8 wrong (535, mx [192.0.2.1]:587)',
      ],
    );
    assert.match(answers[1]?.advice ?? '', /user name and password/);
    assert.equal(exit, 0);
  });

  it(
    'tells of a time that no wait explains, of mail that cannot be read, of reports and removals',
    AS_NOBODY,
    async (t) => {
      const spool = spoolOf(t, {
        ...{ 1: MAIL, 2: `${listFor(1, 'b@a.example')}attempted|${NOW + 200 * 86_400}\n` },
        ...{ 3: MAIL, 4: listFor(3, 'c@example.com') },
      });
      fs.mkdirSync(`${spool}/.spoolroom/reports`, { recursive: true });
      fs.writeFileSync(`${spool}/.spoolroom/reports/a.eml`, MAIL);
      const folder = `${spool}/.spoolroom/removed/20120401T000000Z`;
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(`${folder}/7`, MAIL);
      fs.utimesSync(folder, NOW - 100 * 86_400, NOW - 100 * 86_400);
      fs.mkdirSync(`${spool}/.spoolroom/moving`);
      for (const name of ['database', '7.payload', '7.number'])
        fs.writeFileSync(`${spool}/.spoolroom/moving/${name}`, '');
      fs.chmodSync(spool, 0o755);
      closeTo(`${spool}/3`);
      const { bad, seen, exit } = await asNobody(() => check(spool, { now: NOW + 60 }));
      assert.equal(exit, 0, bad.join());
      assert.match(seen('clock'), /: 2$/);
      assert.match(seen('mail'), /cannot be read: 4$/);
      assert.match(
        seen('reports'),
        /^1 report in \.spoolroom\/reports that no server took: these senders have not got their report/m,
      );
      assert.match(seen('removed'), /^1 removal in \.spoolroom\/removed, 1 MiB, the oldest from 100 d/);
      assert.match(
        seen('moving'),
        /^1 message in \.spoolroom\/moving: a move out of a database was interrupted/,
      );
    },
  );

  it('reports a journal with which no run starts', async (t) => {
    const spool = spoolOf(t, {});
    await (await openQueue(spool, bench())).close();
    fs.writeFileSync(path.join(spool, '.spoolroom', 'journal'), 'of somebody else\n');
    const { exit, bad, seen } = await check(spool);
    assert.deepEqual([exit, bad], [1, ['trouble journal', 'warning spool']]);
    assert.match(seen('journal'), /is not a journal of this program/);
  });

  for (const [what, settings, bad] of [
    ['a spool that is not there', { spool: '/nonexistent/spool' }, ['trouble spool']],
    ['no spool', { spool: null }, ['trouble spool']],
    ['a host name that is none', { hostname: 'localhost' }, ['warning hostname']],
    [
      'a host name that cannot be in the DNS',
      { hostname: 'my_host.example' },
      ['warning hostname', 'warning reports'],
    ],
    ['name servers that are not there', { dns: '127.0.0.1:1' }, ['trouble dns']],
    ['a relay entry that makes no sense', { smarthost: 'http://x' }, ['trouble settings']],
    ['a relay without a name in the DNS', { smarthost: 'gone.example' }, ['trouble smarthost']],
    ['a relay that refuses connections', { smarthost: '127.0.0.1:1' }, ['trouble smarthost']],
    ['the same as a fallback', { fallbackhost: '127.0.0.1:1' }, ['warning fallbackhost']],
    ['reports that nobody takes', { return: 'smtp://127.0.0.1:1' }, ['warning reports']],
    ['a socket for reports that is not there', { return: 'lmtp:/nonexistent/lmtp' }, ['warning reports']],
    ['a return path that is none', { return: 'pigeon' }, ['trouble reports']],
    ['no server for reports', { return: 'room' }, ['warning reports']],
  ] as const) {
    it(what, async (t) => {
      const found = await check(spoolOf(t, {}), settings);
      assert.deepEqual(found.bad, bad);
      assert.equal(found.exit, bad[0]?.startsWith('trouble') === true ? 1 : 0);
      for (const { grade, advice } of found.findings) assert.equal(advice === '', grade === 'ok');
    });
  }

  it('does not take our own intake for a server that takes reports', async (t) => {
    for (const settings of [
      { return: 'smtp://localhost:2525' },
      { return: 'smtp://127.0.0.1:2626', 'intake.listen': ['2525', '127.0.0.1:2626'] },
      { return: 'lmtp:/run/in', 'intake.listen': ['/run/in'] },
    ]) {
      const { bad, seen } = await check(spoolOf(t, {}), settings);
      assert.deepEqual(bad, ['trouble reports']);
      assert.match(seen('reports'), /is our own intake/);
    }
  });

  const CA = fileURLToPath(new URL('../../fixtures/certificates/ca.crt', import.meta.url));
  const password = { smarthost: 'user:geheim@', 'tls-ca': CA };
  const { mail, expired, selfSigned } = certificates;
  const never: Script = async (peer) => {
    await peer.say('220 relay.example\r\n');
    await peer.expect(/^EHLO/);
    await peer.say('421 4.3.2 not now\r\n');
    peer.end();
  };
  const AUTH = 'AUTH PLAIN LOGIN';
  const offers =
    (...each: readonly string[]): Script =>
    async (peer) => {
      await peer.say('220 relay.example\r\n');
      await introduced(peer, ...each);
      await leaves(peer);
    };
  for (const [what, script, settings, exit, seen, advice] of [
    ['that takes everything', encrypts(mail, AUTH), password, 0, /\(TLSv1\.3\), password not tried$/, /^$/],
    [
      'with an expired certificate',
      encrypts(expired),
      password,
      1,
      /TLS failed: .*expired/,
      /certificate is not trusted/,
    ],
    [
      'with a self-made certificate',
      encrypts(selfSigned),
      { 'relay-tls': 'require' },
      1,
      /TLS failed: .*self-signed/,
      /tls-ca/,
    ],
    ['without STARTTLS', offers(AUTH), password, 1, /offers no STARTTLS, and TLS is required/, /relay-tls/],
    [
      'that takes no password',
      encrypts(mail),
      password,
      1,
      /no way to authenticate/,
      /user and password from the entry/,
    ],
    [
      'that hangs up at EHLO',
      never,
      {},
      1,
      /replied 421 4\.3\.2 not now while we were waiting for the answer to EHLO$/,
      /it waits/,
    ],
  ] as const) {
    it(`a relay ${what}`, () =>
      withRelay(script, async (relay) => {
        const smarthost = `${'smarthost' in settings ? settings.smarthost : ''}${relay}`;
        const {
          exit: code,
          findings,
          text,
        } = await check(null, {
          state: '/nonexistent',
          return: 'smtp://127.0.0.1:1',
          ...settings,
          smarthost,
        });
        const found = findings.find(({ check }) => check === 'smarthost');
        assert.match(found?.seen ?? '', seen);
        assert.match(found?.advice ?? '', advice);
        assert.equal(code, exit);
        assert.ok(!text.includes('geheim'));
      }));
  }

  it('a relay whose TLS fails gets mail in clear, and that is reported', () =>
    withRelay(
      async (peer, connection) => {
        await peer.say('220 relay.example\r\n');
        await introduced(peer, 'STARTTLS');
        if (connection > 1) return leaves(peer);
        await peer.expect('STARTTLS');
        await peer.say('220 go\r\n');
        await peer.reset();
      },
      async (smarthost) => {
        const { exit, bad, seen } = await check(null, {
          state: '/x',
          return: 'smtp://127.0.0.1:1',
          smarthost,
        });
        assert.ok(exit === 0 && bad.includes('warning smarthost'));
        assert.match(seen('smarthost'), /\(no TLS\); TLS failed: it reset the connection$/);
      },
    ));

  it('tells what deliveries have met with a relay, as long as it is one', (t) =>
    withRelay(greets, async (relay) => {
      const spool = spoolOf(t, {});
      fs.mkdirSync(path.join(spool, '.spoolroom'));
      const alert = {
        since: 1_400_000_000,
        text: 'The relay rejects our login (535 no). Mail waits.',
        told: 1_400_000_000,
        met: 1_400_000_000,
      };
      fs.writeFileSync(
        path.join(spool, '.spoolroom/alerts'),
        JSON.stringify({ [`relay ${relay} login`]: alert, 'relay 192.0.2.9:25 login': alert }),
      );
      const { bad, exit, seen } = await check(spool, { smarthost: relay });
      assert.deepEqual([bad, exit], [['trouble relay'], 1]);
      assert.match(seen('relay'), /^since 2014-05-13.*: The relay rejects our login \(535 no\)\./);
    }));

  it('tells of reports that wait, until they are taken (R222)', async (t) => {
    const spool = spoolOf(t, {});
    fs.mkdirSync(path.join(spool, '.spoolroom'));
    const alert = {
      since: 1_400_000_000,
      text: 'The report waits.',
      told: 1_400_000_000,
      met: 1_400_000_000,
    };
    fs.writeFileSync(
      path.join(spool, '.spoolroom/alerts'),
      JSON.stringify({
        ...{ 'report 3': alert, 'report path': alert, 'warning: x': alert },
        'threshold queue-size': { ...alert, text: 'The queue is long.' },
      }),
    );
    const { bad, seen } = await check(spool);
    assert.ok(bad.includes('trouble reports'), bad.join());
    assert.match(seen('reports'), /^since 2014-05-13.*: The report waits\. The same with 1 more\./);
    assert.match(seen('alert'), /^since 2014-05-13.*: The queue is long\.$/);
  });

  it('one working smart host of two is enough', (t) =>
    withRelay(greets, async (relay) => {
      const { exit, bad } = await check(spoolOf(t, {}), { smarthost: ['127.0.0.1:1', relay] });
      assert.deepEqual([exit, bad], [0, ['warning smarthost']]);
    }));

  it('reports that no relay is taken from the file that was named for it', async (t) => {
    const file = path.join(temporaryDirectory(t), 'internet');
    fs.writeFileSync(file, 'citadel.example|localhost\n');
    const { bad, seen } = await check(spoolOf(t, {}), { 'internet-config': file });
    assert.ok(bad.includes('warning settings'));
    assert.match(seen('settings'), /internet has no smarthost line/);
    fs.writeFileSync(file, 'relay.example\n');
    const other = await check(spoolOf(t, {}), { 'internet-config': file });
    assert.match(other.seen('settings'), /has no line like relay\.example\.org\|smarthost/);
  });

  it('never shows a password, and reports a file in which everybody can read it', async (t) => {
    const config = path.join(temporaryDirectory(t), 'spoolroom.json');
    fs.writeFileSync(config, '{}', { mode: 0o644 });
    const settings = { config, smarthost: 'user:geheim@127.0.0.1:1' };
    const { bad, text } = await check(spoolOf(t, {}), settings);
    assert.deepEqual(bad, ['warning secrets', 'trouble smarthost']);
    assert.ok(!text.includes('geheim'));
    fs.chmodSync(config, 0o640);
    assert.deepEqual((await check(spoolOf(t, {}), settings)).bad, ['trouble smarthost']);
  });

  it('reports a file with settings that somebody else can change (R292)', async (t) => {
    const config = path.join(temporaryDirectory(t), 'spoolroom.json');
    fs.writeFileSync(config, '{}');
    fs.chmodSync(config, 0o646);
    const open = await check(spoolOf(t, {}), { config });
    assert.match(open.seen('settings'), /every user of this machine can change .*spoolroom\.json/);
    assert.ok(open.bad.includes('warning settings'));
    fs.chmodSync(config, 0o644);
    if (process.geteuid?.() === 0) {
      fs.chownSync(config, 65_534, 65_534);
      assert.match((await check(spoolOf(t, {}), { config })).seen('settings'), /user 65534 can change/);
      fs.chownSync(config, 0, 0);
    }
    assert.ok(!(await check(spoolOf(t, {}), { config })).bad.includes('warning settings'));
  });

  it('is printed for people with the worst finding at the bottom', () => {
    const findings: readonly Finding[] = [
      { check: 'dns', grade: 'trouble', seen: 'no answer', advice: 'Look.' },
      { check: 'hostname', grade: 'ok', seen: 'a.example', advice: '' },
    ];
    assert.equal(
      checkReport(findings, false),
      'ok       hostname  a.example\ntrouble  dns       no answer\n                   Look.\nMail or reports are not delivered: see the trouble above.',
    );
    assert.match(checkReport(findings.slice(1), false), /\nNo problems found\.$/);
  });
});

/** Gives each RCPT its reply, by recipient; a message would be unexpected. */
const asked =
  (replies: Readonly<Record<string, string>>): Script =>
  async (peer) => {
    await peer.say('220 relay.example\r\n');
    await introduced(peer);
    for (const [recipient, reply] of Object.entries(replies)) {
      await peer.expect('MAIL FROM:<>');
      await peer.say('250 ok\r\n');
      await peer.expect(`RCPT TO:<${recipient}>`);
      await peer.say(`${reply}\r\n`);
      await peer.expect('RSET');
      await peer.say('250 ok\r\n');
    }
    await leaves(peer);
  };

describe('the server that accepts reports', () => {
  const AIDE = 'room_aide@citadel.example';
  const GREETING = String.raw`^\[127\.0\.0\.1\]:\d+ greets: relay\.example \(no TLS\)`;
  for (const [what, script, bad, seen] of [
    [
      'is asked for a sender and the last resort',
      asked({ 'a@example.org': '250 ok', [AIDE]: '250 ok' }),
      [],
      `${GREETING}; it takes reports for a@example\\.org, ${AIDE}$`,
    ],
    [
      'does not know one of them',
      asked({ 'a@example.org': '250 ok', [AIDE]: '550 5.1.1 not here' }),
      ['warning reports'],
      `${GREETING}; it takes reports for a@example\\.org; it does not take reports for ${AIDE}: replied 550 5\\.1\\.1 not here while`,
    ],
    [
      'hangs up when it is asked',
      async (peer: RawPeer) => {
        await peer.say('220 relay.example\r\n');
        await introduced(peer);
        await peer.expect('MAIL FROM:<>');
        peer.end();
      },
      ['warning reports'],
      `${GREETING}; it does not take reports for a@example\\.org: `,
    ],
    [
      'refuses mail in its greeting',
      async (peer: RawPeer) => {
        await peer.say('554-go\r\n554 away\r\n');
        await leaves(peer);
      },
      ['warning reports'],
      ':\\d+ replied 554 go away while we were waiting for the greeting$',
    ],
    [
      'speaks another protocol',
      async (peer: RawPeer) => {
        await peer.say('SSH-2.0-x\r\n');
      },
      ['warning reports'],
      'SSH-2\\.0-x',
    ],
  ] as const) {
    it(what, (t) =>
      withRelay(script, async (server) => {
        const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'b@example.com') });
        const found = await check(spool, { return: `smtp://${server}`, now: NOW });
        const reports = found.bad.filter((each) => each.endsWith(' reports'));
        assert.deepEqual(reports, bad);
        assert.match(found.seen('reports'), new RegExp(seen));
      }),
    );
  }

  it('is given 20 seconds for each step, and is cut off after QUIT', async () => {
    for (const said of [[], ['220 here', '250 here']]) {
      const clock = createManualClock();
      let events: ConnectionEvents | null = null;
      let destroyed = 0;
      const connection = { write: () => true, startTls() {}, end() {}, destroy: () => void destroyed++ };
      const peer = { host: 'mx.example', address: '192.0.2.1', port: 25 };
      const read = readSettings({ hostname: 'citadel.example' });
      assert.ok(read.ok);
      const rules = await loadRules(read.settings);
      assert.ok(!('kind' in rules));
      const found = probeServer((withoutTls) => reportSession(rules, peer, 'smtp', withoutTls), {
        clock,
        connect: (_, listener) => {
          events = listener;
          return connection;
        },
      });
      const server = events as ConnectionEvents | null;
      server?.connected();
      for (const line of said) server?.lines([line], false);
      clock.advance(20_000);
      const result = await found;
      assert.equal(result.kind, said.length === 0 ? 'failed' : 'ready');
      if (result.kind === 'failed') assert.match(result.failure.text, /20 s/);
      assert.equal(destroyed, 1);
    }
  });
});

it('a backlog of any size is counted', async (t) => {
  const spool = spoolOf(t, {});
  const deps = bench();
  const opened = await openSpoolReadOnly(spool, deps, SETTINGS_2012);
  assert.ok(opened.kind === 'open');
  const recipients = [{ address: 'b@a.example', status: 0, text: '' }];
  const job = { ...emptyJob('2012'), msgid: 1, submitted: NOW - 3600, recipients };
  const jobs = Array.from({ length: 150_000 }, (_, control) => ({ control, job, warnings: [] }));
  const readable = (text: string): string => text;
  const rest = { schedule: SCHEDULE, readable, orphanAge: 0, slowed: null };
  const { seen } = runnerFinding(jobs, { spool, deps, view: opened.view, now: NOW, ...rest });
  assert.match(seen, /150000 jobs are overdue, by up to 60 min/);
});

it('a spool that may not be read is refused with a reason', async (t) => {
  const spool = spoolOf(t, {});
  const list = (): never => {
    throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
  };
  const opened = await openSpoolReadOnly(spool, bench({ disk: { ...nodeDisk, list } }), SETTINGS_2012);
  assert.equal(opened.kind === 'refused' && opened.why, 'denied');
});

describe('what check ends with', () => {
  const finding = (grade: Finding['grade']): Finding => ({ check: 'x', grade, seen: 'y', advice: '' });
  for (const [grades, exit, strict] of [
    [['ok'], 0, 0],
    [['ok', 'warning'], 0, 2],
    [['warning', 'trouble'], 1, 1],
  ] as const)
    it(`${grades.join(' and ')}: ${exit}, strict: ${strict}`, () => {
      const findings = grades.map(finding);
      const caught = caughtTerminal();
      assert.equal(printFindings(findings, invocation(caught, {})), exit);
      assert.equal(printFindings(findings, invocation(caught, { strict: true })), strict);
    });
});
