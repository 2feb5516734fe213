/**
 * A model of the C module of 2012 for one script: a table of its dialogue, how it reads replies and how it chooses hosts.
 * Each of its defects can be corrected by name; with all of them corrected the model gives the required result. The suites
 * of dialogue.ts compare the vectors with the uncorrected model and this program with the corrected one. The model shares
 * no code with the program.
 */
import { isIP } from 'node:net';
import type { ByteString } from '../../src/platform/bytes.ts';
import {
  eachOnce,
  entry,
  type LastAction,
  type Outcome,
  type Script,
  type ScriptedPeer,
  type Seen,
} from './script.ts';

/** Defects in the order in which they are corrected, with what is right instead. R and C numbers: techdoc/regressions.md. */
export const DEFECTS = {
  'cr-lf':
    'only LF ends a line, however the bytes are read (C: CR ends a line too, and an LF read later is an empty line)',
  'bad-replies':
    'a reply is a line with a code from 200 to 599; anything else is not SMTP and fails the host (C: the first byte counts)',
  surplus: 'y055: an unsolicited reply fails the host (C: takes it for the reply to the next command)',
  'left-over': 'an unfinished line of one server is not put before the first line of the next one',
  quit: 'nothing that happens at QUIT changes the outcome',
  stuck: 'a reset, or a socket that cannot be created, ends the attempt like any other lost connection',
  refusal:
    'C05: after a refusal in the greeting, to EHLO or HELO, or a 421, the next host is tried; it is never a permanent failure',
  'ehlo-4yz': 'C06: only 5yz to EHLO leads to HELO (R018)',
  'wrong-class': 'a reply of an unexpected class is not a permanent failure: 4 (C: everything but 4yz is 5)',
  'data-3': 'C11: 4yz to DATA is written as 4, not as 3',
  'data-lost': 'when DATA is not answered, no byte of the message was sent: the next host is tried',
  'own-commands':
    'a server that does not know MAIL, RCPT or DATA, or takes them for out of sequence, has failed (C: refuses the message)',
  auth: 'C06: AUTH only where it is offered, and not in clear',
  'session-end': 'C16: RSET and QUIT after a refusal, while the connection is open',
  'all-lines':
    'R101, R102: all lines of a refusal are kept, as one line without CR, LF, NUL and bar, cut at 1000 bytes',
  shutdown: 'a stop before the envelope leaves the recipient as it was (C: status 3)',
  recipients: 'a recipient without a domain is refused, one at an address literal goes to that address',
  sender: 'the sender is clean, and postmaster where none is found',
  relays: 'relays in configured order; a fallback host alone is not a smart host',
  addresses: 'all addresses of a name are tried, IPv6 too, by name or literal',
  'mx-faults':
    'R103: only a proven lack of MX leads to the domain itself; a failed lookup is 4, no such domain, no address at all or a null MX is 5',
  dots: 'C18: every line that starts with a dot gets one more',
  'give-up': 'a recipient that could not be reached for five days has failed',
} as const;

export type Defect = keyof typeof DEFECTS;
export type Corrections = ReadonlySet<Defect>;

type State = 'greeting' | 'ehlo' | 'helo' | 'auth' | 'mail' | 'rcpt' | 'data' | 'dot' | 'quit';
/** first digit or 421; `noise`: not SMTP; `lost`: closed, silent, reset, or an unsolicited reply */
type Heard = '2' | '3' | '4' | '5' | '421' | 'noise' | 'lost';
/** a state: continue there; a digit: end with this status; `next`: try the next host */
type Move = State | '2' | '3' | '4' | '5' | 'next';

const HEARD: readonly Heard[] = ['2', '3', '4', '5', '421', 'noise', 'lost'];

type Dialogue = { readonly [state in State]: { readonly [heard in Heard]: Move } };

function line(moves: string): { readonly [heard in Heard]: Move } {
  const list = moves.trim().split(/\s+/) as Move[];
  return Object.fromEntries(HEARD.map((heard, index) => [heard, list[index]])) as {
    [heard in Heard]: Move;
  };
}

/** The dialogue of the C module. It knows no `noise`: the first byte of a reply decides. */
const C_DIALOGUE: Dialogue = {
  //             2     3    4    5    421  noise lost
  greeting: line('ehlo 5    4    5    4    5     next'),
  ehlo: line('    mail helo helo helo helo helo  next'),
  helo: line('    mail 5    4    5    4    5     next'),
  auth: line('    mail 5    4    5    4    5     next'),
  mail: line('    rcpt 5    4    5    4    5     next'),
  rcpt: line('    data 5    4    5    4    5     next'),
  data: line('    5    dot  3    5    3    5     4'),
  dot: line('     quit 5    4    5    4    5     4'),
  quit: line('    2    2    2    2    2    2     4'),
};

