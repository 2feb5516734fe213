/**
 * Finds the MIME parts of a message (RFC 2045, 2046) as it goes by. Input has CRLF line ends only. What is told is the
 * same however the input is cut up, every byte of it is told once, and a few kilobytes are kept at most.
 */
import type { ByteString } from '../../platform/bytes.ts';
import { trimWhitespace } from '../headers.ts';
import { LONGEST_LINE } from '../lines.ts';

/** A line without its CRLF; of a longer one, 998 bytes or the rest. */
export interface Segment {
  readonly text: ByteString;
  /** the line ends here */
  readonly ends: boolean;
}

/** A header and what it says about the bytes below it. */
export interface Entity {
  /** in the order of their headers, from 0 */
  readonly number: number;
  /** begins a message: the whole one, or one within a message/rfc822 part */
  readonly root: boolean;
  /** `leaf`: a body of its own. `composite`: parts or a message below. */
  readonly kind: 'leaf' | 'composite';
  /** lower case, without parameters */
  readonly type: string;
  /** Content-Transfer-Encoding in lower case; '' when there is none */
  readonly encoding: string;
  /** which of the fields about MIME it has, in lower case */
  readonly has: ReadonlySet<string>;
}

export interface MimeEvents {
  /** one field with its folding, without its last line end. The rest of an overlong one comes as a field of its name that begins with a blank. */
  field(text: ByteString, name: string, number: number): void;
  /** the empty line below a header */
  headerEnd(entity: Entity): void;
  /** of a leaf */
  body(segment: Segment, entity: Entity): void;
  /** a leaf is over; `delimited`: its last CRLF belongs to the delimiter that follows (RFC 2046 5.1.1) */
  bodyEnd(entity: Entity, delimited: boolean): void;
  delimiter(line: ByteString): void;
  /** before the first part and behind the last one: what no reader shows */
  margin(segment: Segment): void;
  /** within multipart/signed: the signature covers each byte (RFC 1847 2.1) */
  signed(segment: Segment): void;
}

export interface MimeReader {
  write(piece: ByteString): void;
  end(): void;
}

/** Deeper ones are leaves; Postfix has the same limit. */
const DEEPEST = 100;

/** Longest field that is told at once, give or take a segment. */
const LONGEST_FIELD = 65_536;

/** Whether the bytes are what they look like. A word that is none of RFC 2045 (`8-bit`, `utf-8`) counts as no encoding, as most readers take it. */
export function isIdentity(encoding: string): boolean {
  return !/^(?:quoted-printable$|base64$|x-)/.test(encoding);
}

const ABOUT_MIME = new Set(['mime-version', 'content-type', 'content-transfer-encoding']);

interface Multipart {
  readonly boundary: ByteString;
  readonly signed: boolean;
  /** of parts that name none */
  readonly defaultType: string;
}

type State =
  | { readonly in: 'header'; readonly defaultType: string; readonly root: boolean }
  | { readonly in: 'body'; readonly entity: Entity }
  | { readonly in: 'margin' | 'signed' };

export function mimeReader(events: MimeEvents): MimeReader {
  let state: State = { in: 'header', defaultType: 'text/plain', root: true };
  const open: Multipart[] = [];
  let depth = 0;
  let number = 0;
  /** the field whose end has not come */
  let field: ByteString | null = null;
  let name = '';
  /** of the header that is being read */
  let values = new Map<string, ByteString>();

  const flushField = (): void => {
    if (field === null) return;
    if (!/^[ \t]/.test(field)) name = /^([^\s:]+)[ \t]*:/.exec(field)?.[1]?.toLowerCase() ?? '';
    if (ABOUT_MIME.has(name) && !values.has(name)) values.set(name, field.slice(field.indexOf(':') + 1));
    events.field(field, name, number);
    field = null;
  };

  const beginHeader = (defaultType: string, root: boolean): void => {
    state = { in: 'header', defaultType, root };
    number += 1;
    values = new Map();
  };

  const endHeader = (defaultType: string, root: boolean): void => {
    const encoding = token(values.get('content-transfer-encoding') ?? '');
    const { type, boundary } = contentType(values.get('content-type'), defaultType);
    const below = depth < DEEPEST ? belowOf(type, boundary, encoding) : null;
    const kind = below === null ? 'leaf' : 'composite';
    const entity: Entity = { number, root, kind, type, encoding, has: new Set(values.keys()) };
    events.headerEnd(entity);
    if (below === null) {
      state = { in: 'body', entity };
      return;
    }
    depth += 1;
    if (below === 'message') {
      beginHeader('text/plain', true);
      return;
    }
    open.push(below);
    state = { in: below.signed ? 'signed' : 'margin' };
  };

  const delimiter = (line: ByteString): boolean => {
    const found = open.length > 0 && line.startsWith('--') ? delimited(line, open) : null;
    if (found === null) return false;
    const { at, closes } = found;
    flushField();
    if (state.in === 'body') events.bodyEnd(state.entity, true);
    events.delimiter(line);
    const parent = open[at];
    open.length = closes ? at : at + 1;
    depth = open.length;
    if (closes || parent === undefined) state = { in: open.at(-1)?.signed ? 'signed' : 'margin' };
    else if (parent.signed) state = { in: 'signed' };
    else beginHeader(parent.defaultType, false);
    return true;
  };

  const headerSegment = ({ text, ends }: Segment, begins: boolean): void => {
    if (state.in !== 'header') return;
    const { defaultType, root } = state;
    const continues = !begins || (field !== null && /^[ \t]/.test(text));
    if (begins && ends && text === '') {
      flushField();
      endHeader(defaultType, root);
    } else if (continues && field !== null && field.length < LONGEST_FIELD) {
      field += begins ? `\r\n${text}` : text;
    } else {
      flushField();
      field = continues ? ` ${text.replace(/^[ \t]+/, '')}` : text;
    }
  };

  const segment = (each: Segment, begins: boolean): void => {
    if (begins && each.ends && delimiter(each.text)) return;
    if (state.in === 'header') headerSegment(each, begins);
    else if (state.in === 'body') events.body(each, state.entity);
    else if (state.in === 'margin') events.margin(each);
    else events.signed(each);
  };

  const segments = segmenter(segment);
  return {
    write: segments.write,
    end: () => {
      segments.end();
      flushField();
      if (state.in === 'body') events.bodyEnd(state.entity, false);
    },
  };
}

