/** The envelope of a message that `enqueue` is given: its recipients, its sender, and where reports go. */
import { senderFromHeaders } from '../../message/sender.ts';
import { escapeControl } from '../../output/text.ts';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import { recipientAddress, withLocalDomain } from '../../routing/address.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Each address once; or why they cannot be used. */
export function validRecipients(entries: readonly ByteString[]): readonly ByteString[] | CliError {
  const recipients = new Map<string, ByteString>();
  for (const entry of entries) {
    const address = recipientAddress(entry);
    if (address.kind === 'unusable') {
      return cliError(
        `${textOf(entry)} is not a usable recipient: ${textOf(address.reason)}. Nothing was queued.`,
        EXIT.data,
      );
    }
    recipients.set(address.command, address.command);
  }
  if (recipients.size > 0) return [...recipients.values()];
  return cliError(
    'No recipients given. Name them, or take them from the header with -t. Nothing was queued.',
    EXIT.usage,
  );
}

/** null: none is given, and the one in the message's header counts. */
export function senderFrom(given: string | undefined, domain: string): ByteString | null | CliError {
  if (given === undefined) return null;
  if (given.trim() === '' || given.trim() === '<>') return '<>';
  const address = recipientAddress(withLocalDomain(bytesOf(given), domain));
  if (address.kind === 'address') return address.command;
  return cliError(
    `${escapeControl(given)} is not a usable sender: ${textOf(address.reason)}. Nothing was queued.`,
    EXIT.usage,
  );
}

/** @param sender null: the one in the header */
export function bounceTo(given: unknown, sender: ByteString | null, header: ByteString): ByteString {
  if (typeof given === 'string') return bytesOf(given);
  if (sender === '<>') return '';
  return sender ?? senderFromHeaders(header) ?? '';
}

function textOf(bytes: ByteString): string {
  return escapeControl(Buffer.from(bytes, 'latin1').toString('utf8'));
}
