/**
 * A scripted SMTP server without a socket: bytes of the client in, things to say or do out. What it answers is
 * data (`ServerScript`), the same in world files, fixtures and the built-in worlds; commands it has no line for
 * are answered the way a friendly server would.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { duration } from '../../settings/kinds.ts';

/**
 * `silence`: nothing more is said; `close` and `reset`: the connection ends, in order or not; `unknown`: nobody knows,
 * the recording ends here.
 */
export type ServerFault = 'silence' | 'close' | 'reset' | 'unknown';

/**
 * An answer: reply lines joined by `\n`, or a deed instead, or `250 queued then close` for both. Spelled out it is
 * an object, which can also wait: `after` is a span like `40s`.
 */
export type ScriptedReply =
  | string
  | { readonly say?: string; readonly after?: string; readonly end?: ServerFault };

/** A list is used up one answer a time, over all connections; the last one stays. */
export type ScriptedReplies = ScriptedReply | readonly ScriptedReply[];

export interface ServerScript {
  readonly greeting?: ScriptedReplies;
  readonly ehlo?: ScriptedReplies;
  readonly helo?: ScriptedReplies;
  readonly starttls?: ScriptedReplies;
  readonly auth?: ScriptedReplies;
  readonly mail?: ScriptedReplies;
  /** by recipient address, `*` for the others */
  readonly rcpt?: { readonly [address: string]: ScriptedReplies };
  readonly data?: ScriptedReplies;
  readonly dot?: ScriptedReplies;
  readonly rset?: ScriptedReplies;
  readonly quit?: ScriptedReply;
  /** the TLS handshake after STARTTLS fails */
  readonly tlsBroken?: boolean;
  /** the connection is refused, or never answered */
  readonly connect?: 'refused' | 'silence' | 'unreachable';
  /** how long the connection takes to stand, and TLS to be negotiated */
  readonly connectAfter?: string;
  readonly handshakeAfter?: string;
}

/** Extensions a built-in server offers. */
export const FRIENDLY_EHLO =
  '250-mx.example\n250-PIPELINING\n250-8BITMIME\n250-SMTPUTF8\n250 ENHANCEDSTATUSCODES';

/** What a transaction brought: who accepted what. The simulation's ledger, the demo's mailbox. */
export interface Accepted {
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  readonly body: ByteString;
}

export type ServerAction =
  | { readonly do: 'say'; readonly bytes: ByteString }
  | { readonly do: 'wait'; readonly milliseconds: number }
  | { readonly do: 'close' }
  | { readonly do: 'reset' }
  | { readonly do: 'start-tls' }
  /** a recording that has no answer to this */
  | { readonly do: 'give-up'; readonly asked: string };

/** How often each listed answer has been used, kept across connections: greylisting remembers. */
export type ScriptMemory = Map<string, number>;

export class ScriptedServer {
  readonly #script: ServerScript;
  readonly #memory: ScriptMemory;
  readonly #accept: (mail: Accepted) => void;
  /** it answers what it has an answer for, and nothing else */
  readonly #strict: boolean;
  #input = '';
  #sender = '';
  #recipients: ByteString[] = [];
  /** null: commands; 'dot': a body that ends with a dot; a number: octets of BDAT to come */
  #body: null | 'dot' | number = null;
  #authenticating = false;
  #dead = false;

  constructor(script: ServerScript, memory: ScriptMemory, accept: (mail: Accepted) => void, strict = false) {
    this.#strict = strict;
    this.#script = script;
    this.#memory = memory;
    this.#accept = accept;
  }

  greet(): readonly ServerAction[] {
    return this.#answer('greeting', this.#script.greeting, '220 mx.example ESMTP');
  }

  receive(bytes: ByteString): readonly ServerAction[] {
    this.#input += bytes;
    const acts: ServerAction[] = [];
    while (!this.#dead) {
      const unit = this.#takeUnit();
      if (unit === null) break;
      acts.push(...unit);
    }
    return acts;
  }

