/**
 * Every setting: its kind, its default and a description. The options of the commands, the keys of the configuration file,
 * the environment variables and techdoc/settings.md are made from this table. Other programs rely on the names.
 */
import { destinations } from './destinations.ts';
import type { Kind } from './kinds.ts';
import {
  choice,
  count,
  databaseAddress,
  duration,
  flag,
  hostExtension,
  hostMechanism,
  hostName,
  hostTls,
  httpsOrigin,
  interval,
  ipAddress,
  lease,
  list,
  mailbox,
  moment,
  nameServer,
  passwordFile,
  path,
  patience,
  pin,
  relayEntry,
  reportPath,
  text,
  wait,
} from './kinds.ts';

export interface Setting<T> {
  readonly kind: Kind<T>;
  /** as a user would write it; null: no value */
  readonly fallback: string | readonly string[] | null;
  readonly about: string;
}

type Group = { readonly [name: string]: Setting<unknown> };

function setting<T>(kind: Kind<T>, fallback: string | readonly string[], about: string): Setting<T> {
  return { kind, fallback, about };
}

function optional<T>(kind: Kind<T>, about: string): Setting<T | null> {
  return { kind: kind as Kind<T | null>, fallback: null, about };
}

export const SETTINGS = {
  spool: optional(path, 'the spool directory'),
  'as-root': setting(
    choice('drop', 'refuse'),
    'drop',
    'root in a spool that belongs to another user: become that user, or refuse',
  ),
  dialect: setting(
    choice('2012', '2017'),
    '2012',
    'dialect of delivery lists where their contents do not show it; a live room asks its server',
  ),
  now: optional(moment, 'use this as the current time'),
  json: setting(flag, 'false', 'print JSON'),
  config: optional(path, 'a JSON file with settings; default: /etc/spoolroom/spoolroom.json where it exists'),

  smarthost: setting(
    list(relayEntry),
    [],
    'relay for all mail: [smtp://|smtps://][user:password@]host[:port][ sender]',
  ),
  fallbackhost: setting(list(relayEntry), [], 'tried after the MX hosts or the smart hosts, same syntax'),
  citadel: optional(
    text,
    'the Citadel server: /path of citadel.socket or citadel-admin.socket, or ADDRESS:PORT',
  ),
  'citadel-login': optional(
    passwordFile,
    'a file with the user name and the password of an admin of that server, one on each line',
  ),
  postgres: optional(
    databaseAddress,
    'a queue in PostgreSQL that several machines share; sslmode=verify-full is the default for other machines, and passwords are better left to ~/.pgpass',
  ),
  'postgres.lease': setting(
    lease,
    '1m',
    'after so much silence of a process what it has claimed is given to others; the same on all machines',
  ),
  state: optional(
    path,
    'deliver the queue inside that server, or in PostgreSQL, instead of a spool; spoolroom keeps its own state in this directory',
  ),
  'internet-config': optional(
    path,
    'a file of Citadel’s `value|type` lines with relays; citadel: ask the server for them and for its name',
  ),
  hostname: optional(hostName, 'own name in EHLO; default: the name of this machine'),
  postmaster: optional(mailbox, 'envelope sender of messages without one; default: postmaster@ the hostname'),
  return: optional(
    reportPath,
    'where reports are sent: lmtp:/path/lmtp.socket, smtp://host:port, or room to keep them for the postmaster; default: LMTP if a Citadel socket is found, else room',
  ),
  aide: optional(
    mailbox,
    'recipient of reports that cannot be sent to anyone else; default: room_aide@ the hostname',
  ),
  charset: setting(text, 'windows-1252', 'charset of unlabelled text that is not UTF-8'),
  'header-order': setting(
    choice('2012', '2016', '2023'),
    '2016',
    'order of the header fields of rendered messages',
  ),

  'dkim.key': setting(
    list(text),
    [],
    'DOMAIN:SELECTOR:PATH: a private key that signs for From addresses of this domain',
  ),
  'dkim.key-table': optional(path, 'opendkim’s KeyTable'),
  'dkim.signing-table': optional(path, 'opendkim’s SigningTable; refile:PATH when it has wildcards'),
  'dkim.sign': setting(
    choice('unsigned', 'always', 'never'),
    'unsigned',
    'which messages are signed: those without a signature of the same domain, all, or none',
  ),
  'mx-port': setting(count(1, 65535), '25', 'port of MX hosts'),
  'allow-loops': setting(
    flag,
    'false',
    'contact MX hosts and address literals that lead to this machine (port 25 or the intake’s)',
  ),
  dns: setting(list(nameServer), [], 'name servers as ADDRESS or ADDRESS:PORT; default: those of the system'),
  'local-address': setting(
    list(ipAddress),
    [],
    'source addresses of connections, at most one IPv4 and one IPv6',
  ),
  tls: setting(choice('none', 'opportunistic', 'require'), 'opportunistic', 'STARTTLS with MX hosts'),
  'relay-tls': setting(
    choice('auto', 'none', 'opportunistic', 'require'),
    'auto',
    'STARTTLS with relays; auto: require where credentials are given, else opportunistic',
  ),
  'tls-host': setting(list(hostTls), [], 'HOST=none|opportunistic|require: STARTTLS with this host'),
  'mta-sts': setting(
    choice('on', 'off'),
    'on',
    'obey the MTA-STS policies of domains whose MX hosts are contacted; not with tls none',
  ),
  dane: setting(
    choice('auto', 'trust', 'off'),
    'auto',
    'obey TLSA records. auto: if the name servers are on this machine, or resolv.conf says trust-ad; trust: the name servers validate, and nobody can change what they say on its way here',
  ),
  'tls-report': setting(
    choice('off', 'count', 'send'),
    'count',
    'count how TLS went with each domain, for spoolroom tls-report; send: also tell each day the domains that ask for it',
  ),
  'tls-ca': setting(list(path), [], 'PEM file with certificates to trust in addition to those of Node'),
  'tls-pin': setting(
    list(pin),
    [],
    'HOST=SHA256: fingerprint the certificate of this host must have; otherwise, and without TLS, no mail is sent to it',
  ),
  'auth-in-clear': setting(list(text), [], 'a host to which credentials may be sent without TLS'),
  'auth-mechanism': setting(
    list(hostMechanism),
    [],
    'HOST=MECHANISM: the only way to authenticate with this host; with OAUTHBEARER and XOAUTH2 the password is a token',
  ),
  'extension-off': setting(
    list(hostExtension),
    [],
    'HOST=KEYWORD, for example mx.example.com=CHUNKING: not used with this host, or with any (*), even if offered',
  ),

  destinations: setting(
    destinations,
    [],
    'what holds for mail to some domains, from some senders or with some hosts',
  ),

  'timeout.connect': setting(patience, '30s', 'until connected, for each address'),
  'timeout.greeting': setting(patience, '5m', 'until the greeting is complete'),
  'timeout.ehlo': setting(patience, '5m', 'until EHLO or HELO is answered'),
  'timeout.starttls': setting(patience, '2m', 'until STARTTLS is answered'),
  'timeout.handshake': setting(patience, '1m', 'until TLS is negotiated'),
  'timeout.auth': setting(patience, '2m', 'until a step of AUTH is answered'),
  'timeout.idle': setting(duration, '5s', 'how long a session without work is kept'),
  'timeout.mail': setting(patience, '5m', 'until MAIL FROM is answered'),
  'timeout.rcpt': setting(patience, '5m', 'until RCPT TO is answered'),
  'timeout.data': setting(patience, '2m', 'until DATA is answered'),
  'timeout.body': setting(patience, '3m', 'for each piece of the message (64 KiB or less) to be taken'),
  'timeout.dot': setting(patience, '10m', 'until the end of the message is answered'),
  'timeout.rset': setting(patience, '20s', 'until RSET is answered'),
  'timeout.quit': setting(duration, '2s', 'until the server closes after QUIT'),
  'timeout.lookup': setting(patience, '20s', 'for one DNS lookup'),
  'timeout.silence': setting(
    patience,
    '30s',
    'until a new session is ready, and for each answer about an envelope, while other messages wait for a free one',
  ),
  'timeout.delivery': setting(patience, '2h', 'for one delivery attempt with all its hosts'),
  'timeout.stop': setting(duration, '10s', 'for transactions in progress when a run is stopped'),

  'limit.sessions': setting(count(1, 10000), '50', 'simultaneous sessions'),
  'limit.destination': setting(count(1, 10000), '20', 'simultaneous sessions to one destination'),
  'limit.host': setting(count(1, 10000), '20', 'simultaneous sessions to one host'),
  'limit.messages': setting(count(1, 1000000), '100', 'messages in one session'),
  'limit.recipients': setting(count(1, 10000), '100', 'recipients in one transaction'),
  'limit.list': setting(
    count(65_536, 2 ** 30),
    '8388608',
    'largest control message that is read, in bytes; a larger one is set aside, and so is one with more recipients than a 64th of it',
  ),
  'limit.rate': setting(count(0, 100000), '0', 'new sessions per second; 0: no limit'),

  'retry.first': setting(wait, '5m', 'wait after the first failure (2012)'),
  'retry.ceiling': setting(wait, '12h', 'longest wait (2012)'),
  'retry.early': setting(wait, '30m', 'wait after a failure while the message is young (2017)'),
  'retry.late': setting(wait, '4h', 'wait after a later failure (2017)'),
  'retry.notice': setting(
    duration,
    '4h',
    'age at which the sender gets a delay notice; the same as retry.giveup: never',
  ),
  'retry.giveup': setting(duration, '5d', 'age at which delivery of a message is given up'),
  'suppress.after': setting(
    count(0, 1000),
    '0',
    'hard bounces in a row after which nothing is sent to an address for a time; 0: only those put there by hand',
  ),
  'suppress.age': setting(duration, '30d', 'how long nothing is sent to a suppressed address'),

  'intake.listen': setting(
    list(text),
    ['127.0.0.1:2525'],
    'where the intake listens: PORT, ADDRESS:PORT or /path of a unix socket',
  ),
  'intake.protocol': setting(choice('smtp', 'lmtp'), 'smtp', 'protocol of the intake'),
  'intake.size': setting(count(1, 2 ** 40), '104857600', 'largest message the intake accepts, in bytes'),
  'intake.connections': setting(
    count(1, 100000),
    '1000',
    'simultaneous connections to the intake, a quarter of them from one other machine; further ones are refused for now',
  ),
  'intake.users': optional(passwordFile, 'a file of `user:password` lines: only these users may submit mail'),
  'intake.certificate': optional(
    path,
    'a PEM file with a private key and its certificates, to offer STARTTLS',
  ),

  'web.listen': setting(
    text,
    '127.0.0.1:8025',
    'where the web view listens: PORT, ADDRESS:PORT, or unix:/path of a socket',
  ),
  'web.users': optional(
    path,
    'a file of users and hashed passwords for the web view, as `spoolroom web password` writes it',
  ),
  'web.certificate': optional(
    path,
    'a PEM file with a private key and its certificates: the web view speaks HTTPS',
  ),
  'web.origin': optional(
    httpsOrigin,
    'https://HOST where browsers reach the web view through a proxy with TLS; then it may listen on other addresses than the loopback',
  ),
  'web.session': setting(patience, '12h', 'how long a login to the web view lasts at most'),
  'web.metrics': setting(
    choice('password', 'open'),
    'password',
    'whether /metrics of the web view needs a user and a password',
  ),

  strict: setting(flag, 'false', '`check` ends with 2, not 0, when it has warnings and no trouble'),
  'orphan-age': setting(duration, '1d', 'age at which `check` reports a message without a job'),
  poll: setting(interval, '5s', 'how often `watch` scans the spool'),
  'log.level': setting(
    choice('auto', 'error', 'warn', 'info', 'debug'),
    'auto',
    'how much is logged; auto: info on a terminal and in files, else warn',
  ),
  'log.format': setting(choice('pretty', 'json'), 'pretty', 'format of the log'),
  'log.target': setting(text, 'stderr', 'stderr, syslog, syslog:HOST:PORT or a file'),

  'alert.command': setting(
    list(text),
    [],
    'a program and its arguments, run without a shell when a problem begins and when it has ended',
  ),
  'alert.mail': optional(
    mailbox,
    'an address, such as the postmaster’s, that gets one message when a problem begins and one when it has ended',
  ),
  'alert.queue-age': setting(
    duration,
    '0s',
    'a problem: the oldest job that is not held is older than this; 0: never',
  ),
  'alert.queue-size': setting(
    count(0, 100_000_000),
    '0',
    'a problem: more jobs than this are in the queue; 0: never',
  ),
  'alert.refused': setting(
    count(0, 100),
    '0',
    'a problem: more than this percentage of the recipients was refused within alert.window, of 20 at least; 0: never',
  ),
  'alert.window': setting(wait, '1h', 'the time over which alert.refused counts'),

  'metrics-file': optional(
    path,
    'a file that gets the metrics, for the textfile collector of node_exporter; its name has to end in .prom',
  ),

  history: setting(
    choice('on', 'off'),
    'on',
    'whether what became of each message is kept in .spoolroom/history',
  ),
  'history.megabytes': setting(
    count(1, 1000000),
    '200',
    'disk space for the history; the oldest is removed first',
  ),
  'history.age': setting(duration, '30d', 'how long the history of a message is kept'),

  transcripts: setting(
    choice('failures', 'all', 'none'),
    'failures',
    'which deliveries leave a transcript in .spoolroom/transcripts',
  ),
  'transcripts.megabytes': setting(
    count(1, 100000),
    '50',
    'disk space for transcripts; the oldest are removed first',
  ),
  'transcripts.age': setting(duration, '14d', 'how long a transcript is kept'),
} as const satisfies Group;

export type SettingName = keyof typeof SETTINGS;

/** Values by name, read and checked. Times are milliseconds. */
export type Settings = {
  readonly [name in SettingName]: (typeof SETTINGS)[name] extends Setting<infer T> ? T : never;
} & { readonly [FROM_COMMAND_LINE]: ReadonlySet<string>; readonly [GIVEN]: ReadonlyMap<string, Given> };

/** A setting as some source gives it. */
export interface Given {
  /** `--tls`, `SPOOLROOM_TLS`, `/etc/spoolroom/spoolroom.json: tls` */
  readonly from: string;
  /** as it is written there */
  readonly raw: unknown;
}

/** Names of the settings given on the command line. A symbol, so that it is neither written nor compared. */
export const FROM_COMMAND_LINE: unique symbol = Symbol('from the command line');

/** By name, the settings that some source gives; the others have their defaults. */
export const GIVEN: unique symbol = Symbol('given');
