/** Names and paths of an installed spoolroom. Units, cron, examples, pages and the package use these and no others; a test compares. */
export const USER = 'spoolroom';

export const PLACES = {
  command: '/usr/bin/spoolroom',
  program: '/usr/lib/spoolroom',
  sendmail: '/usr/lib/spoolroom/bin/sendmail',
  config: '/etc/spoolroom/spoolroom.json',
  spool: '/var/spool/spoolroom',
  state: '/var/lib/spoolroom',
  log: '/var/log/spoolroom',
  cache: '/var/cache/spoolroom',
  doc: '/usr/share/doc/spoolroom',
} as const;

/** What is there, for the manual page. */
export const FILES: readonly (readonly [path: string, what: string])[] = [
  [PLACES.config, 'settings; see spoolroom.json(5)'],
  [PLACES.spool, 'the spool: numbered messages, and spoolroom’s own files in .spoolroom'],
  [PLACES.state, 'spoolroom’s own files where the queue is inside a Citadel server'],
  [PLACES.log, 'the log, where the setting log.target names a file there'],
  [PLACES.cache, 'compiled code, made anew where it is missing'],
  [PLACES.doc, 'the documentation; install.md and debugging.md come first'],
];
