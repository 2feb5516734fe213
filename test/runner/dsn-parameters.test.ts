/** RFC 3461 from the queue to the server and to the report: whole runs over a spool in memory, in a scripted world. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { composeDsn } from '../../src/dsn/compose.ts';
import { DsnSender } from '../../src/dsn/sender.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { openDsnStore } from '../../src/queue/spool/notes/dsn-store.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { World } from '../../src/replay/world/world.ts';
import { type DeliveryEvents, readyDeliveries } from '../../src/runner/deliveries.ts';
import { type RunEvents, runQueue } from '../../src/runner/queue-runner.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import { type DsnRequest, dsnRequest } from '../../src/smtp/dsn-request.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { FakeMachine } from '../support/processes.ts';
import { MAIL, NEW_JOB, NOW, seededRandom } from '../support/spool.ts';

const SPOOL = '/spool';
const PLAIN = '250-mx\n250-PIPELINING\n250 8BITMIME';
const WITH_DSN = '250-mx\n250-PIPELINING\n250 DSN';
const TO = 'b@example.com';

interface Ran {
  readonly commands: readonly string[];
  readonly reports: readonly string[];
  readonly suppressed: readonly string[];
  readonly files: readonly string[];
}

/** One run with one message to one recipient. */
async function run(dsn: DsnRequest | null, ehlo: string, rcpt = '250 2.1.5 ok'): Promise<Ran> {
  const clock = new VirtualClock(NOW * 1000);
  const disk = new MemoryDisk(() => clock.now());
  disk.mkdir(SPOOL, { mode: 0o770, uid: 0, gid: 0 });
  const names = { '*': { mx: [[10, 'mx.$']] as const, a: ['192.0.2.9'] } };
  const world = new World({ names, servers: { '*': { ehlo, rcpt: { '*': rcpt } } } }, clock);
  const read = readSettings({ hostname: 'me.example' });
  if (!read.ok) throw new Error('the defaults are wrong');
  const rules = rulesFrom(read.settings, {
    ...{ hostname: 'me.example', ehloName: 'me.example', relays: [], charset: unknown8bit },
    ...{ certificates: [], signer: null, warnings: [], interfaces: [] },
  });
  const deps = {
    disk,
    clock,
    processes: new FakeMachine().start(),
    random: seededRandom(1),
    warn: assert.fail,
  };
  const commands: string[] = [];
  const reports: string[] = [];
  const suppressed: string[] = [];
  const work = async (): Promise<void> => {
    const opened = await openSpoolQueue(SPOOL, deps, { dialect: '2012', spans: rules.due.schedule.retry });
    if (opened.kind === 'refused') throw new Error(opened.text);
    const { queue } = opened;
    await queue.enqueue(Buffer.from(MAIL), { ...NEW_JOB, ...(dsn === null ? {} : { dsn }) });
    const dsnSender = new DsnSender(
      {
        ...{ queue, clock, random: deps.random, store: openDsnStore(SPOOL, deps) },
        transport: {
          name: 'test',
          send: async (report) => {
            reports.push(report.text ?? '');
            return { kind: 'safe', where: 'here' };
          },
        },
        compose: (report, stamp) => clock.standStill(composeDsn(report, stamp)),
        events: {
          sent: () => {},
          suppressed: ({ recipients, reason }) => void suppressed.push(`${recipients}: ${reason}`),
          waiting: ({ why }) => assert.fail(why),
        },
      },
      {
        ...{ site: { fqdn: 'me.example', aide: 'aide@me.example' }, author: 'postmaster@me.example' },
        ...{ schedule: rules.due.schedule, render: rules.render, signer: null },
      },
    );
    const { resolver, connect } = world;
    const events = {
      outcome: () => {},
      quarantined: assert.fail,
      warning: assert.fail,
      trace: (_: unknown, event: { what: string; step?: { effects: readonly { type: string }[] } }) => {
        if (event.what !== 'session') return;
        for (const effect of event.step?.effects ?? [])
          if (effect.type === 'write')
            commands.push(...((effect as { bytes?: string }).bytes?.split('\r\n') ?? []));
      },
    } as unknown as RunEvents & DeliveryEvents;
    await runQueue(
      readyDeliveries({ queue, clock, random: () => 0.5, resolver, connect, events, dsnSender }, rules),
      rules,
      new AbortController().signal,
    );
    await queue.close();
  };
  await clock.runUntil(work());
  const files = disk.status(`${SPOOL}/.spoolroom/dsn`) === null ? [] : disk.list(`${SPOOL}/.spoolroom/dsn`);
  return { commands, reports, suppressed, files: files.map(({ name }) => name) };
}

