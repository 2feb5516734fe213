/**
 * A scripted SMTP server without a socket: bytes of the client in, things to say or do out. What it answers is
 * data (`ServerScript`), the same in world files, fixtures and the built-in worlds; commands it has no line for
 * are answered the way a friendly server would.
 */
import type { ByteString } from '../control/job.ts';

/**
 * An answer: reply lines joined by `\n`, or what the server does instead. `close` and `reset` may follow a reply
 * behind ` then `: `250 queued then close`.
 */
export type Answer = string;

export interface ServerScript {
  readonly greeting?: Answer;
  readonly ehlo?: Answer;
  readonly helo?: Answer;
  readonly starttls?: Answer;
  readonly auth?: Answer;
  readonly mail?: Answer;
  /** by recipient address, `*` for the others; a list is used up one answer a time, the last one stays */
  readonly rcpt?: { readonly [address: string]: Answer | readonly Answer[] };
  readonly data?: Answer;
  readonly dot?: Answer | readonly Answer[];
  readonly rset?: Answer;
  readonly quit?: Answer;
  /** the TLS handshake after STARTTLS fails */
  readonly tlsBroken?: boolean;
  /** the connection is refused, or never answered */
  readonly connect?: 'refused' | 'silence' | 'unreachable';
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

export type ServerAct =
  | { readonly do: 'say'; readonly bytes: ByteString }
  | { readonly do: 'close' }
  | { readonly do: 'reset' }
  | { readonly do: 'start-tls' };

/** How often each listed answer has been used, kept across connections: greylisting remembers. */
export type ScriptMemory = Map<string, number>;

export class ScriptedServer {
  readonly #script: ServerScript;
  readonly #memory: ScriptMemory;
  readonly #accept: (mail: Accepted) => void;
  #input = '';
  #sender = '';
  #recipients: ByteString[] = [];
  /** null: commands; 'dot': a body that ends with a dot; a number: octets of BDAT to come */
  #body: null | 'dot' | number = null;
  #dead = false;

  constructor(script: ServerScript, memory: ScriptMemory, accept: (mail: Accepted) => void) {
    this.#script = script;
    this.#memory = memory;
    this.#accept = accept;
  }

  greet(): readonly ServerAct[] {
    return this.#answer(this.#script.greeting ?? '220 mx.example ESMTP');
  }

  receive(bytes: ByteString): readonly ServerAct[] {
    this.#input += bytes;
    const acts: ServerAct[] = [];
    while (!this.#dead) {
      const unit = this.#takeUnit();
      if (unit === null) break;
      acts.push(...unit);
    }
    return acts;
  }

  /** One command or one body, when it is there whole. */
  #takeUnit(): readonly ServerAct[] | null {
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

  #command(line: ByteString): readonly ServerAct[] {
    const script = this.#script;
    const verb = line.split(/[ :]/, 1)[0]?.toUpperCase() ?? '';
    switch (verb) {
      case 'EHLO':
        return this.#answer(script.ehlo ?? FRIENDLY_EHLO);
      case 'HELO':
        return this.#answer(script.helo ?? '250 mx.example');
      case 'STARTTLS': {
        const acts = this.#answer(script.starttls ?? '220 2.0.0 go ahead');
        return acts.some((act) => act.do === 'say' && act.bytes.startsWith('2'))
          ? [...acts, { do: 'start-tls' }]
          : acts;
      }
      case 'AUTH':
        return this.#answer(script.auth ?? '235 2.7.0 welcome');
      case 'MAIL': {
        const answer = script.mail ?? '250 2.1.0 sender ok';
        if (answer.startsWith('2')) {
          this.#sender = bracketed(line);
          this.#recipients = [];
        }
        return this.#answer(answer);
      }
      case 'RCPT': {
        const address = bracketed(line);
        const answer = this.#next(
          `rcpt ${address}`,
          script.rcpt?.[address] ?? script.rcpt?.['*'] ?? '250 2.1.5 recipient ok',
        );
        if (answer.startsWith('2')) this.#recipients.push(address);
        return this.#answer(answer);
      }
      case 'DATA': {
        const answer =
          this.#recipients.length === 0 ? '503 5.5.1 no recipients' : (script.data ?? '354 go ahead');
        if (answer.startsWith('3')) this.#body = 'dot';
        return this.#answer(answer);
      }
      case 'BDAT':
        this.#body = Number(line.split(' ')[1]);
        return [];
      case 'RSET':
        this.#recipients = [];
        return this.#answer(script.rset ?? '250 2.0.0 reset');
      case 'QUIT':
        return [...this.#answer(script.quit ?? '221 2.0.0 bye'), { do: 'close' }];
      default:
        return this.#answer('500 5.5.2 what is that?');
    }
  }

  #bodyDone(body: ByteString): readonly ServerAct[] {
    this.#body = null;
    const answer = this.#next('dot', this.#script.dot ?? '250 2.0.0 queued');
    if (answer.startsWith('2')) {
      this.#accept({ sender: this.#sender, recipients: this.#recipients, body });
    }
    this.#recipients = [];
    return this.#answer(answer);
  }

  #next(key: string, answers: Answer | readonly Answer[]): Answer {
    if (typeof answers === 'string') return answers;
    const used = this.#memory.get(key) ?? 0;
    this.#memory.set(key, used + 1);
    return answers[Math.min(used, answers.length - 1)] ?? 'silence';
  }

  #answer(answer: Answer): readonly ServerAct[] {
    const [said = '', then] = answer.split(' then ');
    const acts: ServerAct[] = [];
    for (const act of then === undefined ? [said] : [said, then]) {
      if (act === 'silence') this.#dead = true;
      else if (act === 'close' || act === 'reset') {
        this.#dead = true;
        acts.push({ do: act });
      } else acts.push({ do: 'say', bytes: `${act.split('\n').join('\r\n')}\r\n` });
    }
    return acts;
  }
}

function bracketed(line: ByteString): ByteString {
  return /<([^>]*)>/.exec(line)?.[1] ?? '';
}
