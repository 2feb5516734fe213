/** `check --citadel`: era, relay lines as each era reads them, and what would go wrong with the two ways beside it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { command } from '../../src/cli/commands/check.ts';
import { perform } from '../../src/cli/shell/main.ts';
import type { Finding } from '../../src/output/check-report.ts';
import { encodeProbeState } from '../../src/queue/citadel/rival/probe.ts';
import { type CitadelDouble, type Era, startCitadel } from '../support/citadel-server.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { type Script, startRawServer } from '../support/raw-server.ts';
import { spoolOf, temporaryDirectory } from '../support/spool.ts';

interface Site {
  readonly citadel: CitadelDouble;
  check(settings?: object): Promise<{
    readonly exit: number;
    /** of the checks of the Citadel server */
    readonly bad: readonly string[];
    advice(name: string): readonly string[];
    seen(name: string): readonly string[];
  }>;
}

const LOOKS = new Set([
  'settings',
  'citadel',
  'dialect',
  'its name',
  'its relays',
  'route',
  'loop',
  'intake',
  'probe',
]);

async function site(t: TestContext, era: Era, config: string): Promise<Site> {
  const folder = temporaryDirectory(t);
  const login = path.join(folder, 'login');
  fs.writeFileSync(login, 'admin\nadminpass\n', { mode: 0o600 });
  const citadel = await startCitadel(path.join(folder, 'citadel-admin.socket'), { era });
  t.after(() => citadel.close());
  citadel.config = config;
  const spool = spoolOf(t, {});
  const check = async (settings: object = {}) => {
    const caught = caughtTerminal();
    const given = {
      ...{ spool, dns: '127.0.0.1:1', hostname: 'queue.example', return: 'smtp://127.0.0.1:1', json: true },
      ...{ citadel: citadel.path, 'citadel-login': login, 'intake.listen': '127.0.0.1:1', ...settings },
    };
    const exit = await perform(command, invocation(caught, given));
    const findings: readonly Finding[] = JSON.parse(caught.printed.join('\n')).findings;
    for (const { grade, advice } of findings) assert.equal(advice === '', grade === 'ok');
    return {
      exit,
      bad: findings
        .filter(({ check, grade }) => LOOKS.has(check) && grade !== 'ok')
        .map(({ check, grade }) => `${grade} ${check}`),
      advice: (name: string) => findings.filter(({ check }) => check === name).map(({ advice }) => advice),
      seen: (name: string) => findings.filter(({ check }) => check === name).map(({ seen }) => seen),
    };
  };
  return { citadel, check };
}

/** A listener with this greeting; resolves to its port. */
async function greeter(t: TestContext, greeting: string): Promise<number> {
  const script: Script = async (peer) => {
    await peer.say(`${greeting}\r\n`);
    await peer.expect(/^EHLO/);
    await peer.say('250 here\r\n');
    await peer.expect('QUIT');
    peer.end();
  };
  const server = await startRawServer(script);
  t.after(() => server.close());
  return server.port;
}

