/**
 * Suites about dialogues: session (whole deliveries) and reply (one answer of a server, in all shapes). A row's script
 * goes through the real queue run with its machines, on a network that says what the script says, read by read. As
 * the C module did, each recipient gets a session of its own here, one after the other.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CloseReason, Connect } from '#net-stream-utils';
import { createLineReader } from '#net-stream-utils';
import type { Trace } from '../../src/delivery/trace.ts';
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { StatusChange } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { unknown8bit } from '../../src/message/charset.ts';
import type { ByteString } from '../../src/platform/bytes.ts';
import type { LookupResult, MxRecord, Resolver } from '../../src/platform/dns.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { CopiedQueue } from '../../src/replay/copied-queue.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { parseInternetConfig } from '../../src/routing/relays.ts';
import { readyDeliveries } from '../../src/runner/deliveries.ts';
import { runQueue } from '../../src/runner/queue-runner.ts';
import type { RunRules } from '../../src/runner/rules.ts';
import { rulesWith } from '../delivery/scheduling.ts';
import { NO_RUN_EVENTS } from '../support/no-events.ts';
import { cModule, DEFECTS, type Defect } from './c-module.ts';
import { type Rule, type Suite, undefinedInC } from './compare.ts';
import { eachOnce, entry, type Outcome, type Script, type Seen, scriptOf } from './script.ts';
import { bytes, bytesOf, numberOf, type Row, rowOf, rowsOf } from './vectors.ts';

/** The scripted servers and name server, and what was observed of the run. */
class Network {
  readonly questions: string[] = [];
  readonly contacts: string[] = [];
  readonly sent: ByteString[] = [];
  readonly #script: Script;
  readonly #clock: VirtualClock;
  readonly #stop: () => void;

  constructor(script: Script, clock: VirtualClock, stop: () => void) {
    this.#script = script;
    this.#clock = clock;
    this.#stop = stop;
  }

  #isSecond = false;
  readonly resolver: Resolver = {
    mx: async (name) => {
      this.questions.push(`mx ${name}`);
      return this.#answer(`mx ${name}`, (record): MxRecord => {
        const [preference, exchange = ''] = record.split(' ');
        return { preference: Number(preference), exchange };
      });
    },
    addresses: async (name, family) => {
      this.questions.push(`address ${name}`);
      return this.#answer(`${family === 4 ? 'a' : 'aaaa'} ${name}`, (record) => record);
    },
  };

  #answer<T>(question: string, read: (record: string) => T): LookupResult<T> {
    const { records, fault } = this.#script.answer(question);
    return records.length > 0 ? { kind: 'found', records: records.map(read) } : { kind: 'failed', fault };
  }

  /** C knows no second session, which says HELO (R304): there is none here. */
  readonly observe: Trace = (_, event) => {
    if (event.what !== 'session') return;
    for (const effect of event.step.effects)
      if (effect.type === 'extension-refused' && effect.extension === 'EHLO') this.#isSecond = true;
  };

  readonly connect: Connect = ({ address, port }, events) => {
    if (this.#isSecond) {
      this.#isSecond = false;
      this.#clock.after(1, () => events.closed({ kind: 'error', code: 'ECONNREFUSED', message: '' }));
      return { write: () => true, startTls: () => {}, end: () => {}, destroy: () => {} };
    }
    this.contacts.push(`${address}:${port}`);
    const peer = this.#script.peer(address);
    const reads = [...peer.says];
    const reader = createLineReader();
    let alive = true;
    const soon = (call: () => void): void => {
      this.#clock.after(1, () => {
        if (alive) call();
      });
    };
    const close = (reason: CloseReason): void => {
      alive = false;
      events.closed(reason);
    };
    const fail = (code: string): void => close({ kind: 'error', code, message: code });
    const broken = (): boolean => peer.last === 'broken' && reads.length === 0;
    const sayNext = (): void => {
      const read = reads.shift();
      if (read !== undefined) {
        soon(sayNext);
        const { lines, partial } = reader.feed(read);
        events.lines(lines, partial);
      } else if (peer.last === 'close') close({ kind: 'ended' });
      else if (peer.last === 'reset') fail('ECONNRESET');
      else if (peer.last === 'shutdown') this.#stop();
    };
    soon(() => {
      if (peer.connect === 'refused') fail('ECONNREFUSED');
      else if (peer.connect === 'unreachable') fail('EHOSTUNREACH');
      else if (peer.connect === 'socket') fail('EMFILE');
      else if (peer.connect === 'ok') {
        events.connected();
        soon(sayNext);
      }
    });
    return {
      write: (data) => {
        if (broken()) soon(() => fail('EPIPE'));
        else this.sent.push(entry(Buffer.from(data as string, 'latin1').toString('latin1')));
        return true;
      },
      startTls: () => fail('EPROTO'),
      end: () => {},
      destroy: () => {
        alive = false;
      },
    };
  };
}

