/**
 * The tables of techdoc/, printed from the code. `node --import tsx test/techdoc/tables.ts` writes them between
 * their markers; tables.test.ts fails when a document and the code disagree.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DELIVERY_STATES } from '../../src/delivery/delivery.ts';
import { DELIVERY_TABLE } from '../../src/delivery/table.ts';
import { ANSWERS } from '../../src/delivery/throttling/answers.ts';
import { THROTTLE } from '../../src/delivery/throttling/machine.ts';
import { RECEIVERS } from '../../src/delivery/throttling/receivers.ts';
import { THROTTLE_STATES, THROTTLE_TABLE } from '../../src/delivery/throttling/table.ts';
import { noticeFromLine } from '../../src/dsn/notice.ts';
import type { SentDsn } from '../../src/dsn/sender.ts';
import { BOUNDS as INTAKE_BOUNDS } from '../../src/intake/receiver/bounds.ts';
import { REPLIES } from '../../src/intake/receiver/replies.ts';
import { beginSession as beginReceiving } from '../../src/intake/receiver/session.ts';
import { STATES as INTAKE_STATES } from '../../src/intake/receiver/states.ts';
import { INTAKE_TABLE } from '../../src/intake/receiver/table.ts';
import type { QueuedMessage, RejectedMessage } from '../../src/intake/transaction-handler.ts';
import { METRICS, type Metric } from '../../src/metrics/table.ts';
import type { LogEvent } from '../../src/output/log/log-events.ts';
import {
  dialogueEvent,
  dsnEvent,
  outcomeEvent,
  plaintextEvent,
  quarantineEvent,
  queuedEvent,
  rejectedEvent,
  suppressedEvent,
} from '../../src/output/log/log-events.ts';
import {
  busyEvent,
  closedEvent,
  listeningEvent,
  loginFailedEvent,
  loginsFailedEvent,
  reloadedEvent,
  silentEvent,
  startedEvent,
  stoppedEvent,
  stoppingEvent,
  summaryEvent,
  waitingEvent,
  warningEvent,
  webListeningEvent,
  webLoginEvent,
} from '../../src/output/log/process-events.ts';
import { duration } from '../../src/output/text.ts';
import { LOOKUP_ERRORS } from '../../src/routing/route.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import { DESTINATION_CONDITION_FIELDS, DESTINATION_VALUE_FIELDS } from '../../src/settings/destinations.ts';
import { SETTING_NAMES } from '../../src/settings/read.ts';
import type { Setting } from '../../src/settings/table.ts';
import { SETTINGS } from '../../src/settings/table.ts';
import { next } from '../../src/smtp/machine/machine.ts';
import { describeEvent, UNSUPPORTED } from '../../src/smtp/machine/messages.ts';
import type { Session, SessionEvent } from '../../src/smtp/machine/session.ts';
import { beginSession } from '../../src/smtp/machine/session.ts';
import { STATES, type State } from '../../src/smtp/machine/states.ts';
import { SESSION_TABLE } from '../../src/smtp/machine/table.ts';
import { MECHANISMS } from '../../src/smtp/mechanisms.ts';
import { NETWORK_ERRORS as NETWORK_WORDS } from '../../src/smtp/network-errors.ts';
import { BOUNDS } from '../../src/smtp/reply.ts';
import { READINGS } from '../../src/smtp/reply-readings.ts';
import { DECISIONS, TLSA_FINDINGS } from '../../src/tls-policy/decision.ts';
import { TLS_WISHES } from '../../src/tls-policy/wish.ts';
import { DIFFERENCES } from '../intake/fuzz.ts';
import { PLAYED } from './played-screens.ts';
import { historyScreen, queueScreen, summaryScreen } from './screens.ts';

export const TECHDOC = fileURLToPath(new URL('../../techdoc/', import.meta.url));

/** Markdown between `<!-- table NAME -->` and `<!-- /table -->`, for each document that has such markers. */
export const DOCUMENTS: {
  readonly [file: string]: { readonly [table: string]: () => string | Promise<string> };
} = {
  'delivery-states.md': {
    'session states': sessionStates,
    'session transitions': () => transitions(SESSION_TABLE),
    'delivery states': deliveryStates,
    'delivery transitions': () => transitions(DELIVERY_TABLE),
    outcomes,
    readings,
    mechanisms,
    phrases,
    bounds,
  },
  'intake-states.md': {
    'intake states': intakeStates,
    'intake transitions': () => transitions(INTAKE_TABLE, ['reply']),
    'intake replies': intakeReplies,
    'intake bounds': intakeBounds,
    'intake differences': () =>
      table(
        ['difference'],
        DIFFERENCES.map(({ reason }) => [reason]),
      ),
  },
  'throttling.md': {
    'throttle states': () => table(['state', 'meaning'], Object.entries(THROTTLE_STATES)),
    'throttle transitions': () => transitions(THROTTLE_TABLE),
    'throttle numbers': throttleNumbers,
    'throttle answers': throttleAnswers,
    receivers,
  },
  'settings.md': { settings },
  'tls-policy.md': {
    ...{ decisions, 'tlsa findings': tlsaFindings, 'tls wishes': tlsWishes },
    'count TLS sessions': PLAYED['count TLS sessions'],
  },
  'destinations.md': {
    'destination conditions': () => fields('condition', DESTINATION_CONDITION_FIELDS),
    'destination values': () => fields('word', DESTINATION_VALUE_FIELDS),
  },
  'metrics.md': { metrics },
  'logs.md': { 'log lines': logLines },
  'commands.md': {
    queue: queueScreen,
    'queue summary': summaryScreen,
    'change the queue': PLAYED['change the queue'],
    suppress: PLAYED.suppress,
    'find what stops mail': PLAYED['find what stops mail'],
  },
  'debugging.md': {
    'ask the queue': PLAYED['ask the queue'],
    'ask about a job': PLAYED['ask about a job'],
    'see what was said': PLAYED['see what was said'],
    'another setting': PLAYED['another setting'],
    'how it is read': PLAYED['how it is read'],
    'would it act differently': PLAYED['would it act differently'],
    'keep the case': PLAYED['keep the case'],
    'try the real hosts': PLAYED['try the real hosts'],
  },
  'history.md': { 'a story': historyScreen },
};