type Cells = { readonly [state in State]?: { readonly [heard in Heard]?: Move } };

const HANDSHAKE: Cells = {
  greeting: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
  helo: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
  auth: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
};

/** Which cells of the dialogue a corrected defect changes. */
const CELLS: { readonly [defect in Defect]?: Cells } = {
  'bad-replies': {
    greeting: { noise: 'next' },
    ehlo: { noise: 'next' },
    helo: { noise: 'next' },
    auth: { noise: 'next' },
    mail: { noise: 'next' },
    rcpt: { noise: 'next' },
    data: { noise: '4' },
    dot: { noise: '4' },
  },
  quit: { quit: { lost: '2' } },
  refusal: { ...HANDSHAKE, mail: { '421': 'next' }, rcpt: { '421': 'next' }, data: { '421': 'next' } },
  'ehlo-4yz': { ehlo: { '3': 'next', '4': 'next', '421': 'next' } },
  'wrong-class': { mail: { '3': '4' }, rcpt: { '3': '4' }, data: { '2': '4' }, dot: { '3': '4' } },
  'data-3': { data: { '4': '4' } },
  'data-lost': { data: { lost: 'next', noise: 'next' } },
};

function dialogueOf(corrected: Corrections): Dialogue {
  const dialogue = structuredClone(C_DIALOGUE) as { [state in State]: { [heard in Heard]: Move } };
  for (const defect of corrected) {
    for (const [state, cells] of Object.entries(CELLS[defect] ?? {})) {
      Object.assign(dialogue[state as State], cells);
    }
  }
  return dialogue;
}

/** One reply as it was read. */
interface Reply {
  readonly heard: Heard;
  /** 500, 502 or 503: the command is unknown, or out of sequence */
  readonly isUnknown: boolean;
  /** null: no reply */
  readonly words: ByteString | null;
}

const LOST: Reply = { heard: 'lost', isUnknown: false, words: null };

/** The reads of one connection, split into replies. */
class ReplyReader {
  readonly #corrected: Corrections;
  readonly #reads: ByteString[];
  #buffer: ByteString;
  #lines: ByteString[] = [];
  /** the text that is used for a line shorter than a code */
  #stale = '';

  constructor(reads: readonly ByteString[], leftOver: ByteString, corrected: Corrections) {
    this.#reads = [...reads];
    this.#buffer = leftOver;
    this.#corrected = corrected;
  }

  /** Bytes of the server that were not read as a reply. */
  get rest(): ByteString {
    return this.#buffer;
  }

  get exhausted(): boolean {
    return this.#reads.length === 0;
  }

  next(): Reply {
    // Bytes that are already there were sent too early.
    if (this.#corrected.has('surplus') && this.#buffer !== '') return LOST;
    for (;;) {
      const line = this.#line();
      if (line === null) {
        const read = this.#reads.shift();
        if (read === undefined) return LOST;
        this.#buffer += read;
        continue;
      }
      const reply = this.#take(line);
      if (reply !== null) return reply;
    }
  }

  #line(): ByteString | null {
    const ending = this.#corrected.has('cr-lf') ? /\r?\n/ : /\r\n|\n|\r/;
    const match = ending.exec(this.#buffer);
    if (match === null) return null;
    const line = this.#buffer.slice(0, match.index);
    this.#buffer = this.#buffer.slice(match.index + match[0].length);
    return line;
  }

  #take(line: ByteString): Reply | null {
    const strict = this.#corrected.has('bad-replies');
    const words = line.length < 4 && !strict ? this.#stale : line.slice(4);
    this.#stale = words;
    if (strict && !/^[2-5]\d\d/.test(line)) return { ...LOST, heard: 'noise' };
    this.#lines.push(words);
    if (line.length >= 4 && line[3] === '-') return null;
    const lines = this.#lines;
    this.#lines = [];
    return { heard: heardIn(line), isUnknown: /^50[023]/.test(line), words: this.#wordsOf(lines) };
  }

  #wordsOf(lines: readonly ByteString[]): ByteString {
    return this.#corrected.has('all-lines') ? allLines(lines) : trimmed(lines.at(-1) ?? '');
  }
}

