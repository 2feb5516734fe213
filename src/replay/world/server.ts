/**
 * A scripted SMTP server without a socket: bytes of the client go in, actions come out. Its replies are data
 * (`ServerScript`), the same in world files, fixtures and the built-in worlds. A command without a scripted reply is accepted.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { duration } from '../../settings/kinds.ts';

/**
 * `silence`: nothing more is sent; `close` and `reset`: the connection ends, with FIN or RST; `unrecorded`: the recording ends
 * here. World files cannot contain `unrecorded`.
 */
export type ServerFault = 'silence' | 'close' | 'reset' | 'unrecorded';

/**
 * Reply lines joined by `\n`, or a fault instead, or `250 queued then close` for both. Written as an object it can also have a
 * delay: `after` is a duration like `40s`.
 */
export type ScriptedReply =
  | string
  | { readonly say?: string; readonly after?: string; readonly end?: ServerFault };

/** A list gives one reply at a time, across all connections; the last one repeats. */
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
  /** the reply to BDAT as an unknown command: the message behind it is taken for commands, too */
  readonly bdat?: ScriptedReplies;
  readonly dot?: ScriptedReplies;
  readonly rset?: ScriptedReplies;
  readonly quit?: ScriptedReply;
  /** the TLS handshake after STARTTLS fails */
  readonly tlsBroken?: boolean;
  /** the server shows a certificate that neither a CA nor a TLSA record proves; without it, whatever is asked for is proved */
  readonly certificate?: 'wrong' | { readonly code: string; readonly message: string };
  /** the connection is refused, or never answered */
  readonly connect?: 'refused' | 'silence' | 'unreachable';
  /** how long connecting and the TLS handshake take */
  readonly connectAfter?: string;
  readonly handshakeAfter?: string;
}

/** The reply to EHLO without a script. */
export const FRIENDLY_EHLO =
  '250-mx.example\n250-PIPELINING\n250-8BITMIME\n250-SMTPUTF8\n250 ENHANCEDSTATUSCODES';

/** A message that a server has accepted. */
export interface Accepted {
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  readonly body: ByteString;
}

export type ServerAction =
  | { readonly do: 'send'; readonly bytes: ByteString }
  | { readonly do: 'wait'; readonly milliseconds: number }
  | { readonly do: 'close' }
  | { readonly do: 'reset' }
  | { readonly do: 'start-tls' }
  /** the recording has no reply to this command */
  | { readonly do: 'unrecorded'; readonly command: string };

/** How many replies of each list have been used, across connections: greylisting needs that. */
export type ScriptMemory = Map<string, number>;

export class ScriptedServer {
  readonly #script: ServerScript;
  readonly #memory: ScriptMemory;
  readonly #accept: (message: Accepted) => void;
  /** a command without a scripted reply is `unrecorded` instead of accepted */
  readonly #strict: boolean;
  #input = '';
  #sender = '';
  #recipients: ByteString[] = [];
  /** null: commands; 'dot': a body that ends with a dot; a number: bytes of BDAT to come */
  #body: null | 'dot' | number = null;
  #authenticating = false;
  #finished = false;

  constructor(
    script: ServerScript,
    memory: ScriptMemory,
    accept: (message: Accepted) => void,
    strict = false,
  ) {
    this.#strict = strict;
    this.#script = script;
    this.#memory = memory;
    this.#accept = accept;
  }

  greet(): readonly ServerAction[] {
    return this.#respond('greeting', this.#script.greeting, '220 mx.example ESMTP');
  }

  receive(bytes: ByteString): readonly ServerAction[] {
    this.#input += bytes;
    const actions: ServerAction[] = [];
    while (!this.#finished) {
      const unit = this.#takeUnit();
      if (unit === null) break;
      actions.push(...unit);
    }
    return actions;
  }