describe('check --citadel', () => {
  for (const era of ['2012', '2016', '2023'] as const) {
    it(`recognises a server of ${era}`, async (t) => {
      const { check } = await site(t, era, '');
      const { seen } = await check();
      assert.match(seen('citadel').join(), new RegExp(`answers like a Citadel server of ${era}; 0 messages`));
      assert.deepEqual(seen('its name'), ['it calls itself citref.example']);
    });
  }

  it('does not take the server whose relays are read for a file with passwords', async (t) => {
    const { check } = await site(t, '2016', 'u:geheim@b.example|smarthost\n');
    const [before, folder] = [process.cwd(), temporaryDirectory(t)];
    t.after(() => process.chdir(before));
    fs.mkdirSync(path.join(folder, 'citadel'), { mode: 0o755 });
    process.chdir(folder);
    assert.deepEqual((await check({ 'internet-config': 'citadel' })).seen('secrets'), []);
  });

  it('shows how each era reads the relay lines, and no password', async (t) => {
    const lines = 'a.example|smarthost\nu:geheim@b.example|smarthost\nc.example|fallbackhost\n';
    const { check } = await site(t, '2016', `${lines}d.example|smarthost \n`);
    const { seen, bad } = await check();
    assert.deepEqual(seen('its relays'), [
      'spoolroom reads them as a.example, ***@b.example, c.example',
      'servers of 2012 and 2016 read them as ***@b.example, a.example, c.example, and no delivery by MX',
      'servers since 2017 read them as a.example, ***@b.example',
      'line 4, d.example: Citadel ignores the line, because there are blanks or a CR around "smarthost"',
    ]);
    assert.deepEqual(bad, ['warning its relays', 'warning route', 'warning intake']);
  });

  it('shows the same for a file', async (t) => {
    const { check } = await site(t, '2016', '');
    const file = path.join(temporaryDirectory(t), 'lines');
    fs.writeFileSync(file, '127.0.0.1:1|fallbackhost\n');
    const { seen } = await check({ citadel: null, 'internet-config': file });
    assert.deepEqual(seen('its relays'), [
      'spoolroom reads them as 127.0.0.1:1 after the MX hosts',
      'servers of 2012 and 2016 read them as 127.0.0.1:1, and no delivery by MX',
      'servers since 2017 read them as 127.0.0.1:1 after the MX hosts',
    ]);
  });

  it('finds no fault with the intake when Citadel names it and it greets', async (t) => {
    const port = await greeter(t, '220 queue.example ESMTP spoolroom');
    const { check } = await site(t, '2012', `127.0.0.1:${port}|smarthost\n`);
    const { bad, seen } = await check({ 'intake.listen': `127.0.0.1:${port}` });
    assert.deepEqual(bad, []);
    assert.match(seen('route').join(), /its mail comes to our intake: 127\.0\.0\.1:\d+$/);
  });

  it('reports a missing intake, another program at its port, lines beside it', async (t) => {
    const { check, citadel } = await site(t, '2016', '127.0.0.1:1|smarthost\n');
    assert.deepEqual((await check()).bad, ['trouble intake']);
    const port = await greeter(t, '220 other.example ESMTP Postfix');
    citadel.config = `localhost:${port}|smarthost\nb.example|fallbackhost\n`;
    const { bad, exit } = await check({ 'intake.listen': `127.0.0.1:${port}` });
    assert.deepEqual([exit, bad], [1, ['warning route', 'trouble intake']]);
  });

  it('reports a mail loop, and both ways at once', async (t) => {
    const { check } = await site(t, '2016', '127.0.0.1:1|smarthost\n');
    assert.deepEqual((await check({ 'internet-config': 'citadel' })).bad, ['trouble loop', 'trouble intake']);
    const live = { spool: null, state: temporaryDirectory(t) };
    assert.deepEqual((await check(live)).bad, ['trouble route']);
  });

  it('reports a probe that somebody removed', async (t) => {
    const { check, citadel } = await site(t, '2016', '');
    const state = temporaryDirectory(t);
    const live = { spool: null, state };
    assert.match((await check(live)).seen('probe').join(), /not posted yet/);
    const number = citadel.post('msgid|0\n');
    fs.mkdirSync(path.join(state, '.spoolroom'));
    const stored = { flag: number, probe: null, waited: 150_000, looked: 0, alarm: null };
    const remember = (changes: object) =>
      fs.writeFileSync(path.join(state, '.spoolroom', 'trial'), encodeProbeState({ ...stored, ...changes }));
    remember({});
    assert.deepEqual((await check(live)).bad, []);
    remember({ probe: number, waited: 70_000 });
    assert.match((await check(live)).seen('probe').join(), /70 of 150 seconds/);
    remember({ alarm: 'removed the flag, the message 3' });
    assert.match((await check(live)).seen('probe').join(), /another program removed the flag, the message 3/);
    remember({});
    citadel.messages.clear();
    assert.deepEqual((await check(live)).bad, ['warning probe'], 'the probe period begins again');
    remember({ probe: number });
    assert.deepEqual((await check(live)).bad, ['trouble probe']);
  });

  it('tells of a dialect that the server does not read', async (t) => {
    const { check } = await site(t, '2023', '');
    const live = { spool: null, state: temporaryDirectory(t) };
    assert.deepEqual((await check(live)).bad, []);
    const { bad, seen } = await check({ ...live, dialect: '2012' });
    assert.deepEqual(bad, ['warning dialect']);
    assert.match(seen('dialect').join(), /The setting dialect is 2012, but .* reads 2017/);
  });

  it('says what to do where the queue room is missing', async (t) => {
    const { check, citadel } = await site(t, '2012', '');
    citadel.fault = (line) => (line.startsWith('GOTO __') ? { answer: '572 room not found\n' } : null);
    const { bad, seen, advice } = await check({ spool: null, state: temporaryDirectory(t) });
    assert.deepEqual(bad, ['trouble citadel']);
    assert.match(seen('citadel').join(), /has no queue room \(572 room not found\)\.$/);
    assert.match(advice('citadel').join(), /^Start the server once with its own SMTP module/);
  });

  it('asks for no spool when only the server is checked', async (t) => {
    const { check } = await site(t, '2016', '127.0.0.1:1|smarthost\n');
    const { seen } = await check({ spool: null });
    assert.deepEqual(seen('spool'), []);
    assert.match(seen('citadel').join(), /answers like a Citadel server of 2016/);
  });

  it('reports the flag of another spoolroom, as a run does', async (t) => {
    const { check, citadel } = await site(t, '2016', '');
    const state = temporaryDirectory(t);
    const live = { spool: null, state };
    const flag = citadel.post('msgid|0\nsubmitted|1\nremote|flag.ab@spoolroom.invalid|2|\n');
    const { bad, seen } = await check(live);
    assert.deepEqual(bad, ['trouble probe']);
    assert.match(seen('probe').join(), new RegExp(`another spoolroom, ${flag}`));
    fs.mkdirSync(path.join(state, '.spoolroom'));
    fs.writeFileSync(path.join(state, '.spoolroom', 'id'), 'ab\n');
    assert.deepEqual((await check(live)).bad, [], 'our own');
  });

  it('warns of the order in which a server of 2016 with a smarthost reads lists of ours (R239)', async (t) => {
    const rows = [
      ['2016', 'r.example|smarthost\n', true],
      ['2016', '', false],
      ['2016', 'r.example|fallbackhost\n', false],
      ['2012', 'r.example|smarthost\n', false],
      ['2023', 'r.example|smarthost\n', false],
    ] as const;
    for (const [era, relays, warned] of rows) {
      const { check } = await site(t, era, relays);
      const { advice } = await check({ spool: null, state: temporaryDirectory(t) });
      assert.equal(advice('hand-back').length, warned ? 1 : 0, `${era} ${relays}`);
    }
  });

  it('does not take a refused listing for an empty queue', async (t) => {
    const { check, citadel } = await site(t, '2016', '');
    citadel.fault = (line) => (line === 'MSGS ALL' ? { answer: '552 busy\n' } : null);
    const { bad, seen } = await check({ spool: null, state: temporaryDirectory(t) });
    assert.deepEqual(bad, ['trouble citadel']);
    assert.match(seen('citadel').join(), /did not list its queue: 552 busy/);
  });

  it('reports a server that cannot be asked', async (t) => {
    const { check, citadel } = await site(t, '2016', '');
    assert.deepEqual((await check({ 'citadel-login': null })).bad, ['trouble citadel']);
    assert.deepEqual((await check({ citadel: `${citadel.path}.gone` })).bad, ['trouble citadel']);
    citadel.fault = (line) => (line.startsWith('GOTO') ? { answer: '572 room not found\n' } : null);
    const { bad, seen } = await check();
    assert.deepEqual(bad, ['trouble citadel']);
    assert.match(seen('citadel').join(), /has no queue room/);
  });
});
