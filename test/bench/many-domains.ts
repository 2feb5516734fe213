/**
 * 10,000 jobs for 1,000 domains through the installed command: how long, how much memory. Part of `npm run bench`; the
 * memory is what counts, it is to stay under 250 MB.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDnsServer } from '../../src/cli/demo/world/dns-server.ts';
import { fillSpool, messageText, startSink } from './load.ts';

const JOBS = 10_000;
const DOMAINS = 1000;
const COMMAND = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));
const REPORT = 'data:text/javascript,process.on("exit",()=>console.log(process.resourceUsage().maxRSS))';

export async function benchManyDomains(): Promise<string> {
  const sink = await startSink();
  const zones = Array.from({ length: DOMAINS }, (_, n) => [
    [`d${n}.example`, { MX: [{ preference: 10, exchange: `mx.d${n}.example` }] }],
    [`mx.d${n}.example`, { A: [`127.0.${n >> 8}.${n & 255}`] }],
  ]);
  const dns = await startDnsServer(Object.fromEntries(zones.flat()));
  const spool = mkdtempSync(join(tmpdir(), 'spoolroom-domains-'));
  const jobs = Array.from({ length: JOBS }, (_, n) => [`r${n}@d${n % DOMAINS}.example`]);
  fillSpool(spool, messageText(4096), jobs);
  const words = ['run', '--spool', spool, '--dns', dns.address, '--mx-port', String(sink.port)];
  const began = performance.now();
  const child = spawn(process.execPath, ['--import', REPORT, COMMAND, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (piece) => {
    printed += piece;
  });
  await once(child, 'close');
  const seconds = (performance.now() - began) / 1000;
  const left = readdirSync(spool).filter((name) => /^\d+$/.test(name)).length;
  rmSync(spool, { recursive: true });
  sink.stop();
  await dns.close();
  const megabytes = Number(printed) / 1024;
  return `10,000 jobs for 1,000 domains: ${seconds.toFixed(1)} s, ${megabytes.toFixed(0)} MB at most (to stay under 250), ${left} files left`;
}
