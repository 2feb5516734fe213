/** The commands: what each takes, a line about it, and where it is. A command is loaded when it is called. */
import { SETTING_NAMES } from '../settings/read.ts';
import type { SettingName } from '../settings/table.ts';
import type { CommandEntry, OptionSpec } from './shell/command.ts';

/** Commands that deliver, or look at a delivery, take the same options, so that one configuration fits all of them. */
const DELIVERING = SETTING_NAMES;
const READING: readonly SettingName[] = [
  ...(['spool', 'postgres', 'state', 'as-root', 'dialect', 'now', 'json', 'config', 'charset'] as const),
];
/** Where the queue is. */
export const ROOM: OptionSpec = {
  type: 'string',
  describe: 'postgres://HOST/DATABASE or citadel:WHERE, the same as --postgres and --citadel',
};
const INTAKE = SETTING_NAMES.filter((name) => name.startsWith('intake.'));
const WEB = SETTING_NAMES.filter((name) => name.startsWith('web.'));
const LOG = SETTING_NAMES.filter((name) => name.startsWith('log.'));

/** What selects jobs of the queue and messages of the history. */
const SELECTING: { readonly [name: string]: OptionSpec } = {
  from: { type: 'string', describe: 'sender: bob@example.com, bob@, example.com, or <>' },
  to: { type: 'string', describe: 'recipient, in the same way' },
  domain: { type: 'string', describe: 'a recipient in this domain or below it' },
  older: { type: 'string', describe: 'queued longer ago than this: 30m, 4h, 2d' },
  answer: { type: 'string', describe: 'the last reply for a recipient has this text' },
  status: { type: 'string', describe: 'what became of a recipient' },
};

const MANY: { readonly [name: string]: OptionSpec } = {
  ...SELECTING,
  all: { type: 'boolean', describe: 'all jobs to which it applies' },
  'dry-run': { type: 'boolean', describe: 'say what it would do, and do nothing' },
  yes: { type: 'boolean', describe: 'do not ask for confirmation' },
};

/** What programs give to sendmail. Only -f, -r, -t and -F change something here. */
const SENDMAIL_OPTIONS: { readonly [name: string]: OptionSpec } = {
  f: { type: 'string', describe: 'envelope sender' },
  r: { type: 'string', describe: 'the same as -f' },
  t: { type: 'boolean', describe: 'take recipients from To, Cc and Bcc' },
  F: { type: 'string', describe: 'full name of the sender, for a message without From' },
  i: { type: 'boolean', describe: 'accepted: a line with only a dot never ends the message' },
  o: { type: 'string', describe: 'accepted (-oi, -oem, -odb)' },
  b: { type: 'string', describe: 'mode of operation: -bm takes a message, -bs speaks SMTP' },
  e: { type: 'string', describe: 'accepted: how errors are reported; here always by the exit code' },
  B: { type: 'string', describe: 'accepted: 7BIT or 8BITMIME' },
  N: {
    type: 'string',
    describe: 'when reports are wanted: never, or some of success, failure and delay',
  },
  R: {
    type: 'string',
    describe: 'how much of the message a report returns: full or hdrs',
  },
  V: { type: 'string', describe: 'envelope ID, which a report repeats' },
  O: { type: 'string', describe: 'accepted: an option of sendmail, NAME=VALUE' },
  A: { type: 'string', describe: 'accepted: which configuration of sendmail is read' },
  C: { type: 'string', describe: 'accepted: configuration file of sendmail' },
  D: { type: 'string', describe: 'accepted: file for debugging' },
  L: { type: 'string', describe: 'accepted: tag in the log' },
  M: { type: 'string', describe: 'accepted: a macro of sendmail' },
  Q: { type: 'string', describe: 'accepted: quarantine' },
  p: { type: 'string', describe: 'accepted: protocol and host that the message came by' },
  X: { type: 'string', describe: 'accepted: log file of the dialogue' },
  m: { type: 'boolean', describe: 'accepted: the sender, too, gets the message where it is a recipient' },
  n: { type: 'boolean', describe: 'accepted: no aliases' },
  v: { type: 'boolean', describe: 'accepted: verbose' },
  G: { type: 'boolean', describe: 'accepted: the message comes from another host' },
  U: { type: 'boolean', describe: 'accepted: the message comes from a user' },
};