  /** The actions for one complete command or body; null when it is not complete. */
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
        return this.#respond('EHLO', script.ehlo, FRIENDLY_EHLO);
      case 'HELO':
        return this.#respond('HELO', script.helo, '250 mx.example');
      case 'STARTTLS': {
        const actions = this.#respond('STARTTLS', script.starttls, '220 2.0.0 go ahead');
        return hasReply(actions, '2') ? [...actions, { do: 'start-tls' }] : actions;
      }
      case 'AUTH':
        this.#authenticating = true;
        return this.#authReply();
      case 'MAIL': {
        const actions = this.#respond('MAIL FROM', script.mail, '250 2.1.0 sender ok');
        if (hasReply(actions, '2')) {
          this.#sender = addressIn(line);
          this.#recipients = [];
        }
        return actions;
      }
      case 'RCPT': {
        const address = addressIn(line);
        const actions = this.#respond(
          `RCPT TO:<${address}>`,
          script.rcpt?.[address] ?? script.rcpt?.['*'],
          '250 2.1.5 recipient ok',
        );
        if (hasReply(actions, '2')) this.#recipients.push(address);
        return actions;
      }
      case 'DATA': {
        const ready = this.#recipients.length > 0;
        const actions = this.#respond(
          'DATA',
          script.data,
          ready ? '354 go ahead' : '503 5.5.1 no recipients',
        );
        if (hasReply(actions, '3')) this.#body = 'dot';
        return actions;
      }
      case 'BDAT':
        if (script.bdat !== undefined) return this.#respond('BDAT', script.bdat, '');
        this.#body = Number(line.split(' ')[1]);
        return [];
      case 'RSET':
        this.#recipients = [];
        return this.#respond('RSET', script.rset, '250 2.0.0 reset');
      case 'QUIT':
        return [...this.#reply(script.quit ?? '221 2.0.0 bye'), { do: 'close' }];
      default:
        return this.#authenticating ? this.#authReply() : this.#reply('500 5.5.2 what is that?');
    }
  }

  #bodyDone(body: ByteString): readonly ServerAction[] {
    this.#body = null;
    const actions = this.#respond('the end of the message', this.#script.dot, '250 2.0.0 queued');
    if (hasReply(actions, '2')) {
      this.#accept({ sender: this.#sender, recipients: this.#recipients, body });
    }
    this.#recipients = [];
    return actions;
  }

  /** AUTH continues, line by line, as long as the replies are 334. */
  #authReply(): readonly ServerAction[] {
    const actions = this.#respond('AUTH', this.#script.auth, '235 2.7.0 welcome');
    this.#authenticating = hasReply(actions, '3');
    return actions;
  }

  /** `command` names it in the memory, and for people. */
  #respond(
    command: string,
    scripted: ScriptedReplies | undefined,
    fallback: ScriptedReply,
  ): readonly ServerAction[] {
    if (scripted === undefined && !this.#strict) return this.#reply(fallback);
    const list = scripted === undefined ? [] : isList(scripted) ? scripted : [scripted];
    const used = this.#memory.get(command) ?? 0;
    this.#memory.set(command, used + 1);
    const reply = list[this.#strict ? used : Math.min(used, list.length - 1)];
    if (reply !== undefined) return this.#reply(reply, command);
    this.#finished = true;
    return [{ do: 'unrecorded', command }];
  }

  #reply(scripted: ScriptedReply, command = ''): readonly ServerAction[] {
    const { say, after, end } = asObject(scripted);
    const actions: ServerAction[] = [];
    if (after !== undefined) actions.push({ do: 'wait', milliseconds: millisecondsOf(after) });
    if (say !== undefined) actions.push({ do: 'send', bytes: `${say.split('\n').join('\r\n')}\r\n` });
    if (end !== undefined) this.#finished = true;
    if (end === 'close' || end === 'reset') actions.push({ do: end });
    if (end === 'unrecorded') actions.push({ do: 'unrecorded', command });
    return actions;
  }
}

function isList(replies: ScriptedReplies): replies is readonly ScriptedReply[] {
  return Array.isArray(replies);
}

function hasReply(actions: readonly ServerAction[], digit: string): boolean {
  return actions.some((action) => action.do === 'send' && action.bytes.startsWith(digit));
}

function asObject(scripted: ScriptedReply): Exclude<ScriptedReply, string> {
  if (typeof scripted !== 'string') return scripted;
  const [, say, end] = /^(?:(.*) then )?(silence|close|reset)$/s.exec(scripted) ?? [undefined, scripted];
  return { ...(say === undefined ? {} : { say }), ...(end === undefined ? {} : { end: end as ServerFault }) };
}

/** Milliseconds of a duration like `40s`. Throws on anything else: world files are checked when they are read. */
export function millisecondsOf(text: string): number {
  const read = duration.read(text);
  if (!read.ok) throw new Error(`"${text}" ${read.problem}`);
  return read.value;
}

function addressIn(line: ByteString): ByteString {
  return /<([^>]*)>/.exec(line)?.[1] ?? '';
}