function asked(
  notify: string | null,
  more: Partial<DsnRequest> = {},
  orcpt: string | null = null,
): DsnRequest {
  const recipients = new Map([[TO, { notify, orcpt }]]);
  return dsnRequest({ ret: null, envid: null, ...more }, recipients) as DsnRequest;
}

const said = ({ commands }: Ran): readonly string[] => commands.filter((line) => /^(?:MAIL|RCPT)/.test(line));

describe('what a sender asked for', () => {
  it('is passed on to a server that offers DSN, as it came', async () => {
    const request = asked('SUCCESS,DELAY', { ret: 'HDRS', envid: 'QQ+2B1' }, 'rfc822;Bob@example.com');
    const ran = await run(request, WITH_DSN);
    assert.deepEqual(said(ran), [
      'MAIL FROM:<a@example.org> RET=HDRS ENVID=QQ+2B1',
      'RCPT TO:<b@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@example.com',
    ]);
    assert.deepEqual([ran.reports, ran.files], [[], []]);
  });

  it('is not said to a server that does not; a success is reported as relayed', async () => {
    const ran = await run(asked('SUCCESS', { envid: 'QQ+2B1' }, 'rfc822;Bob+2B@example.com'), PLAIN);
    assert.deepEqual(said(ran), ['MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']);
    const [report = ''] = ran.reports;
    assert.equal(ran.reports.length, 1);
    assert.match(report, /^Subject: Delivery Status Notification \(Relayed\)\r$/m);
    assert.match(report, /^Original-Envelope-Id: QQ\+1\r$/m);
    assert.match(report, /^Original-Recipient: rfc822; Bob\+@example\.com\r$/m);
    assert.match(report, /^Action: relayed\r\nStatus: 2\.0\.0\r$/m);
    assert.match(report, /^Content-Type: text\/rfc822-headers/m);
  });

  it('is nothing, where nothing was asked', async () => {
    const ran = await run(null, WITH_DSN);
    assert.deepEqual(said(ran), ['MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']);
    assert.deepEqual(ran.reports, []);
  });

  for (const [notify, reports] of [
    ['NEVER', 0],
    ['DELAY', 0],
    ['FAILURE', 1],
    [null, 1],
  ] as const)
    it(`decides about the report of a failure: NOTIFY=${notify}`, async () => {
      const request = notify === null ? null : asked(notify);
      const ran = await run(request, PLAIN, '550 5.1.1 no such user');
      assert.equal(ran.reports.length, reports);
      assert.deepEqual(
        ran.suppressed,
        reports === 0 ? [`${TO}: its sender asked for none (NOTIFY=${notify})`] : [],
      );
    });

  for (const [ret, part] of [
    ['HDRS', /^Content-Type: text\/rfc822-headers/m],
    ['FULL', /^Content-Type: message\/rfc822/m],
  ] as const)
    it(`decides what a report returns: RET=${ret}`, async () => {
      const ran = await run(asked('FAILURE', { ret }), PLAIN, '550 5.1.1 no such user');
      assert.match(ran.reports[0] ?? '', part);
    });

  it('REQUIRETLS that cannot be had is told at once, with the header alone (RFC 8689 5)', async () => {
    const ran = await run(asked('FAILURE', { ret: 'FULL', requireTls: true }), PLAIN);
    assert.deepEqual(said(ran), []);
    const [report = ''] = ran.reports;
    assert.match(report, /^Status: 5\.7\.10\r$/m);
    assert.match(report, /^Content-Type: text\/rfc822-headers/m);
    assert.deepEqual(ran.files, []);
  });
});
