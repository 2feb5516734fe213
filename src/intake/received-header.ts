/**
 * The trace of a message's way: the Received line the intake puts on top, and the judgement of those already there.
 * Called by reception.ts for each message. Pure; bytes stay bytes.
 */
import { isDeliveryList } from '../delivery-list/header.ts';
import { rfc5322Date } from '../message/dates.ts';
import { headerFields } from '../message/headers.ts';
import type { ByteString } from '../platform/bytes.ts';

/** RFC 5321 6.3: a limit of at least 100 lets no honest mail fail. */
const MOST_HOPS = 100;
/** A mailing list that comes home and goes out again passes twice; a loop passes for ever. */
const MOST_PASSES = 4;

export interface ReceivedFrom {
  /** what the client called itself in HELO */
  readonly helo: string;
  /** its IP address; '' on a unix socket */
  readonly address: string;
  /** ours */
  readonly host: string;
  /** RFC 3848: ESMTP, LMTP, ... */
  readonly protocol: string;
  /** Unix seconds */
  readonly time: number;
}

function printable(text: string): string {
  return text.replace(/[^!-'*-[\]-~]/g, '?');
}

function ourMark(host: string): string {
  return `by ${printable(host)} (spoolroom intake)`;
}

/** RFC 5321 4.4, with its line end. */
export function receivedHeader({ helo, address, host, protocol, time }: ReceivedFrom): ByteString {
  const from = `${printable(helo)}${address === '' ? '' : ` ([${printable(address)}])`}`;
  return `Received: from ${from}\r\n\t${ourMark(host)} with ${protocol};\r\n\t${rfc5322Date(time, 0) ?? 'now'}\r\n`;
}

export interface HeaderProblem {
  /** enhanced status code (RFC 3463 3.5, 3.7, 3.8) */
  readonly status: string;
  /** a sentence without its final dot */
  readonly why: string;
}

/** Why this message is not taken; null when nothing speaks against it. `header` null: it is longer than is looked at. */
export function headerProblem(header: ByteString | null, host: string): HeaderProblem | null {
  if (header === null) return { status: '5.6.0', why: 'its header is longer than 128 KiB' };
  if (isDeliveryList(header))
    return { status: '5.7.1', why: 'this content type is for delivery lists, which cannot be sent as mail' };
  const hops = [...headerFields(header)].filter(({ name }) => name.trim().toLowerCase() === 'received');
  const mark = ourMark(host).toLowerCase();
  const passes = hops.filter(({ value }) => value.toLowerCase().includes(mark)).length;
  const loop = (way: string): HeaderProblem => ({
    status: '5.4.6',
    why: `mail loop: the message has passed ${way}`,
  });
  if (hops.length > MOST_HOPS) return loop(`${hops.length} servers`);
  return passes > MOST_PASSES ? loop(`${host} ${passes} times`) : null;
}
