/** The queue: messages that wait are delivered through one relay. */
import { counted, type Section, scaled, withPostfix } from './context.ts';
import { costOfClient, type Load, recipientsOf } from './load.ts';
import type { Contender } from './measure.ts';
import { DELIVERING, postfixRun } from './postfix-queue.ts';
import { leastRun, spoolroomRun } from './spoolroom.ts';

const LOADS: readonly Load[] = [
  { messages: 2000, recipients: 1, size: 4096 },
  { messages: 100, recipients: 20, size: 4096 },
  { messages: 200, recipients: 1, size: 65_536 },
  { messages: 10_000, recipients: 1, size: 4096 },
];

function nameOf({ messages, recipients, size }: Load): string {
  const each = recipients === 1 ? '' : ` for ${recipients} recipients`;
  return `${counted(messages)} messages of ${size / 1024} KB${each}`;
}

export const queue: Section = async function* (context) {
  const { sink, places } = context;
  for (const place of places) {
    yield* withPostfix(
      context,
      place,
      DELIVERING,
      [`relayhost = [127.0.0.1]:${sink.port}`],
      async function* (queues) {
        for (const whole of LOADS) {
          const load = { ...whole, messages: scaled(context, whole.messages) };
          const jobs = Array.from({ length: load.messages }, () => recipientsOf(load));
          const delivery = { place, sink, size: load.size, jobs };
          const client = (name: string, script: string): Contender => ({
            name,
            run: () => costOfClient(script, { ...load, port: sink.port }),
          });
          const others = [client('bare loop', './bare-client.ts'), leastRun(delivery)];
          for (const [name, opened] of queues) others.push(postfixRun(name, opened, delivery));
          others.push(client('nodemailer pool', './nodemailer-client.ts'));
          yield {
            name: `${nameOf(load)}, ${place.fileSystem}`,
            unit: 'recipient',
            units: load.messages * load.recipients,
            ours: spoolroomRun('spoolroom', delivery, ['--smarthost', `127.0.0.1:${sink.port}`]),
            others,
          };
        }
      },
    );
  }
};
