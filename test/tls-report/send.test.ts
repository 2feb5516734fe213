/** Sending the reports of a day: when, to whom, by mail and by HTTPS, and as what message (RFC 8460 5). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import PostalMime from 'postal-mime';
import type { LookupResult } from '../../src/platform/dns.ts';
import type { NewJob } from '../../src/queue/queue.ts';
import { tlsReportFiles } from '../../src/tls-report/files.ts';
import { dueDays, postReport, sendReports } from '../../src/tls-report/send.ts';
import { addFact, type DayTally, reportAddresses } from '../../src/tls-report/tally.ts';
import { certificates, testCa } from '../support/certificates.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { MemoryDisk } from '../support/memory-disk.ts';

const MIDNIGHT = Date.parse('2026-11-28T00:00:00Z');
const HOUR = 3_600_000;

function setup(records: { readonly [name: string]: string } = {}, signs = true) {
  const disk = new MemoryDisk();
  for (const folder of ['/spool', '/spool/.spoolroom']) disk.mkdir(folder, { mode: 0o700, uid: 0, gid: 0 });
  const files = tlsReportFiles(disk, '/spool');
  const counts: DayTally = new Map();
  const policy = { type: 'no-policy-found', domain: 'a.example', strings: [], mx: [] } as const;
  addFact(counts, { domain: 'a.example', policy, failure: null });
  files.add('2026-11-27', counts);
  const mails: { readonly text: string; readonly job: NewJob }[] = [];
  const posts: { readonly url: string; readonly report: Buffer }[] = [];
  const warnings: string[] = [];
  const clock = createManualClock(MIDNIGHT + 5 * HOUR);
  const deps = {
    ...{ files, clock, signs, reporter: { hostname: 'me.example', contact: 'postmaster@me.example' } },
    queue: {
      enqueue: async (payload: AsyncIterable<Uint8Array> | Uint8Array, job: NewJob) => {
        mails.push({ text: Buffer.from(payload as Uint8Array).toString('latin1'), job });
        return { payload: 1, control: 2 };
      },
    },
    txt: async (name: string): Promise<LookupResult<string>> => {
      const record = records[name];
      return record === undefined
        ? { kind: 'failed', fault: 'no-domain' }
        : { kind: 'found', records: [record] };
    },
    post: async (url: string, report: Buffer) => {
      posts.push({ url, report });
      return null;
    },
    warn: (text: string) => void warnings.push(text),
  };
  return { deps, mails, posts, warnings, files };
}

const RECORD = { '_smtp._tls.a.example': 'v=TLSRPTv1; rua=mailto:tls@a.example,https://a.example/in' };

test('a report by mail is a message that mail programs understand, from the null sender, and sent once', async () => {
  const { deps, mails, posts } = setup(RECORD);
  await sendReports(deps);
  await sendReports(deps);
  assert.equal(mails.length, 1);
  const [{ text, job } = { text: '', job: null }] = mails;
  assert.deepEqual(job?.recipients, ['tls@a.example']);
  assert.equal(job?.envelopeFrom, '<>');
  const mail = await PostalMime.parse(text);
  const header = (name: string) => mail.headers.find(({ key }) => key === name)?.value;
  assert.equal(header('tls-report-domain'), 'a.example');
  assert.equal(header('tls-report-submitter'), 'me.example');
  assert.equal(header('tls-required'), 'No');
  assert.equal(
    mail.subject,
    'Report Domain: a.example Submitter: me.example Report-ID: <2026-11-27.a.example@me.example>',
  );
  const [attachment] = mail.attachments;
  assert.equal(attachment?.mimeType, 'application/tlsrpt+gzip');
  assert.equal(attachment?.filename, 'me.example!a.example!1795737600!1795823999.json.gz');
  const report = JSON.parse(gunzipSync(Buffer.from(attachment?.content as ArrayBuffer)).toString());
  assert.equal(report.policies[0].summary['total-successful-session-count'], 1);
  assert.equal(posts.length, 1);
  assert.equal(posts[0]?.url, 'https://a.example/in');
  assert.deepEqual(JSON.parse(gunzipSync(posts[0]?.report ?? Buffer.alloc(0)).toString()), report);
});

test('a domain that asks for nothing gets nothing', async () => {
  const { deps, mails, posts, files } = setup();
  await sendReports(deps);
  assert.equal(mails.length + posts.length, 0);
  assert.equal(files.isSent('2026-11-27'), true);
});

test('without a key to sign with, no mail: it would count for nothing', async () => {
  const { deps, mails, warnings } = setup(RECORD, false);
  await sendReports(deps);
  assert.equal(mails.length, 0);
  assert.match(warnings.join(), /not sent by mail, because nothing is signed here/);
});

test('a day is due within four hours of its end, and not for ever', () => {
  const { deps } = setup();
  const at = (hours: number) => dueDays({ ...deps, clock: createManualClock(MIDNIGHT + hours * HOUR) });
  assert.deepEqual(at(-1), []);
  assert.deepEqual(at(4), ['2026-11-27']);
  assert.deepEqual(at(100), []);
});

for (const uri of [
  'mailto:%@a.example',
  'mailto:a%0D%0ABcc:x@a.example',
  'mailto:a%40b@a.example',
  'mailto:a@a.example%0A',
  'https://[',
  'https://a.example:99999/',
])
  test(`an address that a stranger made up is none: ${uri} (R249)`, () => {
    assert.deepEqual(reportAddresses([`v=TLSRPTv1; rua=${uri},mailto:r@a.example`]), ['mailto:r@a.example']);
  });

test('a report host that changes the protocol ends the wait (R249)', async () => {
  const { key, cert } = certificates.mail;
  const server = createServer({ key, cert }, (_, response) => {
    response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const failure = await postReport(`https://127.0.0.1:${port}/`, Buffer.from('x'), [testCa]);
  assert.equal(failure, 'the connection ended without an answer');
  server.closeAllConnections();
  server.close();
});
