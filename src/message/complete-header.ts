/**
 * Makes a message of any text that a program hands in (RFC 5322 3.6, RFC 6409 8): the fields every message must have,
 * an empty line below them, no `From ` line of a mailbox file above, and no address without a domain. All else that is there
 * stays as it is.
 */
import type { ByteString } from '../platform/bytes.ts';
import { headerLine, oneLine } from './header-text.ts';
import { headerFields } from './headers.ts';
import { mapEntries } from './recipients.ts';

/** What a text gets that has no such field of its own. */
export interface HeaderDefaults {
  /** a mailbox, perhaps with a name before it */
  readonly from: ByteString;
  /** RFC 5322 3.3 */
  readonly date: string;
  /** with its angle brackets */
  readonly messageId: ByteString;
  /** of the envelope. A single one goes into To; several are never shown to each other. */
  readonly recipients: readonly ByteString[];
  /** an entry of an address field with our domain, where it has none */
  readonly withDomain: (entry: ByteString) => ByteString;
}

/** What was handed in, up to its end or beyond its header, cut where the header ends. */
export interface Beginning {
  /** the lines that are fields */
  readonly fields: ByteString;
  /** begins with the first line that is not one */
  readonly rest: ByteString;
}

export interface CompletedHeader {
  /** with its empty line; lines end as those of the text do, LF when it has none */
  readonly header: ByteString;
  /** what of the text is body */
  readonly body: ByteString;
}

const BYTE_ORDER_MARK = '\xef\xbb\xbf';
const MAILBOX_LINES = /^(?:>?From [^\n]*(?:\n|$))+/;
/** With the time of the message. `From now on` is text. */
const TIMED = /^>?From [^\n]*\d:\d\d/;

/** RFC 5322 3.6.8; obsolete syntax allows blanks before the colon. A NUL is left out when the message is sent. */
const FIELD = /^([\0!-9;-~]+)[ \t]*:/;
/** One of these is in every header. `Error: disk full` and `http://...` begin a text. */
const USUAL =
  /^(?:(?:resent-)?(?:from|sender|reply-to|to|cc|bcc|date|message-id)|(?:x|content|list|dkim|arc)-.+|subject|in-reply-to|references|comments|keywords|received|return-path|mime-version|auto-submitted|precedence|priority|importance|sensitivity|organization|user-agent|apparently-to|errors-to|delivered-to)$/i;
/** A field that has to say something, and does not. */
const BLANK_FIELD =
  /(?<=^|\n)(?:from|sender|reply-to|to|cc|date|message-id)[ \t]*:[ \t\r]*(?:\n(?![ \t])|$)/gi;
/** An address field: name and colon, then its value with the lines that continue it. */
const ADDRESS_FIELD =
  /(?<=^|\n)((?:resent-)?(?:from|sender|reply-to|to|cc|bcc)[ \t]*:)([^\n]*(?:\n[ \t][^\n]*)*)/gi;
const CONTINUATION = /^[ \t]+[^ \t\r\n]/;

/** The header without what mail programs and editors put before it, and without blank fields that would be wrong. */
export function beginningOf(text: ByteString): Beginning {
  const written = text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text;
  const mailboxLines = MAILBOX_LINES.exec(written)?.[0] ?? '';
  const { fields, rest } = headerOf(written.slice(mailboxLines.length));
  if (fields !== '') return { fields: fields.replace(BLANK_FIELD, ''), rest };
  return { fields, rest: TIMED.test(mailboxLines) ? rest : written };
}

export function completeHeader(
  { fields: written, rest }: Beginning,
  defaults: HeaderDefaults,
): CompletedHeader {
  const names = new Set(headerFields(written).map(({ name }) => name.toLowerCase()));
  const fields = written.replace(
    ADDRESS_FIELD,
    (_, name, value) => name + mapEntries(value, defaults.withDomain),
  );
  const eol = /\r\n/.test(fields || rest) ? '\r\n' : '\n';
  const missing = (name: string, value: ByteString): ByteString =>
    names.has(name.toLowerCase()) ? '' : headerLine(name, oneLine(value)).replaceAll('\r\n', eol);
  const ended = fields === '' || fields.endsWith('\n') ? fields : `${fields}${eol}`;
  const header = [
    ended,
    missing('From', defaults.from),
    names.has('cc') ? '' : missing('To', shownRecipient(defaults.recipients)),
    missing('Date', defaults.date),
    missing('Message-ID', defaults.messageId),
    eol,
  ];
  return { header: header.join(''), body: rest.replace(/^\r*\n/, '') };
}

function shownRecipient(recipients: readonly ByteString[]): ByteString {
  const [only] = recipients;
  return recipients.length === 1 && only !== undefined ? only : 'undisclosed-recipients:;';
}

/** A line of blanks within folded recipients (RFC 5322 4.2): what follows must not become text that everybody reads. */
function isBlankWithin(field: string, line: ByteString, next: ByteString): boolean {
  return /^(?:resent-)?(?:to|cc|bcc)$/i.test(field) && /^[ \t]+\r*\n/.test(line) && CONTINUATION.test(next);
}

/** The lines up to the first that is no field; none when no field among them is usual. */
function headerOf(text: ByteString): Beginning {
  let isUsual = false;
  let field = '';
  let at = 0;
  while (at < text.length) {
    const feed = text.indexOf('\n', at);
    const end = feed < 0 ? text.length : feed + 1;
    const line = text.slice(at, end);
    const name = FIELD.exec(line)?.[1]?.replaceAll('\0', '');
    const continues = CONTINUATION.test(line) || isBlankWithin(field, line, text.slice(end, end + 998));
    if (name === undefined && (at === 0 || !continues)) break;
    field = name ?? field;
    isUsual ||= name !== undefined && USUAL.test(name);
    at = end;
  }
  return isUsual ? { fields: text.slice(0, at), rest: text.slice(at) } : { fields: '', rest: text };
}
