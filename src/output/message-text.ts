/**
 * A message in readable form: its header with encoded words decoded (RFC 2047), its text without transfer encoding, and what
 * else it holds by name. No control character gets through.
 */
import { headerFields, trimWhitespace } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';
import { sizeText } from './queue-list.ts';
import type { DecodeText } from './text.ts';
import { escapeControl } from './text.ts';

/** One line for each field; `header` ends at its empty line. */
export async function headerText(header: ByteString, readable: DecodeText): Promise<readonly string[]> {
  const { decodeWords } = await import('postal-mime');
  return [...headerFields(header)].map(({ name, value }) => {
    const text = readable(trimWhitespace(value).replace(/\s+/g, ' '));
    return `${readable(name)}: ${escapeControl(decodeWords(text))}`;
  });
}

/** The text, and a line for each attachment. Throws when the message is nested beyond reason. */
export async function bodyText(message: Uint8Array): Promise<readonly string[]> {
  const { default: PostalMime } = await import('postal-mime');
  const { text, html, attachments } = await PostalMime.parse(message, { forceRfc822Attachments: true });
  const shown = text ?? (html === undefined ? '' : textOfHtml(html));
  const lines = shown.replace(/\r\n/g, '\n').trimEnd().split('\n');
  return [
    ...lines.map((line) => escapeControl(line.replaceAll('\t', '    '))),
    ...attachments.map(({ filename, mimeType, content }) => {
      const size = sizeText(typeof content === 'string' ? content.length : content.byteLength);
      return `[${escapeControl(filename ?? 'without a name')}, ${escapeControl(mimeType)}, ${size}]`;
    }),
  ];
}

/** Enough to see what a message says that has no text. */
function textOfHtml(html: string): string {
  return html
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/\s+/g, ' ')
    .replace(/<(?:br|\/p|\/div|\/h\d|\/tr|\/li)\b[^>]*>/gi, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:lt|gt|quot|nbsp|#39|amp);/g, (entity) => ENTITIES[entity] ?? entity)
    .replace(/ *\n */g, '\n');
}

const ENTITIES: { readonly [entity: string]: string } = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&nbsp;': ' ',
  '&#39;': "'",
  '&amp;': '&',
};
