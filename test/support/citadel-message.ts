/**
 * A message as a Citadel server stores it, and how the client protocol shows it, in the bytes of three eras. They are
 * compared with recorded sessions (test/queue/citadel/double.test.ts).
 */
export type Era = '2012' | '2016' | '2023';

export interface StoredDouble {
  /** the byte after 0xFF */
  readonly anonymous: string;
  /** 1 fixed, 4 RFC 822 */
  readonly format: number;
  /** by letter, without M */
  readonly fields: Readonly<Record<string, string>>;
  /** M */
  readonly text: string;
  /** returned by MSG2 and MSG3 instead of what follows from the rest */
  readonly rendered?: string;
  readonly native?: string;
}

export const ROOM = '__CitadelSMTPspoolout__';
export const LIST_TYPE = 'application/x-citadel-delivery-list';
export const HEADER = `Content-type: ${LIST_TYPE}\n\n`;

/** The order on disk. */
const ORDER: Readonly<Record<Era, string>> = {
  '2012': 'IPTAFONHRDBCEWJGKLQSVXZYU',
  '2016': 'IPTAFONHRDBCEWJKLSVYU',
  '2023': 'IPTAFORBEWJKLVYU',
};

/** The name of a field in MSG0. 2012 does not show the Bcc list. */
const KEYWORDS: Readonly<Record<string, string>> = {
  ...{ I: 'msgn', P: 'path', T: 'time', A: 'from', O: 'room', N: 'node', H: 'hnod', R: 'rcpt' },
  ...{ J: 'jrnl', K: 'rep2', L: 'list', V: 'nvto', Y: 'cccc', U: 'subj' },
};

function ordered(message: StoredDouble, era: Era): [letter: string, value: string][] {
  return [...ORDER[era]].flatMap((letter) => {
    const value = message.fields[letter];
    return value === undefined ? [] : [[letter, value] as [string, string]];
  });
}

/** MSG3 */
export function nativeOf(message: StoredDouble, era: Era): string {
  if (message.native !== undefined) return message.native;
  const fields = ordered(message, era).map(([letter, value]) => `${letter}${value}\0`);
  return `\xff${message.anonymous}${String.fromCharCode(message.format)}${fields.join('')}M${message.text}\0`;
}

export function fromNative(bytes: string): StoredDouble {
  const [head = '', text = ''] = /^([\s\S]*?\0|\xff..)M([\s\S]*?)\0/.exec(bytes)?.slice(1) ?? [];
  const fields: Record<string, string> = {};
  for (const field of head.slice(3).split('\0')) if (field !== '') fields[field.charAt(0)] = field.slice(1);
  return { anonymous: bytes.charAt(1), format: bytes.charCodeAt(2), fields, text };
}

interface Part {
  readonly type: string;
  readonly charset: string;
  readonly body: string;
}

function split(text: string): readonly [head: string, body: string] {
  const [, head = '', body = text] = /^([\s\S]*?\n)\r?\n([\s\S]*)$/.exec(text) ?? [];
  return [head, body];
}

function partsOf(text: string): { readonly parts: readonly Part[]; readonly isMultipart: boolean } {
  const [head, body] = split(text);
  const [, type = '', rest = ''] = /^content-type: *([^;\s]*)(.*(?:\r?\n[ \t].*)*)/im.exec(head) ?? [];
  const boundary = /boundary="?([^";\s]+)/i.exec(rest)?.[1];
  if (boundary !== undefined) {
    const inner = body.split(`--${boundary}`).slice(1, -1);
    return { parts: inner.flatMap((each) => partsOf(each.replace(/^\r?\n/, '')).parts), isMultipart: true };
  }
  const charset = /charset="?([^";\s]+)/i.exec(rest)?.[1] ?? '';
  const parts = body === '' ? [] : [{ type: type.toLowerCase(), charset, body }];
  return { parts, isMultipart: false };
}

function isMime({ format }: StoredDouble): boolean {
  return format === 4;
}

/** DLAT n|1 */
export function partOf(message: StoredDouble): string {
  const [part] = isMime(message) ? partsOf(message.text).parts : [];
  if (part === undefined) return '512 This is not a MIME message.\n';
  return `600 ${part.body.length}|-1||${part.type}|${part.charset}\n${part.body}`;
}