function metrics(): string {
  const rows = Object.entries(METRICS).map(([name, metric]: [string, Metric]) => {
    const { type, unit = '', labels = {}, help } = metric;
    const values = Object.entries(labels).map(([label, each]) => `${label}: ${each.join(', ')}`);
    return [`\`${name}${type === 'counter' ? '_total' : ''}\``, type, unit, values.join('; '), help];
  });
  return table(['metric', 'type', 'unit', 'labels and their values', 'meaning'], rows);
}

/** The document with its tables printed anew. */
export async function refreshed(file: string, text: string): Promise<string> {
  let page = text;
  for (const [name, print] of Object.entries(DOCUMENTS[file] ?? {})) {
    const [open, close] = [`<!-- table ${name} -->`, '<!-- /table -->'];
    const from = page.indexOf(open);
    const to = page.indexOf(close, from);
    if (from < 0 || to < 0) throw new Error(`${file} has no place for the table "${name}"`);
    page = `${page.slice(0, from + open.length)}\n${await print()}\n${page.slice(to)}`;
  }
  return page;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function decisions(): string {
  return table(
    ['TLSA records', 'MTA-STS', 'demand', 'because'],
    DECISIONS.map(({ tlsa, sts, demand, because }) => [
      tlsa.join(', '),
      sts.length === 3 ? 'any' : sts.join(', '),
      demand,
      because,
    ]),
  );
}

function tlsaFindings(): string {
  return table(
    ['TLSA records', 'that is'],
    Object.entries(TLSA_FINDINGS).map(([name, meaning]) => [name, meaning]),
  );
}

function tlsWishes(): string {
  return table(
    ['the message says', 'hosts', 'connection'],
    Object.values(TLS_WISHES).map(({ said, hosts, connection }) => [said, hosts, connection]),
  );
}

function sessionStates(): string {
  const rows = Object.entries(STATES).map(([name, state]: [string, State]) => [
    name,
    state.phrase,
    state.deadline === null ? '' : `timeout.${state.deadline}`,
    state.citadel ?? '',
  ]);
  return table(['state', 'we are', 'deadline', 'the C module calls it'], rows);
}

interface TransitionRow {
  readonly id: string;
  readonly in: readonly string[];
  readonly on: readonly string[];
  readonly when?: string;
  readonly to: string;
  readonly do: readonly string[];
  readonly reply?: string;
}

/** `last`: the columns behind those that every machine has. */
function transitions(rows: readonly TransitionRow[], last: readonly 'reply'[] = []): string {
  return table(
    ['row', 'in', 'on', 'when', 'to', 'do', ...last],
    rows.map((row) => [
      row.id,
      row.in.join(', '),
      row.on.join(', '),
      row.when ?? '',
      row.to,
      row.do.join(', '),
      ...last.map((column) => row[column] ?? ''),
    ]),
  );
}

function throttleNumbers(): string {
  const shown = (name: keyof typeof THROTTLE): string =>
    name.endsWith('ate') || name === 'rateStep' ? `${THROTTLE[name]} a minute` : duration(THROTTLE[name]);
  return table(
    ['name', 'value'],
    (Object.keys(THROTTLE) as (keyof typeof THROTTLE)[]).map((name) => [name, shown(name)]),
  );
}

function throttleAnswers(): string {
  return table(
    ['code', 'text', 'asks to send less', 'why'],
    ANSWERS.map(({ code, text, throttles, why }) => [
      String(code),
      `\`${text.source}\``,
      throttles ? 'yes' : 'no',
      why,
    ]),
  );
}

function receivers(): string {
  return table(
    ['receiver', 'hosts', 'first pause', 'answer', 'advice', 'source'],
    RECEIVERS.flatMap(({ name, hosts, pause, answers }) =>
      answers.map(({ text, advice, source }) => [
        name,
        hosts.join(', '),
        duration(pause === undefined ? THROTTLE.firstPause : pause * 60_000),
        text.source === '.' ? 'any other' : `\`${text.source}\``,
        advice,
        `<${source}>`,
      ]),
    ),
  );
}

function intakeStates(): string {
  return table(
    ['state', 'the client', 'its bytes are', 'bound on the wait'],
    Object.entries(INTAKE_STATES).map(([name, { phrase, reads, deadline }]) => [
      name,
      phrase,
      reads,
      deadline ?? '',
    ]),
  );
}

/** As said to a client called `client.example` by an intake with users and a certificate. */
function intakeReplies(): string {
  const policy = {
    protocol: 'smtp',
    hostname: 'queue.example',
    size: 104_857_600,
    maxRecipients: 1000,
    tls: true,
    login: true,
  } as const;
  const draft = {
    session: { ...beginReceiving(policy), client: 'client.example' },
    event: { type: 'timeout' } as const,
    effects: [],
  };
  const rows = Object.entries(REPLIES).map(([name, [code, status, text]]) => [
    name,
    String(code),
    status ?? '',
    (typeof text === 'string' ? text : text(draft)).replaceAll('\n', '; ').replaceAll('<', '&lt;'),
  ]);
  return table(['reply', 'code', 'enhanced', 'text'], rows);
}

function intakeBounds(): string {
  const rows = Object.entries(INTAKE_BOUNDS).map(([name, { value, unit, about }]) => [
    name,
    `${value} ${unit}`.trim(),
    about,
  ]);
  return table(['bound', 'value', 'on'], rows);
}

function deliveryStates(): string {
  return table(['state', 'the delivery is'], Object.entries(DELIVERY_STATES));
}

const REPLY_EVENTS: readonly (readonly [string, SessionEvent])[] = [
  ['2yz', reply(250)],
  ['3yz', reply(354)],
  ['4yz', reply(450)],
  ['5yz', reply(550)],
  ['421', reply(421)],
  ['closed or reset', { type: 'connection-lost', text: 'closed the connection' }],
  ['timeout', { type: 'timeout', seconds: 1 }],
  ['not SMTP', { type: 'protocol-error', text: '?' }],
];

/** What each event means in each state: the machine is asked, nothing is typed by hand. */
function outcomes(): string {
  const rows = Object.entries(specimens()).map(([state, session]) => [
    state,
    ...REPLY_EVENTS.map(([, event]) => meaning(session, event)),
  ]);
  return table(['state', ...REPLY_EVENTS.map(([name]) => name)], rows);
}

function meaning(session: Session, event: SessionEvent): string {
  const { session: after, effects } = next(session, event);
  for (const effect of effects) {
    if (effect.type === 'host-failed') return 'host';
    if (effect.type === 'requeue') return 'fresh session, nothing held against the host';
    if (effect.type === 'tls-unusable') return 'host, again without TLS';
    if (effect.type === 'outcome') {
      const { outcome } = effect;
      if (outcome.kind === 'delivered') return '**2**';
      return `${outcome.scope}: ${outcome.permanent ? 5 : 4}${outcome.maybeDelivered ? ', may have arrived' : ''}`;
    }
  }
  return after.state === session.state ? '' : `on to ${after.state}`;
}

/** A session in each state in which it waits for something, reached the ordinary way. */
function specimens(): { readonly [state: string]: Session } {
  const transaction = {
    id: 1,
    sender: 's@me.example',
    recipients: [{ id: 0, address: 'a@x.example' }],
    size: 1,
    eightBit: false,
    smtpUtf8: false,
    dsn: null,
  };
  const plain = {
    ehloName: 'me.example',
    tls: 'none',
    credentials: false,
    authInClear: false,
    recipients: 100,
  } as const;
  const peer = { host: 'mx.example', address: '192.0.2.1', port: 25 };
  const walk = (start: Session, ...events: readonly SessionEvent[]): Session =>
    events.reduce((session, event) => next(session, event).session, start);
  const start = beginSession(plain, peer);
  const optional = beginSession({ ...plain, tls: 'opportunistic' }, peer);
  const required = beginSession({ ...plain, tls: 'require' }, peer);
  const authenticating = beginSession({ ...plain, tls: 'implicit', credentials: true }, peer);
  const offer: SessionEvent = { type: 'start-transaction', transaction };
  const ready = walk(start, reply(220), reply(250));
  const mail = walk(ready, offer);
  const body = walk(mail, reply(250), reply(250), reply(354));
  const dot = walk(body, { type: 'body-sent', pipelined: null });
  const starttls = [reply(220), reply(250, 'mx\nSTARTTLS')];
  return {
    greeting: start,
    ehlo: walk(start, reply(220)),
    helo: walk(start, reply(220), reply(502)),
    'starttls, opportunistic': walk(optional, ...starttls),
    'starttls, required': walk(required, ...starttls),
    'handshake, opportunistic': walk(optional, ...starttls, reply(220)),
    'handshake, required': walk(required, ...starttls, reply(220)),
    auth: walk(authenticating, reply(220), reply(250, 'mx\nAUTH PLAIN')),
    ready,
    mail,
    'mail, on a used session': walk(dot, reply(250), offer),
    rcpt: walk(mail, reply(250)),
    data: walk(mail, reply(250), reply(250)),
    body,
    dot,
    rset: walk(mail, reply(250), reply(550)),
    quit: walk(ready, { type: 'quit' }),
  };
}

function reply(code: number, text = ''): SessionEvent {
  return { type: 'reply', reply: { code, enhanced: null, text } };
}

function readings(): string {
  const rows = READINGS.map(({ in: states, codes, enhanced, text, accepted, relay, meaning, why }) => [
    states.join(', '),
    `${typeof codes === 'string' ? codes : codes.join(', ')}${relay === true ? ' of a relay' : ''}`,
    enhanced === undefined ? 'any or none' : `\`${enhanced.source}\``,
    text === undefined ? '' : `\`${text.source}\``,
    accepted === undefined ? '' : accepted ? 'yes' : 'no',
    meaning,
    why,
  ]);
  return table(
    [
      'state',
      'reply',
      'enhanced code, without its class',
      'text',
      'a recipient was accepted',
      'is about',
      'why',
    ],
    rows,
  );
}

function mechanisms(): string {
  const rows = MECHANISMS.map(({ name, credentials, hidesPassword, why }) => [
    name,
    credentials,
    hidesPassword ? 'no' : 'yes',
    why,
  ]);
  return table(['mechanism', 'credentials', 'the server sees them', 'why'], rows);
}

function bounds(): string {
  const { line, replyLines, replyText } = BOUNDS;
  return table(
    ['of a remote server', 'at most', 'beyond it'],
    [
      ['a line', `${line} bytes`, 'the connection is closed: overlong line'],
      ['a reply', `${replyLines} lines`, 'it is not SMTP: the row `protocol-error`'],
      ['the text of a reply', `${replyText} bytes`, 'the rest is left out, and the text says how much'],
    ],
  );
}

function phrases(): string {
  const events: readonly SessionEvent[] = [
    { type: 'timeout', seconds: 300 },
    { type: 'connection-lost', text: 'closed the connection' },
    { type: 'protocol-error', text: 'HTTP/1.1 400' },
    { type: 'early-talker', text: '250 ok' },
    { type: 'payload-error', text: 'EIO' },
  ];
  return table(
    ['when', 'HOST ...'],
    [
      ...events.map((event) => [event.type, describeEvent(event, 'dot')]),
      ...Object.entries(UNSUPPORTED).map(([name, words]) => [name, words(2000, 1000).text]),
      ...Object.entries(NETWORK_WORDS),
      ...Object.entries(LOOKUP_ERRORS).map(([fault, words]) => [
        fault,
        `(no host) ... lookup failed: ${words}`,
      ]),
    ],
  );
}

function fields(what: string, named: typeof DESTINATION_VALUE_FIELDS): string {
  const rows = Object.entries(named).map(([name, { kind, about }]) => {
    const value = kind.flag ? 'true|false' : `${kind.hint}${kind.many ? ', or a list' : ''}`;
    return [`\`${name}\``, value, about];
  });
  return table([what, 'value', 'meaning'], rows);
}

function settings(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { kind, fallback, about }: Setting<unknown> = SETTINGS[name];
    const value = kind.flag ? 'true|false' : `${kind.hint}${kind.many ? ', repeatable' : ''}`;
    return [`\`${name}\``, value, String(fallback ?? ''), about];
  });
  return table(['setting', 'value', 'default', 'meaning'], rows);
}

