/** Questions over UDP that share sockets. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { askByUdp, type NameServer } from '../../src/platform/dns/udp-exchange.ts';

/** A server that hands each packet back in reverse order once so many are there. */
async function startEcho(t: TestContext, batch: number): Promise<NameServer & { readonly ports: number[] }> {
  const server = createSocket('udp4');
  t.after(() => server.close());
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const ports: number[] = [];
  let held: (() => void)[] = [];
  server.on('message', (bytes, { port, address }) => {
    ports.push(port);
    held.unshift(() => server.send(bytes, port, address));
    if (held.length < batch) return;
    for (const send of held) send();
    held = [];
  });
  return { ...server.address(), ports };
}

function question(id: number, text: string): Buffer {
  return Buffer.from([id >> 8, id & 255, ...Buffer.from(text)]);
}

/** The text that came back, or that it failed. */
function ask(server: NameServer, id: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const finish = (result: string): void => {
      end();
      resolve(result);
    };
    const end = askByUdp(server, question(id, text), {
      packet: (bytes) => finish(bytes.toString('latin1', 2)),
      failed: () => finish('failed'),
    });
  });
}

/** When what is to be closed is closed. */
async function openSockets(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  return process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWRAP' || kind === 'UDPWrap').length;
}

test('questions that wait at the same time share a socket, and each gets its answer', async (t) => {
  const server = await startEcho(t, 3);
  const before = await openSockets();
  assert.deepEqual(await Promise.all([1, 2, 3].map((id) => ask(server, id, `name ${id}`))), [
    'name 1',
    'name 2',
    'name 3',
  ]);
  assert.equal(new Set(server.ports).size, 1);
  assert.equal(await openSockets(), before);
});

test('one that follows from an answer goes over the same socket', async (t) => {
  const server = await startEcho(t, 1);
  for (let id = 0; id < 5; id++) await ask(server, id, 'name');
  assert.equal(new Set(server.ports).size, 1);
});

test('two questions with the same id have a socket each', async (t) => {
  const server = await startEcho(t, 2);
  assert.deepEqual(await Promise.all([ask(server, 7, 'one'), ask(server, 7, 'two')]), ['one', 'two']);
  assert.equal(new Set(server.ports).size, 2);
});

test('after a hundred questions there is another socket', async (t) => {
  const server = await startEcho(t, 201);
  await Promise.all(Array.from({ length: 201 }, (_, id) => ask(server, id, 'name')));
  assert.equal(new Set(server.ports).size, 3);
});

test('a server that refuses, and one that cannot be reached, fail all that waits (R247)', async () => {
  const gone = createSocket('udp4');
  gone.bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const refusing = { ...gone.address() };
  await new Promise<void>((closed) => void gone.close(closed));
  // Sockets without the option may not be connected to it: the system refuses that at once.
  const unreachable = { address: '255.255.255.255', port: 53 };
  for (const server of [refusing, unreachable]) {
    const before = await openSockets();
    assert.deepEqual(await Promise.all([1, 2].map((id) => ask(server, id, 'name'))), ['failed', 'failed']);
    assert.equal(await openSockets(), before);
  }
});
