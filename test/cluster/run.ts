/** `npm run cluster -- --faults N --messages N --seed N [--from FOLDER OF AN OLDER BUILD]`: see cluster.ts; the exit code is 1 when something is lost, left, unexplained or repeated. */
import { parseArgs } from 'node:util';
import { NO_POSTGRES } from '../support/postgres.ts';
import { runCluster } from './cluster.ts';

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '50' },
    messages: { type: 'string', default: '2000' },
    workers: { type: 'string', default: '3' },
    lease: { type: 'string', default: '3000' },
    from: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    verbose: { type: 'boolean', default: false },
  },
});

if (NO_POSTGRES !== false) {
  console.error(`${NO_POSTGRES}, so nothing was tried.`);
  process.exitCode = 1;
} else {
  console.log(`seed ${values.seed}`);
  const result = await runCluster({
    seed: Number(values.seed),
    faults: Number(values.faults),
    messages: Number(values.messages),
    workers: Number(values.workers),
    lease: Number(values.lease),
    ...(values.from === undefined ? {} : { from: values.from }),
    log: (line) => values.verbose && console.error(line),
  });
  console.log(JSON.stringify(result, null, 1));
  const { lost, left, unexplained, repeated } = result;
  if (lost.length + left.length + unexplained.length + repeated.length > 0) process.exitCode = 1;
}