/** What a composite type has below it; null when it is a leaf. */
function belowOf(type: string, boundary: ByteString, encoding: string): Multipart | 'message' | null {
  if (type === 'message/rfc822' || type === 'message/global') return isIdentity(encoding) ? 'message' : null;
  // Parts stand there as they are whatever the label says.
  if (!type.startsWith('multipart/') || boundary === '') return null;
  return {
    boundary,
    signed: type === 'multipart/signed',
    defaultType: type === 'multipart/digest' ? 'message/rfc822' : 'text/plain',
  };
}

/** Which open multipart a line ends a part of. The delimiter of an outer one ends the inner ones too. */
function delimited(
  line: ByteString,
  open: readonly Multipart[],
): { readonly at: number; readonly closes: boolean } | null {
  const text = line.slice(2).replace(/[ \t]+$/, '');
  const closing = text.endsWith('--') ? text.slice(0, -2) : null;
  for (let at = open.length - 1; at >= 0; at -= 1) {
    const boundary = open[at]?.boundary;
    if (boundary === text) return { at, closes: false };
    if (boundary === closing) return { at, closes: true };
  }
  return null;
}

/** RFC 2045 5.1. A value that is none counts as plain text, as in 5.2. */
function contentType(
  value: ByteString | undefined,
  defaultType: string,
): { readonly type: string; readonly boundary: ByteString } {
  if (value === undefined) return { type: defaultType, boundary: '' };
  const type = /^[!-'*+\-.0-~]+\/[!-'*+\-.0-:<-~]+/.exec(withoutComments(value))?.[0] ?? 'text/plain';
  let boundary = '';
  for (const [, name = '', quoted, plain = ''] of value.matchAll(
    /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/gs,
  ))
    if (name.toLowerCase() === 'boundary')
      boundary ||= quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1').trimEnd();
  return { type: type.toLowerCase(), boundary };
}

function token(value: ByteString): string {
  return (/^[^\s;]+/.exec(withoutComments(value))?.[0] ?? '').toLowerCase();
}

function withoutComments(value: ByteString): ByteString {
  return trimWhitespace(value.replace(/\([^()]*\)/g, ' '));
}

/** Cuts at line ends, and long lines behind each 998 bytes, wherever the pieces begin and end. */
function segmenter(take: (segment: Segment, begins: boolean) => void): MimeReader {
  let held = '';
  let begins = true;
  const emit = (text: ByteString, ends: boolean): void => {
    take({ text, ends }, begins);
    begins = ends;
  };
  const write = (piece: ByteString): void => {
    const text = held + piece;
    let start = 0;
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n', start)) {
      for (; end - start > LONGEST_LINE; start += LONGEST_LINE)
        emit(text.slice(start, start + LONGEST_LINE), false);
      emit(text.slice(start, end), true);
      start = end + 2;
    }
    // A CR at the end may be half of a line end: two bytes more tell whether the line is longer.
    for (; text.length - start > LONGEST_LINE + 1; start += LONGEST_LINE)
      emit(text.slice(start, start + LONGEST_LINE), false);
    held = text.slice(start);
  };
  return {
    write,
    end: () => {
      if (held !== '') emit(held, true);
    },
  };
}
