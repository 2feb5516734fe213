/**
 * `npm run test:dane`: the cases of cases.ts with signed zones on BIND and unbound as the validating resolver before it, as
 * Debian has them (bind9, bind9-utils, unbound). Exit status 1 when a delivery ends otherwise than with the name server of the
 * default suite, 69 when a program is missing.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/platform/clock.ts';
import { createResolver } from '../../src/platform/dns/resolver.ts';
import { CASES, deliverCase, type NameServers, type ZoneData, type Zones } from './cases.ts';

const PROGRAMS = [
  '/usr/sbin/named',
  '/usr/sbin/unbound',
  '/usr/bin/dnssec-keygen',
  '/usr/bin/dnssec-signzone',
];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const SOA = (zone: string): string =>
  `$TTL 60\n${zone}. IN SOA ns.${zone}. postmaster.${zone}. 1 3600 900 86400 60\n${zone}. IN NS ns.${zone}.\nns.${zone}. IN A 127.0.0.1\n`;

function zoneText(zone: string, { records, delegated }: ZoneData): string {
  const lines = Object.entries(records).flatMap(([name, { MX = [], A = [], TXT = [], TLSA = [] }]) => {
    if (delegated !== undefined && name.endsWith(delegated)) return [];
    return [
      ...MX.map(({ preference, exchange }) => `${name}. IN MX ${preference} ${exchange}.`),
      ...A.map((address) => `${name}. IN A ${address}`),
      ...TXT.map((text) => `${name}. IN TXT "${text}"`),
      ...TLSA.map((text) => `${name}. IN TLSA ${text}`),
    ];
  });
  const cut = delegated === undefined ? [] : [`${delegated}. IN NS ns.${zone}.`];
  return `${SOA(zone)}${[...lines, ...cut].join('\n')}\n`;
}

/** Signs a zone file; returns its trust anchor. */
function sign(folder: string, zone: string, bogus: string | undefined): string {
  const run = (program: string, ...words: readonly string[]): string =>
    execFileSync(program, words, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const key = run('dnssec-keygen', '-a', 'ECDSAP256SHA256', '-f', 'KSK', zone).trim();
  run('dnssec-keygen', '-a', 'ECDSAP256SHA256', zone);
  run('dnssec-signzone', '-S', '-z', '-x', '-o', zone, '-f', `${zone}.signed`, '-O', 'full', zone);
  const file = join(folder, `${zone}.signed`);
  const text = readFileSync(file, 'utf8');
  if (bogus !== undefined) {
    const broken = text.replace(
      new RegExp(`^(${bogus.replaceAll('.', '\\.')}\\.\\s.*RRSIG\\s+TLSA .* )([A-Za-z0-9+/]{8})`, 'gm'),
      (_, before: string, start: string) => `${before}${[...start].reverse().join('')}`,
    );
    if (broken === text) throw new Error(`no signature of ${bogus} to break`);
    writeFileSync(file, broken);
  }
  return readFileSync(join(folder, `${key}.key`), 'utf8')
    .split('\n')
    .filter((line) => line.includes('DNSKEY'))
    .join('\n');
}

function start(program: string, words: readonly string[]): ChildProcess {
  return spawn(program, words, { stdio: 'ignore' });
}

async function serve(zones: Zones, validates: boolean): Promise<NameServers> {
  const folder = mkdtempSync(join(tmpdir(), 'spoolroom-dane-'));
  mkdirSync(join(folder, 'run'));
  const [authority, validator, control] = [await freePort(), await freePort(), await freePort()];
  const anchors: string[] = [];
  const served: (readonly [zone: string, file: string])[] = [];
  for (const [zone, data] of Object.entries(zones)) {
    writeFileSync(join(folder, zone), zoneText(zone, data));
    if (data.signed) anchors.push(sign(folder, zone, data.bogus));
    served.push([zone, data.signed ? `${zone}.signed` : zone]);
    if (data.delegated !== undefined) {
      writeFileSync(join(folder, data.delegated), SOA(data.delegated));
      served.push([data.delegated, data.delegated]);
    }
  }
  writeFileSync(
    join(folder, 'named.conf'),
    `options { directory "${folder}"; listen-on port ${authority} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
  pid-file "${folder}/run/named.pid"; session-keyfile "${folder}/run/session.key"; dnssec-validation no; check-names master ignore; };
controls { };
${served.map(([zone, file]) => `zone "${zone}" { type master; file "${folder}/${file}"; };`).join('\n')}\n`,
  );
  writeFileSync(join(folder, 'anchors'), `${anchors.join('\n')}\n`);
  writeFileSync(
    join(folder, 'unbound.conf'),
    `server:
  interface: 127.0.0.1@${validator}
  port: ${validator}
  do-daemonize: no
  do-ip6: no
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: "${folder}/run/unbound.pid"
  use-syslog: no
  logfile: "${folder}/unbound.log"
  do-not-query-localhost: no
  module-config: "validator iterator"
  ${anchors.length > 0 ? `trust-anchor-file: "${folder}/anchors"` : ''}
remote-control:
  control-enable: no
  control-port: ${control}
${Object.keys(zones)
  .map((zone) => `stub-zone:\n  name: "${zone}"\n  stub-addr: 127.0.0.1@${authority}`)
  .join('\n')}\n`,
  );
  const processes = [
    start('/usr/sbin/named', ['-f', '-c', join(folder, 'named.conf')]),
    start('/usr/sbin/unbound', ['-d', '-c', join(folder, 'unbound.conf')]),
  ];
  const server = `127.0.0.1:${validates ? validator : authority}`;
  const [zone = ''] = Object.keys(zones);
  await answering(`127.0.0.1:${authority}`, zone);
  await answering(server, zone);
  return {
    server,
    close: async () => {
      await Promise.all(
        processes.map(
          (each) =>
            new Promise((ended) => {
              if (each.exitCode !== null) return ended(null);
              each.on('exit', ended);
              each.kill('SIGTERM');
              return undefined;
            }),
        ),
      );
      if (process.env.KEEP === undefined) rmSync(folder, { recursive: true });
      else console.log(`kept: ${folder} (${readdirSync(folder).length} files)`);
    },
  };
}

async function answering(server: string, zone: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const resolver = createResolver({ servers: [server], timeout: 500, tries: 1, clock: systemClock });
    if ((await resolver.mx(zone)).kind === 'found') return;
    await pause(100);
  }
  throw new Error(`${server} does not answer for ${zone}`);
}

const missing = PROGRAMS.filter((program) => !existsSync(program));
if (missing.length > 0) {
  console.log(`Not installed: ${missing.join(', ')}. On Debian: apt-get install bind9 bind9-utils unbound`);
  process.exit(69);
}

let failures = 0;
for (const given of CASES) {
  const ends = await deliverCase(given, serve);
  const wrong = Object.entries(given.ends).filter(([recipient, end]) => !end.test(ends[recipient] ?? ''));
  failures += wrong.length;
  console.log(`${wrong.length === 0 ? 'ok    ' : 'FAILED'} statement ${given.statement}: ${given.name}`);
  for (const [recipient, end] of wrong)
    console.log(`       ${recipient}: wanted ${end}, got ${ends[recipient] ?? 'nothing'}`);
}
process.exitCode = failures === 0 ? 0 : 1;
