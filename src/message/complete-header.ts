/**
 * Makes a message of any text that a program hands in (RFC 5322 3.6, RFC 6409 8): the fields every message must have,
 * an empty line below them, no `From ` line of a mailbox file above, and no address without a domain. All else that is there
 * stays as it is.
 */
import type { ByteString } from '../platform/bytes.ts';
import { headerLine, oneLine } from './header-text.ts';
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

export interface CompletedHeader {
  /** with its empty line; lines end as those of the text do, LF when it has none */
  readonly header: ByteString;
  /** what of `text` is body */
  readonly body: ByteString;
}

const MAILBOX_LINE = /^>?From [^\n]*(?:\n|$)/;

/** RFC 5322 3.6.8; obsolete syntax allows blanks before the colon. */
const FIELD = /^([!-9;-~]+)[ \t]*:/;
/** An address field: name and colon, then its value with the lines that continue it. */
const ADDRESS_FIELD =
  /(?<=^|\n)((?:resent-)?(?:from|sender|reply-to|to|cc|bcc)[ \t]*:)([^\n]*(?:\n[ \t][^\n]*)*)/gi;
const CONTINUATION = /^[ \t]+[^ \t\r\n]/;

/** `text`: the beginning of what was handed in, at least up to its first empty line or its end. */
export function completeHeader(text: ByteString, defaults: HeaderDefaults): CompletedHeader {
  const { fields: written, rest, names } = headerOf(text.replace(MAILBOX_LINE, ''));
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
  return { header: header.join(''), body: rest.replace(/^\r?\n/, '') };
}

function shownRecipient(recipients: readonly ByteString[]): ByteString {
  const [only] = recipients;
  return recipients.length === 1 && only !== undefined ? only : 'undisclosed-recipients:;';
}

/** The lines that are fields, up to the first that is not; `rest` begins with that one. */
function headerOf(text: ByteString): { fields: ByteString; rest: ByteString; names: ReadonlySet<string> } {
  const names = new Set<string>();
  let at = 0;
  while (at < text.length) {
    const feed = text.indexOf('\n', at);
    const end = feed < 0 ? text.length : feed + 1;
    const line = text.slice(at, end);
    const name = FIELD.exec(line)?.[1];
    if (name !== undefined) names.add(name.toLowerCase());
    else if (names.size === 0 || !CONTINUATION.test(line)) break;
    at = end;
  }
  return { fields: text.slice(0, at), rest: text.slice(at), names };
}
