/** One queue run over a real spool directory: jobs read, delivered through one relay, recorded, removed. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '#net-stream-utils';
import { historyFolder } from '../../src/history/files.ts';
import { HistoryWriter } from '../../src/history/writer.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createResolver } from '../../src/platform/dns-resolver.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import { parseRelayEntry } from '../../src/routing/relays.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import { runQueue } from '../../src/runner/queue-runner.ts';
import { rulesFrom } from '../../src/runner/rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { processTable } from '../../src/storage/processes.ts';
import { client, fillSpool, messageText, SESSIONS } from './load.ts';

const spool = mkdtempSync(join(tmpdir(), 'spoolroom-bench-'));
process.on('exit', () => rmSync(spool, { recursive: true }));

client(async (task) => {
  const recipients = Array.from({ length: task.recipients }, (_, n) => `r${n}@bench.example`);
  const jobs = Array.from({ length: task.messages }, () => recipients);
  fillSpool(spool, messageText(task.size), jobs);
  let fsyncs = 0;
  const counted = (call: () => Promise<void>): Promise<void> => {
    fsyncs++;
    return task.volatile === true ? Promise.resolve() : call();
  };
  const disk: Disk = {
    ...nodeDisk,
    syncDirectory: (path) => counted(() => nodeDisk.syncDirectory(path)),
    create: (path, owner) => {
      const file = nodeDisk.create(path, owner);
      return {
        write: (bytes) => file.write(bytes),
        sync: () => counted(() => file.sync()),
        close: () => file.close(),
      };
    },
  };
  const relay = parseRelayEntry(`127.0.0.1:${task.port}`, 'smarthost');
  if (relay.kind !== 'relay') throw new Error(relay.reason);
  const read = readSettings({ 'limit.sessions': SESSIONS, 'limit.messages': 100_000, spool });
  if (!read.ok) throw new Error('the settings of the benchmark are wrong');
  const rules = rulesFrom(read.settings, {
    hostname: 'bench.example',
    ehloName: 'bench.example',
    relays: [relay.relay],
    charset: unknown8bit,
    certificates: [],
    signer: null,
    warnings: [],
    interfaces: [],
  });
  const warn = (text: string): never => {
    throw new Error(text);
  };
  return async () => {
    const opened = await openSpoolQueue(
      spool,
      { disk, clock: systemClock, random: Math.random, processes: processTable(disk), warn },
      { dialect: '2012', spans: rules.due.schedule.retry },
    );
    if (opened.kind === 'refused') throw new Error(opened.text);
    const resolver = createResolver({ timeout: 1000, tries: 1, clock: systemClock });
    const history = new HistoryWriter({
      ...{ folder: historyFolder(spool), limits: { size: 1e9, age: 1e9 } },
      ...{ clock: systemClock, readable: (text: string) => text, warn },
    });
    const events = {
      outcome: (record: OutcomeRecord) => history.outcome(record),
      ...{ quarantined: () => {}, silent: () => {}, warning: warn, trace: () => {} },
    };
    const ports = { queue: opened.queue, resolver, connect, clock: systemClock, random: Math.random, events };
    const summary = await runQueue(ports, rules, new AbortController().signal);
    await opened.queue.close();
    history.flush();
    const rest = readdirSync(spool).filter((name) => /^\d+$/.test(name));
    if (summary.delivered !== task.messages * task.recipients || rest.length > 0) {
      throw new Error(`delivered ${summary.delivered}, ${rest.length} files left`);
    }
    return { fsyncs };
  };
});