const MESSAGE = {
  ...{ submitted: 1_342_224_000, sender: 'alice@citadel.example.org' },
  ...{ messageId: '<1@citadel.example.org>', size: 4711 },
};
const REJECTED: RejectedMessage = {
  ...{ code: 452, text: 'No space is left on the disk', client: 'citadel (127.0.0.1)' },
  ...MESSAGE,
  recipients: ['bob@example.com'],
};
const QUEUED: QueuedMessage = {
  ...{ control: 2, payload: 1, ...MESSAGE, recipients: ['bob@example.com'], transactions: 1 },
};

/** One specimen of each line, made by the code that makes the real ones. */
function logLines(): string {
  const same = (text: string): string => text;
  const summary = {
    jobs: 3,
    due: 2,
    done: 2,
    delivered: 1,
    deferred: 1,
    failed: 1,
    finished: 1,
    silent: 0,
    waited: 0,
    milliseconds: 1234,
  };
  const lines: readonly (readonly [LogEvent, string])[] = [
    [outcomeEvent(DELIVERED, same), 'a recipient got the message'],
    [
      outcomeEvent(DEFERRED, same),
      'a recipient is tried again later; `warn` if the message itself cannot be read',
    ],
    [outcomeEvent(REFUSED, same), 'a recipient will not get the message'],
    [
      dsnEvent(REPORTED, same),
      'a report to the sender was handed over; with `how` `left` (level warn) no server took it, for the `reason` given, and it is kept in `.spoolroom/reports/` for the postmaster',
    ],
    [
      suppressedEvent(
        {
          ...{ control: 2, msgid: 1, message: { ...MESSAGE, sender: '' } },
          ...{ recipients: ['bob@example.com'], reason: 'the mail has the null sender' },
        },
        same,
      ),
      'there may be no report of this failure',
    ],
    [
      quarantineEvent(7, 'it has no remote line', '/var/spool/spoolroom/.spoolroom/bad/7'),
      'an unreadable control message; in the queue of a Citadel server it stays in place, and `path` is null',
    ],
    [
      warningEvent('The spool ...'),
      'something an administrator should know; the sentence says what it means for the mail',
    ],
    [listeningEvent('127.0.0.1:2525', '/var/spool/spoolroom'), 'the intake accepts mail'],
    [webListeningEvent('http://127.0.0.1:8025/', '/var/spool/spoolroom'), 'the web view answers'],
    [webLoginEvent('alice', '192.0.2.7'), 'somebody came into the web view'],
    [queuedEvent(QUEUED, same), 'the intake has accepted a message, which is durable'],
    [
      rejectedEvent(REJECTED, same),
      'the intake has refused a message; the client keeps it, or reports it to the sender (codes from 500 up)',
    ],
    [
      loginFailedEvent({ user: 'citadel', address: '192.0.2.7', failures: 3, heard: true }),
      'a client of the intake or of the web view gave a wrong password; `failures` counts recent ones of its address; with `heard` false there were too many, and the password was not checked',
    ],
    [
      loginsFailedEvent('192.0.2.7', 37),
      'further failures of an address within a minute, in which the first five are logged one by one; `address` is null for those of many others',
    ],
    [closedEvent('SIGTERM'), 'the intake is closed'],
    [
      busyEvent('Process 812 is already delivering from /var/spool/spoolroom; nothing was done.', 812),
      '`run`, while another process delivers: nothing to do',
    ],
    [
      waitingEvent('/var/spool/spoolroom', 812),
      '`watch`, while another process delivers: it starts when that has ended',
    ],
    [
      plaintextEvent(
        {
          ...REFUSAL,
          permanent: false,
          code: null,
          enhanced: '4.7.5',
          text: 'TLS failed: handshake failure',
        },
        same,
      ),
      'TLS with a host fails, and its mail goes without TLS, where the settings allow that',
    ],
    [stoppingEvent('SIGINT', 10_000), 'the program got a signal to stop'],
    [
      silentEvent({ cut: 12, slow: 0, sessions: 50, silence: 30_000, waiting: 17, waited: 31_000 }),
      'silent hosts had all sessions while others waited for one; `waited` is how long, in milliseconds',
    ],
    [startedEvent('/var/spool/spoolroom', 4711), '`watch` has started'],
    [stoppedEvent('SIGTERM'), '`watch` has ended'],
    [
      reloadedEvent(false),
      'SIGHUP: settings that cannot be used are a warning instead, and the old ones stay',
    ],
    [summaryEvent(summary), 'the end of a queue run in which jobs were due; `info` on a terminal'],
    [
      dialogueEvent(7, PEER, { from: 'us', text: 'MAIL FROM:<a@b.example>' }, same),
      'a line of an SMTP dialogue; credentials are never shown',
    ],
  ];
  return table(
    ['event', 'level', 'means', 'looks like', 'fields as JSON'],
    lines.map(([{ event, level, message, fields }, meaning]) => [
      event,
      level,
      meaning,
      `\`${message}\``,
      Object.keys(fields).join(', '),
    ]),
  );
}

