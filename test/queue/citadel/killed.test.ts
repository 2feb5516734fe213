/**
 * Real processes that deliver from a live room over a socket, killed at random commands. No recipient is lost, and none
 * whose outcome was on the disk or in the room when a process died gets the message from a later one.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test } from 'node:test';
import { decodeJournal } from '../../../src/queue/journal.ts';
import { type CitadelDouble, listOf } from '../../support/citadel-server.ts';
import { LOGIN, liveScene, openProven, probesIn } from '../../support/live-room.ts';
import { PROGRAM } from '../../support/program.ts';
import { startSmtpServer } from '../../support/smtp-servers.ts';
import { SETTINGS_2012, SETTINGS_2017, seededRandom } from '../../support/spool.ts';

const MAILS = 12;
const KILLS = 4;
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

function recipientsOf(mail: number): string[] {
  return ['a', 'b', 'later'].map((who) => `${who}${mail}@example.com`);
}

/** Recipients whose delivery a later process can see: in the journal, or in a control message. */
function durable(state: string, spool: string, { messages }: CitadelDouble): Set<string> {
  const known = new Set<string>();
  const path = `${state}/.spoolroom/journal`;
  const read = fs.existsSync(path) ? decodeJournal(fs.readFileSync(path), path, spool) : null;
  for (const record of read?.kind === 'read' ? read.records : []) {
    const settled =
      record.record === 'finish'
        ? record.recipients
        : record.changes.flatMap((change) => (change.status === 2 ? [change.address] : []));
    for (const address of settled) known.add(address);
  }
  for (const message of messages.values())
    for (const [, address = ''] of (listOf(message) ?? '').matchAll(/^remote\|([^|]*)\|2\|/gm))
      known.add(address);
  return known;
}

for (const [era, settings] of [
  ['2016', SETTINGS_2012],
  ['2023', SETTINGS_2017],
] as const) {
  test(`${era}: killed at random commands (SEED=${SEED})`, { timeout: 120_000 }, async (t) => {
    const random = seededRandom(SEED);
    const scene = await liveScene(t, era);
    const { double, options } = scene;
    await (await openProven(scene, settings)).close();
    const relay = await startSmtpServer({ greylist: true });
    t.after(() => relay.close());
    const submitted = Math.floor(Date.now() / 1000);
    for (let mail = 0; mail < MAILS; mail++) {
      const number = double.postMail('Subject: hello\r\nFrom: alice@citref.example\r\n\r\nHello.\r\n');
      const lines = recipientsOf(mail).map((address) => `remote|${address}|0||\n`);
      double.post(
        `msgid|${number}\nsubmitted|${submitted}\nbounceto|alice@citref.example\n${lines.join('')}`,
      );
    }
    const login = `${options.state}/login`;
    fs.writeFileSync(login, `${LOGIN.user}\n${LOGIN.password}\n`, { mode: 0o600 });
    const way = `127.0.0.1:${relay.port}`;
    const words = [
      'run',
      '--force',
      '--citadel',
      double.path,
      '--citadel-login',
      login,
      '--state',
      options.state,
    ];
    words.push(
      '--dialect',
      settings.dialect,
      '--smarthost',
      way,
      '--return',
      `smtp://${way}`,
      '--transcripts',
      'none',
    );
    words.push('--limit.recipients', '1');
    const start = (): ChildProcess =>
      spawn(process.execPath, [...PROGRAM, ...words], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });

    const before: Set<string>[] = [];
    const acceptedBefore: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const child = start();
      let left = 3 + Math.floor(random() * 110);
      double.fault = () => {
        if (left-- === 0) child.kill('SIGKILL');
        return left < 0 ? 'lost-before' : null;
      };
      await once(child, 'close');
      double.fault = () => null;
      before.push(durable(options.state, `citadel ${double.path} 0`, double));
      acceptedBefore.push(relay.accepted.length);
    }
    for (let run = 0; run < 3; run++) {
      const child = start();
      let printed = '';
      child.stderr?.on('data', (bytes) => {
        printed += bytes;
      });
      const [exit] = await once(child, 'close');
      assert.equal(exit, 0, printed);
    }

    const accepted = relay.accepted.map(({ recipients }) => recipients[0] ?? '');
    for (const [kill, known] of before.entries()) {
      const again = accepted.slice(acceptedBefore[kill]).filter((address) => known.has(address));
      assert.deepEqual(again, [], `SEED=${SEED}, after kill ${kill}`);
    }
    const all = Array.from({ length: MAILS }, (_, mail) => recipientsOf(mail)).flat();
    assert.deepEqual([...new Set(accepted)].sort(), all.sort(), `SEED=${SEED}: everybody got it`);
    assert.deepEqual([...double.messages.keys()], probesIn(double), `SEED=${SEED}: nothing is left`);
    t.diagnostic(
      `SEED=${SEED}: ${KILLS} kills, ${accepted.length - all.length} second copies of ${all.length}`,
    );
  });
}