function rulesFor(script: Script): RunRules {
  const one = { sessions: 1, destination: 1, host: 1, messages: 1 };
  const dispatch = rulesWith(one, { relays: parseInternetConfig(script.relays).relays });
  return {
    signer: null,
    ehloName: 'citadel.example.org',
    warnings: [],
    delivery: {
      ...dispatch,
      policyFor: (host, withoutTls) => ({
        ...dispatch.policyFor(host, withoutTls),
        ehloName: 'citadel.example.org',
        recipients: 1,
        // The C module knows no parameters.
        without: ['SIZE'],
      }),
    },
    due: { schedule: SCHEDULE, force: script.force },
    render: {
      order: '2012',
      fqdn: 'citadel.example.org',
      nodeName: '',
      legacy: unknown8bit,
      zoneMinutes: 0,
    },
    pollInterval: 60_000,
    postmaster: 'postmaster@citadel.example.org',
  };
}

/** One job, and the outcomes that would have been written into its list. */
class RecordingQueue extends CopiedQueue {
  readonly outcomes: Outcome[] = [];

  override async record(_?: number, changes: readonly StatusChange[] = []): Promise<'recorded'> {
    for (const { index, status, text } of changes)
      this.outcomes.push({ n: index, status, words: serverWords(text) });
    return 'recorded';
  }
}

/** Runs the script with this program. */
async function ours(row: Row): Promise<Seen> {
  const script = scriptOf(row);
  const read = parseDeliveryList(stripHeader(script.control).instructions, {
    dialect: '2012',
    fallback: '2012',
  });
  if (read.kind !== 'list') throw new Error(`the control message of this script is ${read.kind}`);
  const mail = Buffer.from(script.mail, 'latin1');
  const stored = {
    size: mail.length,
    bytes: mail,
    stream: async function* () {
      yield mail;
    },
  };
  const queue = new RecordingQueue([{ control: 1000, job: read.job, warnings: [] }], {
    kind: 'found',
    message: stored,
  });
  const clock = new VirtualClock(script.now * 1000);
  const stop = new AbortController();
  const network = new Network(script, clock, () => stop.abort());
  const { connect, resolver } = network;
  const rules = rulesFor(script);
  const ports = {
    ...{ queue, connect, resolver, clock, random: () => 0.5 },
    events: { ...NO_RUN_EVENTS, trace: network.observe },
  };
  await clock.runUntil(runQueue(readyDeliveries(ports, rules), rules, stop.signal));
  const { contacts, sent } = network;
  return { questions: eachOnce(network.questions), contacts, sent, outcomes: queue.outcomes.sort(byPlace) };
}

const byPlace = (a: Outcome, b: Outcome): number => a.n - b.n;

/** Our status lines name the code and the host behind the server's words, unless these fill the line. */
function serverWords(text: ByteString): ByteString | null {
  if (text.length === 1000 && text.endsWith('...')) return text;
  const said = /^(?:(.*) )?\(\d{3}, [^()]*\)(?:; the message may have arrived)?$/s.exec(text);
  return said === null ? null : (said[1] ?? '');
}