const PEER = { host: 'mx.example.com', address: '192.0.2.1', port: 25 };
const REPORTED: SentDsn = {
  control: 2,
  msgid: 1,
  message: MESSAGE,
  to: 'alice@citadel.example.org',
  how: 'safe',
  where: '[/run/citadel/lmtp.socket]',
  why: null,
  notices: [noticeFromLine({ address: 'bob@example.com', status: 5, text: '5.1.1 no such user' })],
};
const JOB = {
  ...{ control: 2, msgid: 1, message: MESSAGE, recipient: 'bob@example.com' },
  ...{ destination: 'example.com', text: '' },
};
const REFUSAL = {
  kind: 'failed',
  scope: 'recipient',
  stage: 'rcpt',
  peer: PEER,
  maybeDelivered: false,
} as const;
const REFUSED: OutcomeRecord = {
  ...JOB,
  status: 5,
  milliseconds: 80,
  tls: null,
  outcome: { ...REFUSAL, permanent: true, code: 550, enhanced: '5.1.1', text: '5.1.1 no such user' },
};
const DEFERRED: OutcomeRecord = {
  ...REFUSED,
  status: 4,
  outcome: { ...REFUSAL, permanent: false, code: 450, enhanced: '4.2.1', text: '4.2.1 greylisted' },
};
const DELIVERED: OutcomeRecord = {
  ...JOB,
  status: 2,
  milliseconds: 412,
  tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: 'dane' },
  outcome: { kind: 'delivered', code: 250, enhanced: '2.0.0', text: '2.0.0 queued', peer: PEER },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of Object.keys(DOCUMENTS)) {
    writeFileSync(TECHDOC + file, await refreshed(file, readFileSync(TECHDOC + file, 'utf8')));
  }
}
