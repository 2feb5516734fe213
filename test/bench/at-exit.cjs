/** Loaded into a measured Node process: at its end it writes what only it knows to the file that BENCH_REPORT names. */
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

if (isMainThread) {
  process.on('exit', () => {
    const [main] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
    const peakMegabytes = process.resourceUsage().maxRSS / 1024;
    writeFileSync(
      process.env.BENCH_REPORT,
      JSON.stringify({ mainSeconds: Number(main) / 1e9, peakMegabytes }),
    );
  });
}