/** The list in a control message without its header line; null for a payload. */
export function listOf({ format, text }: StoredDouble): string | null {
  return format === 4 && text.startsWith(HEADER) ? text.slice(HEADER.length) : null;
}

/** MSG0: `heads` for its fields only. MSG4 gives the same without the type and calls the text plain. */
export function fieldsOf(message: StoredDouble, era: Era, form: 'MSG0' | 'MSG4', heads: boolean): string {
  const lines = form === 'MSG0' ? [`type=${message.format}`] : [];
  for (const [letter, value] of ordered(message, era)) {
    if (letter === 'F' && era === '2023') lines.push(`rfca=${value}`, 'locl=yes');
    const keyword = era === '2012' && letter === 'V' ? undefined : KEYWORDS[letter];
    if (keyword !== undefined) lines.push(`${keyword}=${value}`);
  }
  const { parts, isMultipart } = isMime(message) ? partsOf(message.text) : { parts: [], isMultipart: false };
  if (isMultipart) lines.push('pref=|1');
  for (const [index, { type, charset, body }] of parts.entries())
    lines.push(`part=||${index + 1}||${type}|${body.length}||${charset}`);
  const said = lines.map((line) => `${line}\n`).join('');
  if (heads) return said;
  const plain = form === 'MSG4' ? 'Content-type: text/plain\n\n' : '';
  return `${said}text\n${plain}${shown(message)}`;
}

function shown(message: StoredDouble): string {
  if (!isMime(message)) return message.text;
  const [part] = partsOf(message.text).parts;
  if (part === undefined || /^text\/|^$/.test(part.type)) return part?.body ?? '';
  return `Part 1:  (${part.type}) (${part.body.length} bytes)\r\n`;
}

function mailDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString().replace('GMT', '-0000');
}

function fullAddress(recipient: string): string {
  return recipient.includes('@') ? recipient : `${recipient}@citref.example`;
}

const RENDERED: Readonly<Record<Era, string>> = {
  '2012': 'KLPRTUVWY',
  '2016': 'PTRWKLVYU',
  '2023': 'PTRWKLVYU',
};

const HEADERS: Readonly<Record<string, (value: string) => string>> = {
  K: (value) => `Reply-To: ${value}`,
  L: (value) => `List-ID: ${value}`,
  P: (value) => `Return-Path: ${value}`,
  R: (value) => `To: ${fullAddress(value)}`,
  T: (value) => `Date: ${mailDate(Number(value))}`,
  U: (value) => `Subject: ${value}`,
  V: (value) => `Envelope-To: ${value}`,
  W: (value) => `References: ${value}`,
  Y: (value) => `CC: ${value}`,
};

/** MSG2; `heads` for the header only. */
export function renderedOf(message: StoredDouble, era: Era, heads = false): string {
  if (message.rendered !== undefined) return message.rendered;
  const { fields, format, text } = message;
  const lines = [...RENDERED[era]].flatMap((letter) => {
    const value = fields[letter];
    return value === undefined ? [] : [HEADERS[letter]?.(value) ?? ''];
  });
  if (fields.U === undefined) lines.push('Subject: (no subject)');
  const node = era === '2023' ? '' : 'citref.example';
  const author = fields.A ?? '';
  const address = fields.F ?? `${author.toLowerCase().replace(/[^a-z0-9]/g, '_')}@${node}`;
  lines.push(`Message-ID: <${fields.I ?? ''}>`, `From: "${author}" <${address}>`);
  const own = format === 4 ? split(text)[0] : '';
  if (heads) return crlf(lines.map((line) => `${line}\n`).join('') + own);
  const whole = crlf(`${lines.join('\n')}\n${format === 4 ? '' : '\n'}${text}`);
  return era === '2012' || whole.endsWith('\n') ? whole : `${whole}\r\n`;
}

function crlf(text: string): string {
  return text.replaceAll('\r', '').replaceAll('\n', '\r\n');
}

/** A line of MSGS with short headers. */
export function briefOf(number: number, { fields }: StoredDouble, era: Era): string {
  const { T = '0', A = '', N = '', F = '', U = '' } = fields;
  const node = era === '2023' ? 'citref' : N;
  return `${[number, T, A, node, F, U].join('|')}${era === '2023' ? '' : '|'}\n`;
}
