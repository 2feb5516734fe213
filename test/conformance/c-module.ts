/**
 * What the C module of 2012 does with one script, as a model: a table of its dialogue, its way to read replies and to
 * choose hosts. Each of its defects can be mended by name, and with all of them mended the model says what must
 * happen. The suites of dialogue.ts hold the vectors against the plain model and this program against the mended one.
 * It shares no code with the program.
 */
import { isIP } from 'node:net';
import type { ByteString } from '../../src/platform/bytes.ts';
import {
  eachOnce,
  entry,
  type LastDeed,
  type Outcome,
  type Script,
  type ScriptedPeer,
  type Seen,
} from './script.ts';

/** Defects in the order in which they are mended, with what is right instead. Numbers of section 11 of the C module's description, R and C numbers of the regression register. */
export const DEFECTS = {
  'cr-lf':
    '11.5: only LF ends a line, whatever the reads (C: a CR does too, and its late LF is an empty line)',
  'bad-replies':
    '11.8: a reply is a line with a code from 200 to 599; anything else is not SMTP and fails the host (C: the first byte counts)',
  surplus:
    'y055: a server that speaks before it is asked has failed (C: takes it for the answer to the next command)',
  'left-over': '11.19: nothing a server left unfinished is put in front of what the next one says',
  quit: '11.4: what happens at QUIT changes nothing',
  stuck: '11.6: a reset or a socket that cannot be made ends the attempt like any other loss',
  refusal:
    '11.20, C05: a host that refuses its greeting, EHLO, HELO or says 421 is left for the next one, and is never a permanent failure',
  'ehlo-4yz': 'C06: only 5yz to EHLO leads to HELO (R018)',
  'wrong-class':
    'a reply of a class that makes no sense there says nothing permanent: 4 (C: everything but 4yz is 5)',
  'data-3': 'C11: 4yz to DATA is written as 4, not as 3',
  'data-lost': 'no byte of the message was sent when DATA is not answered: the next host is tried',
  auth: 'C06: AUTH only where it is offered, and not in clear',
  manners: 'C16: RSET and QUIT after a refusal, while the connection stands',
  'all-lines':
    'R101, R102: all lines of a refusal are kept, as one line without CR, LF, NUL and bar, cut at 1000 bytes',
  shutdown: '11.32: a stop before the envelope leaves the recipient as it was (C: status 3)',
  recipients:
    '11.24: a recipient without a domain is refused, one at an address literal goes to that address',
  sender: '11.22, 11.23: the sender is clean, and postmaster where none is found',
  relays: '11.16: relays in configured order; a fallback host alone is not a smart host',
  addresses: '11.15: all addresses of a name are tried, IPv6 too, by name or literal',
  'mx-faults':
    '11.17, R103: only a proven lack of MX leads to the domain itself; trouble is 4, no such domain, no address at all or a null MX is 5',
  dots: '11.26, C18: every line that starts with a dot gets one more',
  'give-up': '11.3: what could not be delivered for five days is over',
} as const;

export type Defect = keyof typeof DEFECTS;
export type Mended = ReadonlySet<Defect>;

type State = 'greeting' | 'ehlo' | 'helo' | 'auth' | 'mail' | 'rcpt' | 'data' | 'dot' | 'quit';
/** 421 apart; `noise`: not SMTP; `lost`: closed, silent, reset, or talking out of turn */
type Heard = '2' | '3' | '4' | '5' | '421' | 'noise' | 'lost';
/** a state: go on there; a digit: over with this status; `next`: the next host */
type Move = State | '2' | '3' | '4' | '5' | 'next';

const HEARD: readonly Heard[] = ['2', '3', '4', '5', '421', 'noise', 'lost'];

type Dialogue = { readonly [state in State]: { readonly [heard in Heard]: Move } };

function line(moves: string): { readonly [heard in Heard]: Move } {
  const list = moves.trim().split(/\s+/) as Move[];
  return Object.fromEntries(HEARD.map((heard, index) => [heard, list[index]])) as {
    [heard in Heard]: Move;
  };
}

/** Section 8 of the C module's description. It hears no `noise`: with it the first byte decides. */
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

const INTRODUCED: Cells = {
  greeting: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
  helo: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
  auth: { '3': 'next', '4': 'next', '5': 'next', '421': 'next' },
};

/** Which cells of the dialogue a mended defect changes. */
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
  refusal: { ...INTRODUCED, mail: { '421': 'next' }, rcpt: { '421': 'next' }, data: { '421': 'next' } },
  'ehlo-4yz': { ehlo: { '3': 'next', '4': 'next', '421': 'next' } },
  'wrong-class': { mail: { '3': '4' }, rcpt: { '3': '4' }, data: { '2': '4' }, dot: { '3': '4' } },
  'data-3': { data: { '4': '4' } },
  'data-lost': { data: { lost: 'next', noise: 'next' } },
};

function dialogueOf(mended: Mended): Dialogue {
  const dialogue = structuredClone(C_DIALOGUE) as { [state in State]: { [heard in Heard]: Move } };
  for (const defect of mended) {
    for (const [state, cells] of Object.entries(CELLS[defect] ?? {})) {
      Object.assign(dialogue[state as State], cells);
    }
  }
  return dialogue;
}

/** What one reading of a server brings. */
interface Reply {
  readonly heard: Heard;
  /** null: no reply */
  readonly words: ByteString | null;
}