export const COMMANDS: readonly CommandEntry[] = [
  {
    usage: 'run',
    about: 'one queue run, then exit (for cron)',
    settings: DELIVERING,
    unused: [...INTAKE, ...WEB],
    options: {
      force: { type: 'boolean', describe: 'try every job now, whether it is due or not' },
      quiet: { type: 'boolean', describe: 'no progress and no summary on a terminal' },
      room: ROOM,
    },
    load: () => import('./commands/run.ts'),
  },
  {
    usage: 'watch',
    about: 'keep running, and deliver jobs as they become due',
    settings: DELIVERING,
    options: {
      intake: { type: 'boolean', describe: 'also accept mail from Citadel’s smarthost line' },
      web: { type: 'string', describe: 'also show the queue to browsers, at ADDRESS:PORT or unix:/path' },
      room: ROOM,
    },
    load: () => import('./commands/watch.ts'),
  },
  {
    usage: 'export <directory>',
    about: 'copy a queue in PostgreSQL into an empty directory, as a spool',
    settings: ['postgres', 'dialect', 'json', 'config'],
    options: { room: ROOM },
    load: () => import('./commands/postgres/export.ts'),
  },
  {
    usage: 'move',
    about: 'take the jobs of a spool into a queue in PostgreSQL, or back',
    settings: ['as-root', 'dialect', 'json', 'config'],
    options: {
      from: { type: 'string', describe: 'a spool, or postgres://HOST/DATABASE' },
      to: { type: 'string', describe: 'the other one' },
    },
    load: () => import('./commands/postgres/move.ts'),
  },
  {
    usage: 'migrate',
    about: 'make the tables of a queue in PostgreSQL, or bring them up to date',
    settings: ['postgres', 'json', 'config'],
    options: { room: ROOM },
    load: () => import('./commands/postgres/migrate.ts'),
  },
  {
    usage: 'intake',
    about: 'accept mail from Citadel’s smarthost line and put it into the spool',
    settings: [...READING, 'hostname', ...INTAKE, ...LOG, 'metrics-file'],
    options: { room: ROOM },
    load: () => import('./commands/intake.ts'),
  },
  {
    usage: 'web [action] [user]',
    about: 'show the queue to browsers; web password USER: make a password for that',
    settings: DELIVERING,
    unused: INTAKE,
    options: { room: ROOM },
    load: () => import('./commands/web/web.ts'),
  },
  {
    usage: 'enqueue [recipients..]',
    about: 'put a message into the spool',
    settings: [...READING, 'hostname', ...LOG],
    sendmail: true,
    options: {
      ...SENDMAIL_OPTIONS,
      quiet: { type: 'boolean', describe: 'print nothing when the message is queued' },
      file: {
        type: 'string',
        isPath: true,
        describe: 'read the message from this file instead of standard input',
      },
      bounceto: { type: 'string', describe: 'address for delivery reports; default: the sender' },
      room: { type: 'string', describe: 'the Citadel room that a mailing list posting comes from' },
    },
    load: () => import('./commands/enqueue.ts'),
  },
  {
    usage: 'queue [words..]',
    about: 'list the jobs in the spool, and what each is waiting for',
    settings: READING,
    options: {
      room: ROOM,
      ...SELECTING,
      all: { type: 'boolean', describe: 'a line for each job, also where many are alike' },
      summary: { type: 'boolean', describe: 'pending recipients by destination and age in minutes' },
      sort: { type: 'string', describe: 'job, age, size, next, sender or recipient; default: job' },
    },
    load: () => import('./commands/queue.ts'),
  },
  {
    usage: 'show [jobs..]',
    about: 'the envelope of jobs, and the header or the whole of their messages',
    settings: READING,
    options: {
      room: ROOM,
      ...SELECTING,
      all: { type: 'boolean', describe: 'all jobs' },
      body: { type: 'boolean', describe: 'the text of the message as well' },
    },
    load: () => import('./commands/show.ts'),
  },
  {
    usage: 'explain <job>',
    about: 'why a job is still queued, what happened last, and what would help',
    settings: READING,
    options: { room: ROOM },
    load: () => import('./commands/explain.ts'),
  },
  {
    usage: 'history [words..]',
    about: 'what became of messages, also long after they left the queue',
    settings: READING,
    options: {
      ...SELECTING,
      relay: { type: 'string', describe: 'name or address of a server has this text' },
      'message-id': { type: 'string', describe: 'the Message-ID has this text' },
      since: {
        type: 'string',
        describe: 'not before: yesterday, today, 2h, 2026-11-27, 2026-11-27T10:00 (UTC)',
      },
      until: { type: 'string', describe: 'before this time' },
      limit: { type: 'string', describe: 'messages that are shown, the latest ones; 0: all; default: 50' },
    },
    load: () => import('./commands/history.ts'),
  },
  {
    usage: 'tls-report [day]',
    about: 'how TLS went with each domain on a day: today, yesterday, 2026-11-27 (UTC)',
    settings: DELIVERING,
    unused: [...INTAKE, ...WEB, ...LOG],
    options: { domain: { type: 'string', describe: 'this domain alone' } },
    load: () => import('./commands/tls/report.ts'),
  },
  {
    usage: 'retry [jobs..]',
    about: 'try jobs at the next run, whether they are due or not; held ones stay held',
    settings: READING,
    options: { ...MANY, room: ROOM },
    load: () => import('./commands/jobs/retry.ts'),
  },
  {
    usage: 'hold [jobs..]',
    about: 'do not try jobs until they are released',
    settings: READING,
    options: { ...MANY, room: ROOM },
    load: () => import('./commands/jobs/hold.ts'),
  },
  {
    usage: 'release [jobs..]',
    about: 'end a hold',
    settings: READING,
    options: { ...MANY, room: ROOM },
    load: () => import('./commands/jobs/release.ts'),
  },
  {
    usage: 'remove [jobs..]',
    about: 'move jobs from the spool to .spoolroom/removed',
    settings: READING,
    options: {
      room: ROOM,
      ...MANY,
      report: { type: 'boolean', describe: 'refuse the pending recipients instead, and tell the senders' },
    },
    load: () => import('./commands/jobs/remove.ts'),
  },
  {
    usage: 'settings [names..]',
    about: 'print the settings that hold, and where each comes from',
    settings: DELIVERING,
    options: { given: { type: 'boolean', describe: 'only those that do not have their defaults' } },
    load: () => import('./commands/settings.ts'),
  },
  {
    usage: 'check',
    about: 'find what would stop mail, and say what to do about it',
    settings: DELIVERING,
    unused: [...WEB, ...LOG],
    options: { room: ROOM },
    load: () => import('./commands/check.ts'),
  },
  {
    usage: 'suppress <action> [addresses..]',
    about: 'add, remove or list addresses to which nothing is sent for a time',
    settings: [...READING, 'suppress.after', 'suppress.age'],
    options: {
      for: { type: 'string', describe: 'how long, such as 7d; default: the setting suppress.age' },
      why: { type: 'string', describe: 'a reason, for the sender and for the list' },
    },
    load: () => import('./commands/suppress.ts'),
  },
  {
    usage: 'dkim <action> [domain]',
    about:
      'genkey DOMAIN: make a DKIM key and its DNS record; check: what receivers look at before they read a message',
    settings: DELIVERING,
    unused: [...INTAKE, ...WEB, ...LOG],
    options: {
      selector: { type: 'string', describe: 'name of the key below _domainkey; default: spoolroom' },
      type: { type: 'string', describe: 'rsa (2048 bits) or ed25519; default: rsa' },
      dir: { type: 'string', isPath: true, describe: 'folder for the key file; default: this one' },
    },
    load: () => import('./commands/dkim.ts'),
  },
  {
    usage: 'replay <file> [job]',
    about:
      'show why a message did or did not arrive, from a control message, a transcript or a job in an export; changes nothing',
    settings: DELIVERING,
    unused: [...INTAKE, ...WEB, ...LOG],
    options: {
      world: {
        type: 'string',
        isPath: true,
        describe:
          'accept, greylist, refuse-rcpt, refuse-all, drop-after-data, silent, tls-broken or a world file',
      },
      set: {
        type: 'string',
        describe: 'NAME=VALUE: what would have happened with this setting',
      },
      check: {
        type: 'boolean',
        describe: 'check that the program would act as in the transcript; exit 1 at the first difference',
      },
      force: {
        type: 'boolean',
        describe: 'with --now: what `run --force` would do at that time, whether the job is due or not',
      },
      live: { type: 'boolean', describe: 'contact the real DNS and mail servers, up to RCPT TO' },
      yes: { type: 'boolean', describe: 'do not ask before contacting servers' },
      html: { type: 'string', isPath: true, describe: 'write an HTML page with a timeline to this file' },
      'save-fixture': {
        type: 'string',
        isPath: true,
        describe: 'write the transcript to this file, with names and addresses replaced',
      },
      'keep-addresses': { type: 'boolean', describe: 'keep names and addresses in the fixture' },
    },
    load: () => import('./commands/replay.ts'),
  },
  {
    usage: 'demo',
    about: 'show a whole delivery on this machine, with its own DNS and mail servers',
    settings: ['json', 'spool'],
    load: () => import('./commands/demo.ts'),
  },
];
