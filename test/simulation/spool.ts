/**
 * The simulated spool: filled at the beginning, inspected from outside between the steps of the processes, and changed by
 * other programs. It is read directly from the disk, not through the code under test, except for the parser of delivery
 * lists, whose agreement with the C module is tested elsewhere.
 */
import { newControlText } from '../../src/delivery-list/generate.ts';
import { stripHeader } from '../../src/delivery-list/header.ts';
import { isPending, type Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { DELIVERY_LIST_HEADER } from '../../src/delivery-list/serialise.ts';
import { writeNative } from '../../src/message/native.ts';
import { storedControl } from '../../src/message/stored.ts';
import type { MemoryDisk } from '../support/memory-disk.ts';
import type { PlannedMessage } from './plan.ts';
import { illegalStates } from './states.ts';

export const SPOOL = '/spool';
export const OWNER = { mode: 0o660, uid: 0, gid: 0 };

/** Files of others, which must stay as they are. */
const FOREIGN_FILES: Readonly<Record<string, string>> = {
  '.hidden': 'x',
  '7~': DELIVERY_LIST_HEADER,
  'notes.tmp': 'buy milk',
  '007': `${DELIVERY_LIST_HEADER}msgid|1\nremote|nobody@a.example|0||\n`,
};

export function textOf({ name, size }: PlannedMessage): string {
  const line = `${'so it goes '.repeat(6)}\n`;
  const body = line.repeat(Math.ceil(size / line.length));
  return `From: me@me.example\nTo: you@a.example\nSubject: ${name}\n\n.${body}end of ${name}\n`;
}

/** The name of a message, from its text. */
export function subjectIn(text: string): string {
  return /^Subject: (.*?)\r?$/m.exec(text)?.[1] ?? '?';
}

function listIn(form: PlannedMessage['form'], list: string): Buffer {
  switch (form) {
    case 'bare':
      return Buffer.from(list, 'latin1');
    case 'rfc822':
      return Buffer.from(`From: Citadel\nSubject: QMSG\n${list}`, 'latin1');
    case 'native':
      return writeNative(
        {
          anonymous: 0x41,
          format: 4,
          fields: new Map([['A', 'Citadel']]),
          text: Buffer.from(list, 'latin1'),
        },
        '2016',
      );
  }
}

function put(disk: MemoryDisk, name: string, bytes: Buffer): void {
  const file = disk.create(`${SPOOL}/${name}`, OWNER);
  file.write(bytes);
  file.beginSync()();
  file.close();
  disk.beginSyncDirectory(SPOOL)();
}

/** Replace the content of a file atomically: under another name first. */
function replace(disk: MemoryDisk, name: string, bytes: Buffer): void {
  put(disk, '.other', bytes);
  disk.rename(`${SPOOL}/.other`, `${SPOOL}/${name}`);
  disk.beginSyncDirectory(SPOOL)();
}

export function fillSpool(disk: MemoryDisk, messages: readonly PlannedMessage[], submitted: number): void {
  disk.mkdir(SPOOL, { ...OWNER, mode: 0o770 });
  for (const [name, text] of Object.entries(FOREIGN_FILES)) put(disk, name, Buffer.from(text));
  disk.mkdir(`${SPOOL}/12`, OWNER);
  let number = 20;
  for (const mail of messages) {
    const msgid = ++number;
    put(disk, String(msgid), Buffer.from(textOf(mail)));
    const facts = { bounceto: 'me@me.example', envelopeFrom: 'me@me.example', sourceRoom: null };
    const list = newControlText({ ...facts, msgid, submitted, recipients: mail.recipients });
    for (let copy = 0; copy < mail.lists; copy++) put(disk, String(++number), listIn(mail.form, list));
  }
}

export type SpoolFile =
  | { readonly kind: 'nothing' | 'message' | 'half a message' }
  | { readonly kind: 'list'; readonly job: Job }
  | { readonly kind: 'broken'; readonly why: string };

/** The file of this name, as the C module would read it. */
function fileAt(disk: MemoryDisk, name: string): SpoolFile {
  const path = `${SPOOL}/${name}`;
  if (disk.status(path)?.kind !== 'file') return { kind: 'nothing' };
  const { bytes } = disk.read(path, 1 << 24);
  const control = storedControl(bytes);
  if (control === null) {
    const text = bytes.toString('latin1');
    return text.endsWith(`end of ${subjectIn(text)}\n`) || text.endsWith(`end of ${subjectIn(text)}\r\n`)
      ? { kind: 'message' }
      : { kind: 'half a message' };
  }
  if (control.form === 'bare' && !control.text.startsWith(DELIVERY_LIST_HEADER))
    return { kind: 'broken', why: 'a header that servers of 2012 cannot read' };
  if (control.form !== 'native' && bytes.at(-1) !== 0x0a)
    return { kind: 'broken', why: 'no line end at the end' };
  const parsed = parseDeliveryList(stripHeader(control.text).instructions, {
    dialect: 'detect',
    fallback: '2012',
  });
  if (parsed.kind === 'unreadable') return { kind: 'broken', why: parsed.reason };
  const [odd] = [...parsed.job.unknownLines, ...parsed.warnings.map(({ text }) => text)];
  if (odd !== undefined) return { kind: 'broken', why: odd };
  return { kind: 'list', job: parsed.job };
}

/** What is wrong with a file that has just changed, as a sentence; null: nothing. */
export function problemAt(disk: MemoryDisk, path: string): string | null {
  const name = path.slice(SPOOL.length + 1);
  if (name.includes('/')) return null;
  if (!/^[1-9]\d*$/.test(name)) return `${path} was created, where file names are numbers only`;
  const seen = fileAt(disk, name);
  if (seen.kind === 'half a message') return `${path} is ${seen.kind}`;
  return seen.kind === 'broken' ? `${path} is broken: ${seen.why}` : null;
}

export interface Survey {
  /** everything that is wrong, in sentences */
  readonly problems: readonly string[];
  /** pending recipients whose message is there */
  readonly waiting: ReadonlySet<string>;
  readonly lists: ReadonlyMap<string, Job>;
  readonly messages: readonly string[];
  /** messages that end before their end, which after a power failure those may that were never acknowledged */
  readonly halves: readonly string[];
}

export function survey(disk: MemoryDisk): Survey {
  const problems: string[] = [];
  const waiting = new Set<string>();
  const lists = new Map<string, Job>();
  const messages: string[] = [];
  const halves: string[] = [];
  for (const [name, text] of Object.entries(FOREIGN_FILES)) {
    if (disk.read(`${SPOOL}/${name}`, 1000).bytes.toString() !== text) problems.push(`${name} was changed`);
  }
  for (const { name } of disk.list(SPOOL)) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    const seen = fileAt(disk, name);
    if (seen.kind === 'broken') problems.push(`${name} is broken: ${seen.why}`);
    if (seen.kind === 'message') messages.push(name);
    if (seen.kind === 'half a message') halves.push(name);
    if (seen.kind === 'list') lists.set(name, seen.job);
  }
  for (const [name, { msgid, recipients }] of lists) {
    const pending = recipients.filter(isPending);
    if (pending.length > 0 && !messages.includes(String(msgid)))
      problems.push(`${name} waits without its message ${msgid}`);
    for (const { address } of pending) waiting.add(address);
  }
  const msgids = new Map([...lists].map(([name, { msgid }]) => [Number(name), msgid]));
  problems.push(...illegalStates(disk, SPOOL, msgids, new Set(messages.map(Number))));
  return { problems, waiting, lists, messages, halves };
}

/** Another program changes the first delivery list with pending recipients. Returns the recipients of the list, its msgid and its name. */
export function touchList(
  disk: MemoryDisk,
  how: 'adds a recipient' | 'rewrites a list as it was' | 'removes a list',
  added: string,
): { readonly touched: readonly string[]; readonly msgid: number; readonly name: string } | null {
  const entry = [...survey(disk).lists].find(([, job]) => job.recipients.some(isPending));
  if (entry === undefined) return null;
  const [name, job] = entry;
  const touched = job.recipients.map(({ address }) => address);
  const { bytes } = disk.read(`${SPOOL}/${name}`, 1 << 24);
  const { form, text } = storedControl(bytes) ?? { form: 'bare' as const, text: '' };
  switch (how) {
    case 'adds a recipient': {
      const list = `${text}remote|${added}|0||\n`;
      if (form === 'native') replace(disk, name, listIn('native', list));
      else replace(disk, name, Buffer.from(list, 'latin1'));
      break;
    }
    case 'rewrites a list as it was':
      replace(disk, name, bytes);
      break;
    case 'removes a list':
      disk.unlink(`${SPOOL}/${name}`);
      disk.beginSyncDirectory(SPOOL)();
  }
  return { touched, msgid: job.msgid, name };
}
