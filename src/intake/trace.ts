/**
 * The trace of a message's way: the Received line the intake puts on top, and the judgement of those already there.
 * Called by listener.ts for each message. Pure; bytes stay bytes.
 */
import { isDeliveryList } from '../control/header.ts';
import type { ByteString } from '../control/job.ts';
import { rfc5322Date } from '../message/dates.ts';
import { headerFields } from '../message/headers.ts';

/** RFC 5321 6.3: a limit of at least 100 lets no honest mail fail. */
const MOST_HOPS = 100;
/** A mailing list that comes home and goes out again passes twice; a loop passes for ever. */
const MOST_PASSES = 4;

export interface Hop {
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
export function receivedLine({ helo, address, host, protocol, time }: Hop): ByteString {
  const from = `${printable(helo)}${address === '' ? '' : ` ([${printable(address)}])`}`;
  return `Received: from ${from}\r\n\t${ourMark(host)} with ${protocol};\r\n\t${rfc5322Date(time, 0) ?? 'now'}\r\n`;
}

/** Why this message is not taken; null when nothing speaks against it. A sentence without its final dot. */
export function headerTrouble(header: ByteString, host: string): string | null {
  if (isDeliveryList(header)) return 'this content type is for delivery lists, which cannot be sent as mail';
  const hops = [...headerFields(header)].filter(({ name }) => name.trim().toLowerCase() === 'received');
  if (hops.length > MOST_HOPS) return `mail loop: the message has passed ${hops.length} servers`;
  const mark = ourMark(host).toLowerCase();
  const passes = hops.filter(({ value }) => value.toLowerCase().includes(mark)).length;
  return passes > MOST_PASSES ? `mail loop: the message has passed ${host} ${passes} times` : null;
}
