/** Many small destinations: each domain has its own host, an address of this machine. Postfix asks no DNS, it has a map. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDnsServer } from '../../src/cli/demo/world/dns-server.ts';
import { counted, type Section, scaled, withPostfix } from './context.ts';
import type { Contender } from './measure.ts';
import { DELIVERING, postfixRun } from './postfix-queue.ts';
import { spoolroomRun } from './spoolroom.ts';

const DOMAINS = 1000;
const SIZE = 4096;
/** messages for each domain */
const LOADS = [1, 10];

function addressOf(n: number): string {
  return `127.1.${n >> 8}.${n & 255}`;
}

export const domains: Section = async function* (context) {
  const { sink, places } = context;
  const [place] = places;
  if (place === undefined) return;
  const count = scaled(context, DOMAINS);
  const numbers = Array.from({ length: count }, (_, n) => n);
  const map = join(place.folder, 'transport');
  writeFileSync(map, numbers.map((n) => `d${n}.example smtp:[${addressOf(n)}]:${sink.port}\n`).join(''));
  const zones = numbers.flatMap((n) => [
    [`d${n}.example`, { MX: [{ preference: 10, exchange: `mx.d${n}.example` }] }],
    [`mx.d${n}.example`, { A: [addressOf(n)] }],
  ]);
  const dns = await startDnsServer(Object.fromEntries(zones));
  try {
    yield* withPostfix(
      context,
      place,
      DELIVERING,
      [`transport_maps = texthash:${map}`],
      async function* (queues) {
        for (const each of LOADS) {
          const jobs = Array.from({ length: count * each }, (_, n) => [`r0@d${n % count}.example`]);
          const delivery = { place, sink, size: SIZE, jobs };
          const others: Contender[] = [];
          for (const [name, opened] of queues) others.push(postfixRun(name, opened, delivery));
          yield {
            name: `${counted(jobs.length)} messages for ${counted(count)} domains`,
            unit: 'message',
            units: jobs.length,
            ours: spoolroomRun('spoolroom', delivery, ['--dns', dns.address, '--mx-port', String(sink.port)]),
            others,
          };
        }
      },
    );
  } finally {
    await dns.close();
  }
};
