/** Many who submit at once. No two messages are the same, because copies of one would become one job. */
import { client, messageText, type Submission } from './load.ts';
import { submit } from './submit.ts';

client(async ({ port, connections, atOnce, messages, size }: Submission) => {
  const text = messageText(size);
  let left = connections;
  const one = async (): Promise<void> => {
    for (let connection = left--; connection > 0; connection = left--) {
      const numbered = Array.from(
        { length: messages },
        (_, n) => `Message-ID: <${connection}.${n}@bench.example>\n${text}`,
      );
      await submit(
        port,
        numbered.map((each) => ({ recipients: ['r0@bench.example'], text: each })),
      );
    }
  };
  return async () => {
    await Promise.all(Array.from({ length: atOnce }, one));
  };
});