function heardIn(line: ByteString): Heard {
  if (line.startsWith('421')) return '421';
  const [digit = ''] = line;
  return digit === '2' || digit === '3' || digit === '4' ? digit : '5';
}

function trimmed(text: ByteString): ByteString {
  return text.replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, '');
}

function allLines(lines: readonly ByteString[]): ByteString {
  const text = lines
    .join(' ')
    .replace(/[\r\n\0|]+/g, ' ')
    .replace(/^[ \t]+|[ \t]+$/g, '');
  return text.length > 1000 ? `${text.slice(0, 997)}...` : text;
}

const COMMANDS: { readonly [state in State]: (envelope: Envelope) => readonly ByteString[] } = {
  greeting: () => [],
  ehlo: () => ['EHLO citadel.example.org'],
  helo: () => ['HELO citadel.example.org'],
  auth: ({ login }) => [`AUTH PLAIN ${login === null ? '' : plain(login)}`],
  mail: ({ sender }) => [`MAIL FROM:<${sender}>`],
  rcpt: ({ recipient }) => [`RCPT TO:<${recipient}>`],
  data: () => ['DATA'],
  dot: ({ body }) => [entry(body), '.'],
  quit: () => ['QUIT'],
};

interface Envelope {
  readonly sender: ByteString;
  readonly recipient: ByteString;
  readonly body: ByteString;
  readonly login: Login | null;
}

interface Login {
  readonly user: string;
  readonly password: string;
}

function plain({ user, password }: Login): string {
  return Buffer.from(`${user}\0${user}\0${password}`, 'latin1').toString('base64');
}

interface Attempt {
  /** `nothing`: the recipient stays as it was */
  readonly end: '2' | '3' | '4' | '5' | 'next' | 'nothing';
  readonly words: ByteString | null;
  readonly sent: readonly ByteString[];
  readonly leftOver: ByteString;
}

/** One connection, from the greeting on. */
function converse(
  peer: ScriptedPeer,
  envelope: Envelope,
  leftOver: ByteString,
  corrected: Corrections,
): Attempt {
  const dialogue = dialogueOf(corrected);
  const reader = new ReplyReader(peer.says, corrected.has('left-over') ? '' : leftOver, corrected);
  const sent: ByteString[] = [];
  /** False: the write failed. */
  const say = (commands: readonly ByteString[]): boolean => {
    if (commands.length > 0 && peer.last === 'broken' && reader.exhausted) return false;
    sent.push(...commands);
    return true;
  };
  let delivered: ByteString | null = null;
  let state = 'greeting' as State;
  for (;;) {
    const reply = say(COMMANDS[state](envelope)) ? reader.next() : LOST;
    const hasLostTrack =
      corrected.has('own-commands') && reply.isUnknown && ['mail', 'rcpt', 'data'].includes(state);
    const move: Move = hasLostTrack ? 'next' : dialogue[state][reply.heard];
    const over = (end: Attempt['end'], words = reply.words): Attempt => ({
      end,
      words,
      sent,
      leftOver: reader.rest,
    });
    if (reply === LOST && isStuck(peer.last, reader, corrected)) return over('nothing', null);
    if (reply === LOST && peer.last === 'shutdown' && reader.exhausted)
      return over(corrected.has('shutdown') ? 'nothing' : '3', null);
    if (state === 'quit') return over(move === '2' ? '2' : '4', move === '2' ? delivered : null);
    if (move === 'next' || /^\d$/.test(move)) {
      if (corrected.has('session-end')) endSession(hasLostTrack ? 'greeting' : state, reply, say, reader);
      return over(move as Attempt['end']);
    }
    if (move === 'quit') delivered = reply.words;
    state = move === 'mail' && state !== 'auth' && envelope.login !== null ? 'auth' : (move as State);
    if (state === 'auth' && corrected.has('auth')) {
      if (corrected.has('session-end')) say(['QUIT']);
      return over('next', null);
    }
  }
}

function isStuck(last: LastAction, reader: ReplyReader, corrected: Corrections): boolean {
  return !corrected.has('stuck') && reader.exhausted && (last === 'reset' || last === 'broken');
}

/** RSET in a transaction, then QUIT; nothing to a server whose connection is lost or that does not speak SMTP. */
function endSession(
  state: State,
  { heard }: Reply,
  say: (commands: readonly ByteString[]) => boolean,
  reader: ReplyReader,
): void {
  if (heard === '421' || heard === 'noise' || heard === 'lost') return;
  if (state === 'mail' || state === 'rcpt' || state === 'data') {
    if (!say(['RSET'])) return;
    const answer = reader.next().heard;
    if (answer === '421' || answer === 'noise' || answer === 'lost') return;
  }
  say(['QUIT']);
}

