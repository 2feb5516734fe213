/** The Received header field the intake adds, and the check of a message's header, which finds mail loops. */
import { isDeliveryList } from '../delivery-list/header.ts';
import { rfc5322Date } from '../message/dates.ts';
import { headerFields } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';

/** RFC 5321 6.3 asks for a limit of at least 100. */
const MAX_HOPS = 100;
/** A message to a mailing list that returns here passes twice; a loop never ends. */
const MAX_PASSES = 4;

export interface ReceivedFrom {
  /** the client's name in HELO or EHLO */
  readonly helo: string;
  /** its IP address; '' on a unix socket */
  readonly address: string;
  /** our own name */
  readonly host: string;
  /** RFC 3848: ESMTP, LMTP, ... */
  readonly protocol: string;
  /** Unix seconds */
  readonly time: number;
}

function printable(text: string): string {
  return text.replace(/[^!-'*-[\]-~]/g, '?');
}

function ownStamp(host: string): string {
  return `by ${printable(host)} (spoolroom intake)`;
}

/** RFC 5321 4.4, with its line ends. */
export function receivedHeader({ helo, address, host, protocol, time }: ReceivedFrom): ByteString {
  const from = `${printable(helo)}${address === '' ? '' : ` ([${printable(address)}])`}`;
  return `Received: from ${from}\r\n\t${ownStamp(host)} with ${protocol};\r\n\t${rfc5322Date(time, 0) ?? 'now'}\r\n`;
}

export interface HeaderProblem {
  /** enhanced status code (RFC 3463 3.5, 3.7, 3.8) */
  readonly status: string;
  /** a clause */
  readonly why: string;
}

/** Why a message is refused; null when it is not. `header` is null when it is longer than what is read of it. */
export function headerProblem(header: ByteString | null, host: string): HeaderProblem | null {
  if (header === null) return { status: '5.6.0', why: 'its header is longer than 128 KiB' };
  if (isDeliveryList(header))
    return { status: '5.7.1', why: 'this content type is for delivery lists, which cannot be sent as mail' };
  const hops = headerFields(header).filter(({ name }) => name.toLowerCase() === 'received');
  const stamp = ownStamp(host).toLowerCase();
  const passes = hops.filter(({ value }) => value.toLowerCase().includes(stamp)).length;
  const loop = (way: string): HeaderProblem => ({
    status: '5.4.6',
    why: `mail loop: the message has passed ${way}`,
  });
  if (hops.length > MAX_HOPS) return loop(`${hops.length} servers`);
  return passes > MAX_PASSES ? loop(`${host} ${passes} times`) : null;
}
