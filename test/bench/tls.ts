/** The same messages in clear, over TLS that is resumed, and over TLS that is negotiated anew by each session. */
import { type Section, scaled, withPostfix } from './context.ts';
import { startSink } from './load.ts';
import type { Contender } from './measure.ts';
import { DELIVERING, postfixRun } from './postfix-queue.ts';
import { spoolroomRun } from './spoolroom.ts';

const MESSAGES = 200;
const SIZE = 4096;

const LOADS = [
  { name: 'over shared sessions', words: [], main: ['smtp_connection_cache_on_demand = yes'] },
  {
    name: 'each over its own session',
    words: ['--limit.messages', '1'],
    main: ['smtp_connection_cache_on_demand = no'],
  },
];

export const tls: Section = async function* (context) {
  const { sink: clear, places } = context;
  const [place] = places;
  if (place === undefined) return;
  const resumed = await startSink('tls');
  const anew = await startSink('tls-anew');
  const jobs = Array.from({ length: scaled(context, MESSAGES) }, () => ['r0@bench.example']);
  for (const { name, words, main } of LOADS) {
    const ours = (kind: string, sink: typeof clear): Contender =>
      spoolroomRun(`spoolroom${kind}`, { place, sink, size: SIZE, jobs }, [
        '--smarthost',
        `127.0.0.1:${sink.port}`,
        ...words,
      ]);
    const lines = [
      ...main,
      `relayhost = [127.0.0.1]:${resumed.port}`,
      'smtp_tls_security_level = may',
      'smtp_tls_session_cache_database = btree:$data_directory/smtp_scache',
    ];
    yield* withPostfix(context, place, DELIVERING, lines, async function* (queues) {
      const others = [ours(' in clear', clear), ours(' anew', anew)];
      for (const [kind, queue] of queues)
        others.push(postfixRun(kind, queue, { place, sink: resumed, size: SIZE, jobs }));
      yield {
        name: `${jobs.length} messages by TLS, ${name}`,
        unit: 'message',
        units: jobs.length,
        ours: ours('', resumed),
        others,
      };
    });
  }
  resumed.stop();
  anew.stop();
};
