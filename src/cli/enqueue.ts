/** `spoolroom enqueue`: a message and its recipients become a job, as Citadel would have put it into its room. */
import { createReadStream } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { ByteString } from '../control/job.ts';
import { headerRecipients } from '../message/recipients.ts';
import { senderFromHeaders } from '../message/sender.ts';
import { recipientAddress } from '../plan/address.ts';
import { harmless } from '../report/people.ts';
import { NotAMail } from '../room/directory/enqueue.ts';
import { openDirectoryGuest } from '../room/directory/open.ts';
import { clockFor, directoryDeps, directorySettings, refusal, spoolOf } from './background.ts';
import type { Command } from './command.ts';
import { EXIT } from './exit.ts';

/** As much of a message as is looked at for its header. */
const HEAD = 1 << 20;

export const command: Command = async ({ settings, options, terminal }) => {
  const complain = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') {
    complain(spool.text);
    return spool.exit;
  }
  const source = typeof options.file === 'string' ? createReadStream(options.file) : terminal.input;
  const pieces = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head: Buffer;
  try {
    head = await readHead(pieces);
  } catch (error) {
    complain(
      `${options.file} cannot be read: ${error instanceof Error ? error.message : error}. Nothing was queued.`,
    );
    return EXIT.noInput;
  }
  if (head.length === 0) {
    complain('The message is empty; nothing was queued.');
    return EXIT.data;
  }
  const header = head.toString('latin1');
  const named = [...words(options.recipients), ...(options.t === true ? headerRecipients(header) : [])];
  const addresses = named.map((entry) => ({ entry, address: recipientAddress(entry) }));
  const recipients = addresses.flatMap(({ address }) =>
    address.kind === 'address' ? [address.command] : [],
  );
  if (recipients.length < named.length) {
    for (const { entry, address } of addresses) {
      if (address.kind === 'unusable') complain(`recipient ${harmless(entry)}: ${address.reason}`);
    }
    complain('Nothing was queued.');
    return EXIT.data;
  }
  if (recipients.length === 0) {
    complain('No recipients: name them, or take those of the header with -t. Nothing was queued.');
    return EXIT.usage;
  }
  const clock = clockFor(settings);
  const opened = await openDirectoryGuest(spool, directoryDeps(clock, complain), directorySettings(settings));
  if (opened.kind === 'refused') {
    const { text, exit } = refusal(opened);
    complain(text);
    return exit;
  }
  const sender = typeof options.f === 'string' ? bytes(options.f) : null;
  try {
    const numbers = await opened.guest.enqueue(continued(head, pieces), {
      bounceto: bytes(String(options.bounceto ?? sender ?? senderFromHeaders(header) ?? ownAddress())),
      envelopeFrom: sender,
      sourceRoom: typeof options.room === 'string' ? bytes(options.room) : null,
      recipients,
      submitted: Math.floor(clock.now() / 1000),
    });
    terminal.print(
      settings.json
        ? JSON.stringify({ ...numbers, recipients: recipients.length })
        : `queued: job ${numbers.control}, mail ${numbers.payload}, ${recipients.length} recipients`,
    );
    return EXIT.ok;
  } catch (error) {
    if (error instanceof NotAMail) {
      complain(error.message);
      return EXIT.data;
    }
    complain(`The message could not be queued: ${error instanceof Error ? error.message : error}`);
    return EXIT.io;
  }
};

/** The first pieces, as far as the header is looked at. */
async function readHead(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  const read: Buffer[] = [];
  let length = 0;
  while (length < HEAD) {
    const next = await pieces.next();
    if (next.done === true) break;
    read.push(next.value);
    length += next.value.length;
  }
  return Buffer.concat(read);
}

async function* continued(head: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}

function words(value: unknown): readonly ByteString[] {
  return Array.isArray(value) ? value.map((word) => bytes(String(word))) : [];
}

/** The command line is UTF-8; lists hold bytes. */
function bytes(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function ownAddress(): string {
  return `${userInfo().username}@${hostname()}`;
}