/** A host to try: how to find its addresses, and how to reach it. */
interface Target {
  readonly name: string;
  readonly port: number;
  readonly login: Login | null;
  /** its name is its address */
  readonly literal: boolean;
  readonly lookups: readonly ('a' | 'aaaa')[];
}

/** Why a recipient has no host. */
type Routed = readonly Target[] | { readonly status: number };

class Model {
  readonly #script: Script;
  readonly #corrected: Corrections;
  readonly #questions: string[] = [];
  readonly #contacts: string[] = [];
  readonly #sent: ByteString[] = [];
  readonly #outcomes: Outcome[] = [];
  #leftOver = '';

  constructor(script: Script, corrected: Corrections) {
    this.#script = script;
    this.#corrected = corrected;
  }

  run(): Seen {
    for (const { n, address } of pendingRecipients(this.#script.control)) {
      const outcome = this.#deliver(address);
      if (outcome !== null) this.#outcomes.push({ n, ...outcome });
    }
    return {
      questions: eachOnce(this.#questions),
      contacts: this.#contacts,
      sent: this.#sent,
      outcomes: this.#outcomes,
    };
  }

  #has(defect: Defect): boolean {
    return this.#corrected.has(defect);
  }

  /** Null: the attempt never ends. */
  #deliver(listed: ByteString): Omit<Outcome, 'n'> | null {
    const { recipient, domain } = this.#recipient(listed);
    if (domain === null) return { status: 5, words: null };
    const hosts = this.#route(domain);
    if ('status' in hosts) return { ...hosts, words: null };
    let best: { readonly words: ByteString | null } = { words: null };
    this.#leftOver = '';
    let proven = hosts.every((host) => host.name === domain && isIP(domain) === 0);
    for (const host of hosts) {
      const addresses = this.#addresses(host);
      if (addresses.length > 0 || this.#fault(host) === 'open') proven = false;
      for (const address of addresses) {
        const attempt = this.#attempt(host, address, recipient);
        if (attempt === 'nothing') return null;
        if (attempt === 'unreachable') continue;
        this.#sent.push(...attempt.sent);
        this.#leftOver = attempt.leftOver;
        if (attempt.end === 'nothing') return null;
        if (attempt.end !== 'next') return { status: Number(attempt.end), words: attempt.words };
        best = attempt;
      }
    }
    const over = (proven && this.#has('mx-faults')) || (this.#isOld && this.#has('give-up'));
    return { status: over ? 5 : 4, words: best.words };
  }

  get #isOld(): boolean {
    const submitted = /^submitted\|(\d+)/m.exec(this.#script.control)?.[1];
    return this.#script.now - Number(submitted ?? 0) > 432_000;
  }

  #attempt(host: Target, address: string, recipient: ByteString): Attempt | 'unreachable' | 'nothing' {
    const shown = isIP(address) === 6 && !this.#has('addresses') ? '(unscripted v6 address)' : address;
    const peer = this.#script.peer(shown);
    if (peer.connect === 'socket' && !this.#has('stuck')) return host.literal ? 'nothing' : 'unreachable';
    this.#contacts.push(`${shown}:${host.port}`);
    if (peer.connect !== 'ok') return 'unreachable';
    return converse(peer, this.#envelope(recipient, host.login), this.#leftOver, this.#corrected);
  }

  #envelope(recipient: ByteString, login: Login | null): Envelope {
    const { mail, control } = this.#script;
    const whole = mail.endsWith('\r\n') ? mail : `${mail}\r\n`;
    return {
      sender: senderOf(control, mail, this.#has('sender')),
      recipient,
      body: this.#has('dots') ? whole.replace(/^\./gm, '..') : whole,
      login,
    };
  }

  #recipient(listed: ByteString): { readonly recipient: ByteString; readonly domain: string | null } {
    const bare = (/<([^<>]*)>/.exec(listed)?.[1] ?? listed).trim();
    const at = bare.lastIndexOf('@');
    const domain = at < 0 ? null : bare.slice(at + 1);
    if (this.#has('recipients')) return { recipient: bare, domain };
    const [user = ''] = bare.slice(0, at < 0 ? undefined : at).split('%');
    return { recipient: `${user}@${domain ?? 'citnode'}`, domain: domain ?? 'citnode' };
  }

  #route(domain: string): Routed {
    const relays = relaysIn(this.#script.relays);
    const [smart, fallback] = ['smarthost', 'fallbackhost'].map((kind) =>
      relays.filter((relay) => relay.kind === kind).map((relay) => this.#relay(relay)),
    ) as [Target[], Target[]];
    const ordered = this.#has('relays')
      ? [...smart, ...fallback]
      : [...smart.reverse(), ...fallback.reverse()];
    if (smart.length > 0 || (fallback.length > 0 && !this.#has('relays'))) return ordered;
    const literal = /^\[(.*)\]$/.exec(domain)?.[1];
    if (literal !== undefined && this.#has('recipients')) return [{ ...target(literal), literal: true }];
    const hosts = this.#mx(domain);
    return 'status' in hosts ? hosts : [...hosts, ...fallback];
  }

  #relay({ host, port, login }: RelayLine): Target {
    const both = this.#has('addresses');
    const literal = isIP(host) === 4 || (isIP(host) === 6 && both);
    return { name: host, port, login, literal, lookups: both ? ['a', 'aaaa'] : ['a'] };
  }

  #mx(domain: string): Routed {
    this.#questions.push(`mx ${domain}`);
    const { records, fault } = this.#script.answer(`mx ${domain}`);
    if (records.length > 0) {
      const names = records
        .map((record) => record.split(' '))
        .map(([preference = '0', name = '']) => ({ preference: Number(preference), name }))
        .sort((a, b) => a.preference - b.preference)
        .map(({ name }) => name);
      if (this.#has('mx-faults') && names.every((name) => name === '')) return { status: 5 };
      return names.map((name) => target(name));
    }
    if (!this.#has('mx-faults') || fault === 'no-data') return [target(domain)];
    return { status: fault === 'no-domain' ? 5 : 4 };
  }

  /** In the order in which they are tried. C asks for AAAA only if there is no A record, and takes one record of each. */
  #addresses(host: Target): readonly string[] {
    if (host.literal) return [host.name];
    this.#questions.push(`address ${host.name}`);
    const found = host.lookups.map((type) => this.#script.answer(`${type} ${host.name}`).records);
    return this.#has('addresses') ? found.flat() : found.flatMap((records) => records.slice(0, 1));
  }

  #fault(host: Target): 'proven' | 'open' {
    const faults = host.lookups.map((type) => this.#script.answer(`${type} ${host.name}`).fault);
    return faults.every((fault) => fault === 'no-data' || fault === 'no-domain') ? 'proven' : 'open';
  }
}

function target(name: string): Target {
  return { name, port: 25, login: null, literal: false, lookups: ['a', 'aaaa'] };
}

interface RelayLine {
  readonly kind: string;
  readonly host: string;
  readonly port: number;
  readonly login: Login | null;
}

function relaysIn(configuration: ByteString): readonly RelayLine[] {
  return configuration.split('\n').flatMap((each) => {
    const [value = '', kind = ''] = each.split('|');
    const { user, password, bracketed, plain, port } =
      /^(?:(?<user>[^:]*):(?<password>.*)@)?(?:\[(?<bracketed>[^\]]*)\]|(?<plain>[^:]*))(?::(?<port>\d+))?$/.exec(
        value,
      )?.groups ?? {};
    const host = bracketed ?? plain ?? '';
    if (host === '') return [];
    const login =
      user === undefined
        ? null
        : { user: decodeURIComponent(user), password: decodeURIComponent(password ?? '') };
    return [{ kind, host, port: Number(port ?? 25), login }];
  });
}

function pendingRecipients(
  control: ByteString,
): readonly { readonly n: number; readonly address: ByteString }[] {
  return control
    .split('\n')
    .filter((each) => each.startsWith('remote|'))
    .map((each, n) => ({ n, address: each.split('|')[1] ?? '', status: Number(each.split('|')[2]) }))
    .filter(({ status }) => status === 0 || status === 3 || status === 4);
}

function senderOf(control: ByteString, mail: ByteString, clean: boolean): ByteString {
  const listed = /^envelope_from\|([^|\n]*)/m.exec(control)?.[1];
  const from = /^from:(?:.*<([^>]*)>|\s*([^\r\n]*))/im.exec(mail.split('\r\n\r\n', 1)[0] ?? '');
  const found = listed ?? from?.[1] ?? from?.[2];
  if (!clean) return found ?? 'someone@somewhere.org';
  return found?.replace(/[<>\s]/g, '') ?? 'postmaster@citadel.example.org';
}

export function cModule(script: Script, corrected: Corrections): Seen {
  return new Model(script, corrected).run();
}
