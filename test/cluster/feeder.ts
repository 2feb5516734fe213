/** Programs that hand mail to whatever intake answers, and remember what was acknowledged. Nothing is handed over twice. */
import { setTimeout as pause } from 'node:timers/promises';
import { Conversation } from '../intake/conversation.ts';
import type { ClusterWorker } from './worker.ts';

export interface FeederOptions {
  readonly workers: readonly ClusterWorker[];
  readonly random: () => number;
  /** whether there is still something to hand over */
  readonly wants: () => boolean;
  /** whether it may be handed over now */
  readonly mayGoOn: () => boolean;
  /** gets the recipients of a message that was acknowledged */
  readonly accepted: (recipients: readonly string[]) => void;
}

export async function feed({ workers, random, wants, mayGoOn, accepted }: FeederOptions): Promise<void> {
  let number = 0;
  const program = async (): Promise<void> => {
    while (wants()) {
      const ports = workers.flatMap(({ port }) => port ?? []);
      const port = ports[Math.floor(random() * ports.length)];
      if (port === undefined || !mayGoOn()) {
        await pause(20);
        continue;
      }
      const recipients = Array.from(
        { length: random() < 0.8 ? 1 : 3 },
        () => `m${++number}@host${Math.floor(random() * 20)}.example`,
      );
      if (await handOver(port, recipients)) accepted(recipients);
      else await pause(60);
    }
  };
  await Promise.all(Array.from({ length: 6 }, program));
}

/** Milliseconds after which a program gives up on an intake: its machine may be frozen. */
const PATIENCE = 10_000;

async function handOver(port: number, recipients: readonly string[]): Promise<boolean> {
  let client: Conversation | null = null;
  const tooLate = setTimeout(() => client?.drop(), PATIENCE);
  try {
    client = await Conversation.with(`127.0.0.1:${port}`);
    await client.hello();
    await client.envelope('alice@site.example', ...recipients);
    const reply = await client.ask(`Subject: ${recipients[0]}\r\n\r\n${'A line of it.\r\n'.repeat(50)}.`);
    return reply?.startsWith('250') === true;
  } catch {
    // The intake is gone, or says why not: nothing was acknowledged.
    return false;
  } finally {
    clearTimeout(tooLate);
    client?.drop();
  }
}