  /** One command or one body, when it is there whole. */
  #takeUnit(): readonly ServerAction[] | null {
    if (this.#body === 'dot') {
      const text = `\r\n${this.#input}`;
      const end = text.indexOf('\r\n.\r\n');
      if (end < 0) return null;
      this.#input = text.slice(end + 5);
      return this.#bodyDone(text.slice(2, end + 2).replace(/^\./gm, ''));
    }
    if (this.#body !== null) {
      if (this.#input.length < this.#body) return null;
      const body = this.#input.slice(0, this.#body);
      this.#input = this.#input.slice(this.#body);
      return this.#bodyDone(body);
    }
    const end = this.#input.indexOf('\r\n');
    if (end < 0) return null;
    const line = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 2);
    return this.#command(line);
  }

  #command(line: ByteString): readonly ServerAction[] {
    const script = this.#script;
    const verb = line.split(/[ :]/, 1)[0]?.toUpperCase() ?? '';
    switch (verb) {
      case 'EHLO':
        return this.#answer('EHLO', script.ehlo, FRIENDLY_EHLO);
      case 'HELO':
        return this.#answer('HELO', script.helo, '250 mx.example');
      case 'STARTTLS': {
        const acts = this.#answer('STARTTLS', script.starttls, '220 2.0.0 go ahead');
        return says(acts, '2') ? [...acts, { do: 'start-tls' }] : acts;
      }
      case 'AUTH':
        this.#authenticating = true;
        return this.#authAnswer();
      case 'MAIL': {
        const acts = this.#answer('MAIL FROM', script.mail, '250 2.1.0 sender ok');
        if (says(acts, '2')) {
          this.#sender = bracketed(line);
          this.#recipients = [];
        }
        return acts;
      }
      case 'RCPT': {
        const address = bracketed(line);
        const acts = this.#answer(
          `RCPT TO:<${address}>`,
          script.rcpt?.[address] ?? script.rcpt?.['*'],
          '250 2.1.5 recipient ok',
        );
        if (says(acts, '2')) this.#recipients.push(address);
        return acts;
      }
      case 'DATA': {
        const ready = this.#recipients.length > 0;
        const acts = this.#answer('DATA', script.data, ready ? '354 go ahead' : '503 5.5.1 no recipients');
        if (says(acts, '3')) this.#body = 'dot';
        return acts;
      }
      case 'BDAT':
        this.#body = Number(line.split(' ')[1]);
        return [];
      case 'RSET':
        this.#recipients = [];
        return this.#answer('RSET', script.rset, '250 2.0.0 reset');
      case 'QUIT':
        return [...this.#given(script.quit ?? '221 2.0.0 bye'), { do: 'close' }];
      default:
        return this.#authenticating ? this.#authAnswer() : this.#given('500 5.5.2 what is that?');
    }
  }

  #bodyDone(body: ByteString): readonly ServerAction[] {
    this.#body = null;
    const acts = this.#answer('the end of the message', this.#script.dot, '250 2.0.0 queued');
    if (says(acts, '2')) {
      this.#accept({ sender: this.#sender, recipients: this.#recipients, body });
    }
    this.#recipients = [];
    return acts;
  }

  /** AUTH goes on, line by line, as long as the answers are 334. */
  #authAnswer(): readonly ServerAction[] {
    const acts = this.#answer('AUTH', this.#script.auth, '235 2.7.0 welcome');
    this.#authenticating = says(acts, '3');
    return acts;
  }

  #answer(
    asked: string,
    scripted: ScriptedReplies | undefined,
    friendly: ScriptedReply,
  ): readonly ServerAction[] {
    if (scripted === undefined && !this.#strict) return this.#given(friendly);
    const list = scripted === undefined ? [] : isList(scripted) ? scripted : [scripted];
    const used = this.#memory.get(asked) ?? 0;
    this.#memory.set(asked, used + 1);
    const answer = list[this.#strict ? used : Math.min(used, list.length - 1)];
    if (answer !== undefined) return this.#given(answer, asked);
    this.#dead = true;
    return [{ do: 'give-up', asked }];
  }

  #given(answer: ScriptedReply, asked = ''): readonly ServerAction[] {
    const { say, after, end } = spelledOut(answer);
    const acts: ServerAction[] = [];
    if (after !== undefined) acts.push({ do: 'wait', milliseconds: spanOf(after) });
    if (say !== undefined) acts.push({ do: 'say', bytes: `${say.split('\n').join('\r\n')}\r\n` });
    if (end !== undefined) this.#dead = true;
    if (end === 'close' || end === 'reset') acts.push({ do: end });
    if (end === 'unknown') acts.push({ do: 'give-up', asked });
    return acts;
  }
}

function isList(answers: ScriptedReplies): answers is readonly ScriptedReply[] {
  return Array.isArray(answers);
}

function says(acts: readonly ServerAction[], digit: string): boolean {
  return acts.some((act) => act.do === 'say' && act.bytes.startsWith(digit));
}

function spelledOut(answer: ScriptedReply): Exclude<ScriptedReply, string> {
  if (typeof answer !== 'string') return answer;
  const [, say, end] = /^(?:(.*) then )?(silence|close|reset)$/s.exec(answer) ?? [undefined, answer];
  return { ...(say === undefined ? {} : { say }), ...(end === undefined ? {} : { end: end as ServerFault }) };
}

/** Milliseconds of a span like `40s`. World files are checked when they are read; what is wrong here is a bug. */
export function spanOf(text: string): number {
  const span = duration.read(text);
  if (!span.ok) throw new Error(`"${text}" ${span.problem}`);
  return span.value;
}

function bracketed(line: ByteString): ByteString {
  return /<([^>]*)>/.exec(line)?.[1] ?? '';
}
