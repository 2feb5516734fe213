/** The ten statements about DANE and MTA-STS with a name server of ours: cases.ts over real sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Zones as Names } from '../../src/cli/demo/world/dns-server.ts';
import { startFaultyDnsServer } from '../support/dns-server.ts';
import { CASES, deliverCase, type NameServers, type Zones } from './cases.ts';

/** What a validating resolver says about these zones; or, where it does not validate, the zones as they are. */
async function serve(zones: Zones, validates: boolean): Promise<NameServers> {
  const names: Record<string, Names[string]> = {};
  const faults: Record<string, 'SERVFAIL'> = {};
  for (const { signed, records, bogus, delegated = '-' } of Object.values(zones))
    for (const [name, of] of Object.entries(records)) {
      if (name.endsWith(delegated)) continue;
      if (name === bogus && validates) faults[name] = 'SERVFAIL';
      names[name] = signed && validates ? { ...of, secure: true } : of;
    }
  const server = await startFaultyDnsServer(names, faults);
  return { server: server.address, close: () => server.close() };
}

for (const given of CASES)
  test(`statement ${given.statement}: ${given.name}`, async () => {
    const ends = await deliverCase(given, serve);
    assert.deepEqual(Object.keys(ends).sort(), Object.keys(given.ends).sort());
    for (const [recipient, end] of Object.entries(given.ends)) assert.match(ends[recipient] ?? '', end);
  });