const LOST: Reply = { heard: 'lost', words: null };

/** Reads of one connection, cut into replies. */
class Ears {
  readonly #mended: Mended;
  readonly #reads: ByteString[];
  #buffer: ByteString;
  #lines: ByteString[] = [];
  /** what a line shorter than a code is read as */
  #stale = '';

  constructor(reads: readonly ByteString[], leftOver: ByteString, mended: Mended) {
    this.#reads = [...reads];
    this.#buffer = leftOver;
    this.#mended = mended;
  }

  /** What the server said and nobody read. */
  get rest(): ByteString {
    return this.#buffer;
  }

  get exhausted(): boolean {
    return this.#reads.length === 0;
  }

  hear(): Reply {
    // What stands there already was said too early.
    if (this.#mended.has('surplus') && this.#buffer !== '') return LOST;
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
    const ending = this.#mended.has('cr-lf') ? /\r?\n/ : /\r\n|\n|\r/;
    const match = ending.exec(this.#buffer);
    if (match === null) return null;
    const line = this.#buffer.slice(0, match.index);
    this.#buffer = this.#buffer.slice(match.index + match[0].length);
    return line;
  }

  #take(line: ByteString): Reply | null {
    const strict = this.#mended.has('bad-replies');
    const words = line.length < 4 && !strict ? this.#stale : line.slice(4);
    this.#stale = words;
    if (strict && !/^[2-5]\d\d/.test(line)) return { heard: 'noise', words: null };
    this.#lines.push(words);
    if (line.length >= 4 && line[3] === '-') return null;
    const lines = this.#lines;
    this.#lines = [];
    return { heard: heardIn(line), words: this.#wordsOf(lines) };
  }

  #wordsOf(lines: readonly ByteString[]): ByteString {
    return this.#mended.has('all-lines') ? allLines(lines) : trimmed(lines.at(-1) ?? '');
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
  /** `nothing`: the recipient is left as it was */
  readonly end: '2' | '3' | '4' | '5' | 'next' | 'nothing';
  readonly words: ByteString | null;
  readonly sent: readonly ByteString[];
  readonly leftOver: ByteString;
}

/** One connection, from the greeting on. */
function converse(peer: ScriptedPeer, envelope: Envelope, leftOver: ByteString, mended: Mended): Attempt {
  const dialogue = dialogueOf(mended);
  const ears = new Ears(peer.says, mended.has('left-over') ? '' : leftOver, mended);
  const sent: ByteString[] = [];
  /** False: the write failed. */
  const say = (commands: readonly ByteString[]): boolean => {
    if (commands.length > 0 && peer.last === 'broken' && ears.exhausted) return false;
    sent.push(...commands);
    return true;
  };
  let delivered: ByteString | null = null;
  let state = 'greeting' as State;
  for (;;) {
    const reply = say(COMMANDS[state](envelope)) ? ears.hear() : LOST;
    const move: Move = dialogue[state][reply.heard];
    const over = (end: Attempt['end'], words = reply.words): Attempt => ({
      end,
      words,
      sent,
      leftOver: ears.rest,
    });
    if (reply === LOST && isStuck(peer.last, ears, mended)) return over('nothing', null);
    if (reply === LOST && peer.last === 'shutdown' && ears.exhausted)
      return over(mended.has('shutdown') ? 'nothing' : '3', null);
    if (state === 'quit') return over(move === '2' ? '2' : '4', move === '2' ? delivered : null);
    if (move === 'next' || /^\d$/.test(move)) {
      if (mended.has('manners')) takeLeave(state, reply, say, ears);
      return over(move as Attempt['end']);
    }
    if (move === 'quit') delivered = reply.words;
    state = move === 'mail' && state !== 'auth' && envelope.login !== null ? 'auth' : (move as State);
    if (state === 'auth' && mended.has('auth')) {
      if (mended.has('manners')) say(['QUIT']);
      return over('next', null);
    }
  }
}

function isStuck(deed: LastDeed, ears: Ears, mended: Mended): boolean {
  return !mended.has('stuck') && ears.exhausted && (deed === 'reset' || deed === 'broken');
}

/** RSET when an envelope stands, QUIT when it is gone; nothing to a server that is gone or talks nonsense. */
function takeLeave(
  state: State,
  { heard }: Reply,
  say: (commands: readonly ByteString[]) => boolean,
  ears: Ears,
): void {
  if (heard === '421' || heard === 'noise' || heard === 'lost') return;
  if (state === 'mail' || state === 'rcpt' || state === 'data') {
    if (!say(['RSET'])) return;
    const answer = ears.hear().heard;
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
  readonly #mended: Mended;
  readonly #questions: string[] = [];
  readonly #contacts: string[] = [];
  readonly #sent: ByteString[] = [];
  readonly #outcomes: Outcome[] = [];
  #leftOver = '';

  constructor(script: Script, mended: Mended) {
    this.#script = script;
    this.#mended = mended;
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
    return this.#mended.has(defect);
  }

  /** Null: it never ends. */
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
    return converse(peer, this.#envelope(recipient, host.login), this.#leftOver, this.#mended);
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

  /** In the order in which they are tried. C asks for AAAA only when nothing came of A, and takes one record of each. */
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

export function cModule(script: Script, mended: Mended): Seen {
  return new Model(script, mended).run();
}