/** Sentences of the C module itself: there is no text of a server to compare. */
const C_SENTENCE =
  /^(?:Connection broken|Timeout while|Domain name not found|DNS server returned|Failed to|server shutdown)/;

function outcomeOf(n: number, final: Row): Outcome {
  const words = bytes(final, 'message') ?? '';
  return { n, status: numberOf(final, 'status'), words: C_SENTENCE.test(words) ? null : words };
}

function seenInTrace(row: Row): Seen {
  const trace = rowsOf(row, 'trace');
  const events = (kind: string): readonly Row[] => trace.filter(({ ev }) => ev === kind);
  return {
    questions: eachOnce(
      events('dns').map((event) => `${event.type === 'MX' ? 'mx' : 'address'} ${bytesOf(event, 'name')}`),
    ),
    contacts: events('connect').map(({ addr, port }) => `${addr}:${port}`),
    sent: events('sent').map((event) => {
      const data = bytes(event, 'data');
      return data === null ? `${numberOf(event, 'bytes')} bytes` : entry(data);
    }),
    outcomes: events('final').map((event) => outcomeOf(numberOf(event, 'n'), event)),
  };
}

function seenInReply(row: Row): Seen {
  return {
    questions: [],
    contacts: ['192.0.2.9:25'],
    sent: (row.commands as readonly ByteString[]).map(entry),
    outcomes: row.final === null ? [] : [outcomeOf(0, rowOf(row, 'final'))],
  };
}

const modelled = modelOf(new Set());

function modelOf(corrected: ReadonlySet<Defect>): (row: Row) => Seen {
  return (row) => cModule(scriptOf(row), corrected);
}

/** C took the text of a success from its receive buffer, not from the reply: it cannot be compared. */
function withoutSuccessWords(seen: Seen): Seen {
  return {
    ...seen,
    outcomes: seen.outcomes.map((each) => (each.status === 2 ? { ...each, words: null } : each)),
  };
}

const WAITS: Seen = { questions: [], contacts: [], sent: [], outcomes: [{ n: 0, status: 4, words: null }] };

/**
 * Whether the model is right about the row: only then can it say what the row would be without a defect. What the C
 * module makes of what follows a CR whose LF comes with the next read is undefined (y567, y573).
 */
function isModelled(expected: Seen, row: Row): boolean {
  return (
    scriptOf(row).splitsLineEnd ||
    isDeepStrictEqual(withoutSuccessWords(expected), withoutSuccessWords(modelled(row)))
  );
}

/** One rule for each defect, on top of those before it. */
function rules(seen: (row: Row) => Seen): readonly Rule<Seen>[] {
  const names = Object.keys(DEFECTS) as Defect[];
  const correctedUpTo = names.map((_, index) => modelOf(new Set(names.slice(0, index + 1))));
  return [
    undefinedInC(),
    {
      reason: 'R036: an empty message is never sent, it waits (C: sends foreign memory)',
      correct: (expected, row) => (scriptOf(row).mail === '' ? WAITS : expected),
    },
    {
      reason: 'the text of a success is that of the reply (C: the contents of the receive buffer)',
      correct: (expected, row) => (isModelled(expected, row) ? modelled(row) : expected),
    },
    ...names.map(
      (name, index): Rule<Seen> => ({
        reason: DEFECTS[name],
        correct: (expected, row) =>
          isModelled(seen(row), row) ? (correctedUpTo[index]?.(row) ?? expected) : expected,
      }),
    ),
  ];
}

export const session: Suite<Seen> = {
  name: 'session',
  expected: seenInTrace,
  ours,
  rules: rules(seenInTrace),
};

export const reply: Suite<Seen> = {
  name: 'reply',
  expected: seenInReply,
  ours,
  rules: rules(seenInReply),
};
