/**
 * The queue run of the C module of a Citadel server, as far as others see it in the queue room: which lists it takes, how it
 * replaces or deletes them, as observed with three eras. It sends nothing and returns the addresses it would have sent to.
 */
import { type Era, HEADER, listOf, ROOM } from './citadel-message.ts';
import type { CitadelDouble } from './citadel-server.ts';

/** The result for every recipient: of a relay, or, without one, of the DNS. */
export type DeliveryResult = 'accepted' | 'refused' | 'later' | 'no-domain';

interface List {
  readonly number: number;
  readonly text: string;
  readonly msgid: number;
  readonly remotes: readonly (readonly [address: string, status: number])[];
}

function parse(number: number, text: string): List {
  const remotes = [...text.matchAll(/^remote\|([^|]*)\|(\d+)\|/gm)].map(
    ([, address = '', status]) => [address, Number(status)] as const,
  );
  return { number, text, msgid: numberOf(text, 'msgid'), remotes };
}

function numberOf(text: string, keyword: string): number {
  return Number(new RegExp(`^${keyword}\\|(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function isDue({ text }: List, era: Era, now: number): boolean {
  const attempted = numberOf(text, 'attempted');
  const submitted = numberOf(text, 'submitted');
  if (era !== '2023') return attempted === 0 || now >= attempted;
  if (attempted < submitted) return true;
  return now - attempted > (attempted - submitted < 14_400 ? 1800 : 14_400);
}

const WORDS: Readonly<Record<Era, Readonly<Record<Exclude<DeliveryResult, 'accepted'>, string>>>> = {
  '2012': { refused: '5|no such user', later: '4|mailbox busy', 'no-domain': '4|Domain name not found' },
  '2016': {
    refused: '5|no such user',
    later: '4|mailbox busy',
    'no-domain': '0|1) A-lookup x - Domain name not found; ',
  },
  '2023': { refused: '5|550 (no such user)', later: '4|450 (mailbox busy)', 'no-domain': '4|421 ()' },
};

/** One run at `now`; the addresses it would have sent to. */
export function cQueueRun(double: CitadelDouble, era: Era, now: number, result: DeliveryResult): string[] {
  const mailed: string[] = [];
  for (const [number, message] of [...double.messages]) {
    const text = listOf(message);
    if (text === null || !double.messages.has(number)) continue;
    const list = parse(number, text);
    const active = list.remotes.filter(([, status]) => [0, 3, 4].includes(status));
    if (!isDue(list, era, now) || active.length === 0) continue;
    if (result !== 'no-domain') mailed.push(...active.map(([address]) => address));
    const isOver = result === 'accepted' || result === 'refused';
    if (!isOver && era === '2023') replace(double, list, era, now, result);
    double.messages.delete(number);
    if (isOver) double.messages.delete(list.msgid);
    else if (era !== '2023') replace(double, list, era, now, result);
  }
  return mailed;
}

function replace(
  double: CitadelDouble,
  { text, remotes }: List,
  era: Era,
  now: number,
  result: DeliveryResult,
): void {
  const words = result === 'accepted' ? '' : WORDS[era][result];
  const lines = remotes.map(([address]) => `remote|${address}|${words}\n`).join('');
  const head = text.replace(/^(?:remote|attempted|retry)\|.*\n/gm, '');
  const again =
    era === '2023'
      ? `\n${head}${lines}attempted|${now}\n`
      : `${head}retry|600\nattempted|${now + 600}\n${lines}`;
  const fields = {
    I: `${double.messages.size}@x`,
    P: 'unknown',
    T: String(now),
    O: ROOM,
    ...(era === '2023' ? {} : { U: 'QMSG' }),
  };
  double.put({ anonymous: 'A', format: 4, fields, text: HEADER + again });
}
