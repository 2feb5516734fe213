/** The servers of the world: one SMTP server that records who brought what and when, defers some recipients once, and is slow at times. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface Arrival {
  readonly recipient: string;
  /** the name by which the client greeted: that of a worker */
  readonly worker: string;
  /** monotonic milliseconds at which the final dot was there */
  readonly at: number;
  /** the same in Unix milliseconds */
  readonly wall: number;
}

export interface Sink {
  readonly port: number;
  readonly arrivals: readonly Arrival[];
  close(): Promise<void>;
}

/** @param random decides about deferrals and delays */
export async function startSink(random: () => number): Promise<Sink> {
  const arrivals: Arrival[] = [];
  const seen = new Set<string>();
  const server = new SMTPServer({
    name: 'sink.example',
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    maxAllowedUnauthenticatedCommands: false,
    onRcptTo({ address }, _, done) {
      const isDeferred = !seen.has(address) && random() < 0.05;
      seen.add(address);
      done(isDeferred ? Object.assign(new Error('4.7.1 later'), { responseCode: 451 }) : null);
    },
    onData(stream, session, done) {
      stream.on('end', () => {
        const { hostNameAppearsAs: worker, envelope } = session;
        const when = { at: performance.now(), wall: Date.now() };
        for (const { address: recipient } of envelope.rcptTo) arrivals.push({ recipient, worker, ...when });
        if (random() < 0.8) done(null);
        else setTimeout(done, 100 * random(), null);
      });
      stream.resume();
    },
  });
  // Clients are killed.
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    arrivals,
    close: () => new Promise((closed) => server.close(closed)),
  };
}
