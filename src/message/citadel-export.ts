/**
 * Reads the XML that Citadel's MIGR command exports, so that the queue in a backup can be replayed
 * (techdoc/stored-messages.md). It reads this XML only: elements without attributes, the five named entities and numeric
 * ones. One message is in memory at a time. Unusable items become problems and are skipped, never guessed.
 */

export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

export type ExportItem =
  | {
      readonly kind: 'message';
      readonly number: number;
      /** '' when the export has none */
      readonly contentType: string;
      /** the native serialized message */
      readonly bytes: Buffer;
    }
  /** the message numbers of a room; both ends of a range are included */
  | { readonly kind: 'room'; readonly name: string; readonly ranges: readonly NumberRange[] }
  | { readonly kind: 'problem'; readonly text: string };

/** Characters of the longest element text read; Citadel's own limit for a message is 10 MB. */
const MAX_TEXT = 134_217_728;

/** Longer than any element name of the export. */
const MAX_TAG = 256;

type Elements = ReadonlyMap<string, string>;

/** The elements that make up an item. */
const ITEMS: Readonly<Record<string, (elements: Elements) => ExportItem>> = {
  message: messageOf,
  room_messages: roomOf,
};

/** Messages and room lists in the order of the file, however it is cut into pieces. */
export async function* readCitadelExport(pieces: AsyncIterable<Buffer>): AsyncGenerator<ExportItem> {
  const elements = new Map<string, string>();
  let item: string | null = null;
  for await (const event of xmlEvents(pieces)) {
    switch (event.kind) {
      case 'open':
        if (!Object.hasOwn(ITEMS, event.name)) break;
        item = event.name;
        elements.clear();
        break;
      case 'close':
        if (item === event.name) {
          const make = ITEMS[event.name];
          if (make !== undefined) yield make(elements);
          item = null;
        } else if (item !== null) {
          elements.set(event.name, event.text);
        }
        break;
      case 'problem':
        yield event;
        break;
    }
  }
  if (item !== null)
    yield {
      kind: 'problem',
      text: `the export ends within <${item}>: its last item is incomplete and was skipped`,
    };
}

function messageOf(elements: Elements): ExportItem {
  const number = decimal(elements.get('msg_msgnum') ?? '');
  const text = elements.get('msg_text');
  if (number === null)
    return { kind: 'problem', text: 'a <message> has no usable <msg_msgnum>; it was skipped' };
  if (text === undefined)
    return { kind: 'problem', text: `message ${number} has no <msg_text>; it was skipped` };
  const contentType = elements.get('msg_meta_content_type') ?? elements.get('msg_mimetype') ?? '';
  return {
    kind: 'message',
    number,
    contentType: decoded(contentType).trim(),
    bytes: Buffer.from(text, 'base64'),
  };
}

function roomOf(elements: Elements): ExportItem {
  const name = decoded(elements.get('FRname') ?? '');
  const ranges: NumberRange[] = [];
  for (const part of (elements.get('FRmsglist') ?? '').split(',')) {
    const range = rangeOf(part.trim());
    if (range !== null) ranges.push(range);
    else if (part.trim() !== '')
      return {
        kind: 'problem',
        text: `the list of room "${name}" has an unusable part "${part.trim().slice(0, 40)}"; the list was skipped`,
      };
  }
  return { kind: 'room', name, ranges };
}

/** `7` or `5:9`; `5:*` means all from 5 on. */
function rangeOf(part: string): NumberRange | null {
  const [from = '', to = from] = part.split(':');
  const first = decimal(from);
  const last = to === '*' ? Number.MAX_SAFE_INTEGER : decimal(to);
  return first === null || last === null || last < first ? null : { first, last };
}

function decimal(text: string): number | null {
  const digits = text.trim();
  const value = Number(digits);
  return /^\d{1,16}$/.test(digits) && Number.isSafeInteger(value) ? value : null;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** UTF-8 text with its entities resolved; an unknown entity stays as written. */
function decoded(text: string): string {
  return Buffer.from(text, 'latin1')
    .toString('utf8')
    .replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{1,8}));/gi, (all, ten, sixteen, name) => {
      if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? (ENTITIES[name] ?? all) : all;
      const code = ten === undefined ? Number.parseInt(sixteen, 16) : Number.parseInt(ten, 10);
      return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    });
}

type XmlEvent =
  | { readonly kind: 'open'; readonly name: string }
  /** `text`: what is between the last opening tag and this closing one, one character per byte */
  | { readonly kind: 'close'; readonly name: string; readonly text: string }
  | { readonly kind: 'problem'; readonly text: string };

/** Tags and texts in order. Holds at most one unfinished tag and one element's text. */
async function* xmlEvents(pieces: AsyncIterable<Buffer>): AsyncGenerator<XmlEvent> {
  let tag: string | null = null;
  let text: string[] = [];
  let length = 0;
  for await (const piece of pieces) {
    const source = piece.toString('latin1');
    for (let at = 0; at < source.length; ) {
      const end = source.indexOf(tag === null ? '<' : '>', at);
      const part = source.slice(at, end < 0 ? source.length : end);
      at = end < 0 ? source.length : end + 1;
      if (tag === null) {
        length += part.length;
        if (length <= MAX_TEXT) text.push(part);
        if (end >= 0) tag = '';
        continue;
      }
      tag = (tag + part.slice(0, MAX_TAG)).slice(0, MAX_TAG);
      if (end < 0) continue;
      const name = tag.replace(/^\//, '').trim();
      if (length > MAX_TEXT) {
        yield {
          kind: 'problem',
          text: `the text of <${name.slice(0, 40)}> is over ${MAX_TEXT} bytes; it was skipped`,
        };
      } else if (tag.startsWith('/')) {
        yield { kind: 'close', name, text: text.join('') };
      } else if (/^\w/.test(tag)) {
        yield { kind: 'open', name };
      }
      tag = null;
      text = [];
      length = 0;
    }
  }
}
