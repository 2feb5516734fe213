/** Loaded into a process of the cluster: its wall clock is stepped by as many milliseconds as its parent says. */
'use strict';
const now = Date.now.bind(Date);
let by = 0;
Date.now = () => now() + by;
process.on('message', (milliseconds) => {
  by = milliseconds;
});
process.channel?.unref();
