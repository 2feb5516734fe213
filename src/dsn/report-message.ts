/** The message of a report: in the form that fits, composed and signed. */
import { signedMessage } from '../dkim/sign.ts';
import { type OutgoingMessage, outgoingFrom } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import { type DsnRequest, textOfXtext } from '../smtp/dsn-request.ts';
import type { Dsn, Original } from './dsn.ts';
import type { FinishedMessage } from './finished-message.ts';
import type { Notice } from './notice.ts';
import type { DsnDeps, DsnRules } from './sender.ts';

/** Of a larger message only the header is returned. Bytes. */
const MAX_FULL = 50_000;
/** The most that is returned of a header. Bytes. */
const MAX_HEADER = 65_536;
/** What a report may contain, the most first: where it is refused in one form, the next one is tried. */
export type Form = Original['ret'] | 'text';

/** The notices of one report, and what it returns. */
export interface DueReport {
  readonly message: FinishedMessage;
  readonly notices: readonly Notice[];
  /** null: it cannot be read */
  readonly original: OutgoingMessage | null;
}

export class ReportComposer {
  readonly #deps: Pick<DsnDeps, 'compose' | 'clock' | 'random'>;
  readonly #rules: DsnRules;

  constructor(deps: Pick<DsnDeps, 'compose' | 'clock' | 'random'>, rules: DsnRules) {
    this.#deps = deps;
    this.#rules = rules;
  }

  /** Composed and signed. */
  async message(due: DueReport, to: ByteString, form: Form): Promise<OutgoingMessage> {
    const report = outgoingFrom(await this.#compose(due, to, form));
    return signedMessage(report, (each) => this.#rules.signer?.sign(each, this.#now()) ?? null);
  }

  async #compose({ message, notices, original }: DueReport, to: ByteString, form: Form): Promise<Buffer> {
    const { site, author, schedule, render } = this.#rules;
    const [{ control, job }] = message.controlMessages;
    const { sourceRoom, submitted } = job;
    const envid = message.dsn?.envid ?? null;
    const now = this.#now();
    const dsn: Dsn = {
      to,
      notices,
      envid: envid === null ? null : textOfXtext(envid),
      originals: originalRecipients(message.dsn),
      job: control,
      sourceRoom,
      submitted,
      lastAttempt: now,
      willRetryUntil: submitted === null ? null : submitted + schedule.giveUpAfter,
      original: original === null || form === 'text' ? null : await returnedPart(original, form),
      plain: form === 'text',
    };
    const stamp = { fqdn: site.fqdn, author, now, unique: this.unique(), legacy: render.legacy };
    return this.#deps.compose(dsn, stamp);
  }

  /** A name that no other report has. */
  unique(): string {
    const part = (): string => Math.floor(this.#deps.random() * 2 ** 48).toString(36);
    return `${this.#now()}-${part()}-${part()}`;
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}

/** The forms in which a report is tried, one after the other. */
export function formsOf({ original, notices, message: { dsn } }: DueReport): readonly [Form, ...Form[]] {
  // RFC 3461 4.3: only a report of a failure returns the message.
  // RFC 8689 5: no more than the header of a message that demands TLS, whatever RET says.
  const isAsked =
    dsn?.ret !== 'HDRS' && dsn?.requireTls !== true && notices.some((notice) => notice.kind !== 'relayed');
  const mayBeFull = isAsked && original !== null && original.size <= MAX_FULL;
  return mayBeFull ? ['full', 'hdrs', 'text'] : ['hdrs', 'text'];
}

/** RFC 3464 2.3.1: `rfc822; address`, decoded. */
function originalRecipients(dsn: DsnRequest | null): ReadonlyMap<ByteString, ByteString> {
  const given = [...(dsn?.recipients ?? [])].flatMap(([address, { orcpt }]) => {
    const at = orcpt?.indexOf(';') ?? -1;
    if (orcpt === null || at < 0) return [];
    return [[address, `${orcpt.slice(0, at)}; ${textOfXtext(orcpt.slice(at + 1))}`] as const];
  });
  return new Map(given);
}

async function returnedPart(message: OutgoingMessage, ret: Original['ret']): Promise<Original> {
  const { messageId } = message.headers;
  const limit = ret === 'full' ? message.size : MAX_HEADER;
  let text = '';
  for await (const chunk of message.chunks()) {
    text += chunk.toString('latin1', 0, limit - text.length);
    if (text.length >= limit) break;
  }
  return { text: ret === 'full' ? text : headerOf(text), ret, messageId };
}

/** Up to the empty line; of a header that was cut off, its complete lines. */
function headerOf(text: ByteString): ByteString {
  if (text.startsWith('\r\n')) return '';
  const end = text.indexOf('\r\n\r\n');
  return text.slice(0, (end < 0 ? text.lastIndexOf('\r\n') : end) + 2);
}
