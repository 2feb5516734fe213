/**
 * The double compared with the recorded sessions of three eras: its answers must be those of the real servers, byte for byte.
 * The contents of a room before a session are given in one form (the stored one, or MSG2 of servers that do not give it); what
 * the double answers in all other forms is compared, and so is everything that was posted in the session itself.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { createDecoder, type ProtocolToken } from '../../../src/queue/citadel/client/protocol.ts';
import { fromNative, HEADER, ROOM, type StoredDouble } from '../../support/citadel-message.ts';
import { type CitadelDouble, type Era, startCitadel } from '../../support/citadel-server.ts';
import { type Exchange, transcript } from '../../support/citadel-transcript.ts';
import { temporaryDirectory } from '../../support/spool.ts';

/** Commands that the double does not know, because the program never sends them; none of them changes the queue room. */
const NOT_SPOKEN = /^(?:SMTP |STAT|VIEW|MOVE|EUID|OPNA|READ|CLOS|GOTO Aide|MSGS LAST\|3|MSG2 \d+\|[23])/;

interface Counts {
  /** exchanges whose answer is compared, the greeting among them */
  readonly compared: number;
  /** reads whose answer is what was given */
  readonly given: number;
  readonly notSpoken: number;
}

const SESSIONS: readonly (readonly [name: string, admin: boolean, counts: Counts])[] = [
  ['2012-submit-one', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2012-submit-three', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2012-submit-twenty', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2012-submit-admin-socket', true, { compared: 6, given: 0, notSpoken: 0 }],
  ['2012-queue-view', true, { compared: 44, given: 8, notSpoken: 2 }],
  ['2012-not-logged-in', true, { compared: 12, given: 2, notSpoken: 2 }],
  ['2012-replace', true, { compared: 43, given: 0, notSpoken: 3 }],
  ['2012-user-admin', false, { compared: 12, given: 0, notSpoken: 1 }],
  ['2012-user-alice', false, { compared: 12, given: 0, notSpoken: 1 }],
  ['2012-user-nobody', false, { compared: 5, given: 0, notSpoken: 0 }],
  ['2016-submit-one', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2016-submit-three', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2016-submit-twenty', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2016-submit-admin-socket', true, { compared: 6, given: 0, notSpoken: 0 }],
  ['2016-queue-view', true, { compared: 37, given: 8, notSpoken: 2 }],
  ['2016-not-logged-in', true, { compared: 12, given: 2, notSpoken: 2 }],
  ['2016-replace', true, { compared: 43, given: 0, notSpoken: 3 }],
  ['2016-user-admin', false, { compared: 12, given: 0, notSpoken: 1 }],
  ['2016-user-alice', false, { compared: 12, given: 0, notSpoken: 1 }],
  ['2016-user-nobody', false, { compared: 5, given: 0, notSpoken: 0 }],
  ['2016-list', true, { compared: 9, given: 4, notSpoken: 0 }],
  ['2016-dlat', true, { compared: 6, given: 0, notSpoken: 3 }],
  ['2016-triple-zero', true, { compared: 3, given: 1, notSpoken: 0 }],
  ['2023-submit-one', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2023-submit-three', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2023-submit-twenty', false, { compared: 6, given: 0, notSpoken: 0 }],
  ['2023-submit-admin-socket', true, { compared: 6, given: 0, notSpoken: 0 }],
  ['2023-queue-view', true, { compared: 37, given: 8, notSpoken: 2 }],
  ['2023-replace', true, { compared: 37, given: 0, notSpoken: 1 }],
  ['2023-user-admin', false, { compared: 8, given: 1, notSpoken: 0 }],
  ['2023-user-alice', false, { compared: 9, given: 0, notSpoken: 0 }],
  ['2023-list', true, { compared: 6, given: 2, notSpoken: 2 }],
  ['2023-list-over', true, { compared: 4, given: 0, notSpoken: 0 }],
];

function eraOf(name: string): Era {
  return name.slice(0, 4) as Era;
}

function numberIn(said: string): number {
  return Number(/^\w+ (\d+)/.exec(said)?.[1]);
}

function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\n') + 1);
}

/** The number the first text of the session got. */
function firstPosted(exchanges: readonly Exchange[]): number {
  const confirmed = exchanges.find(({ answer }) => /^\d+\nMessage accepted/.test(answer));
  return confirmed === undefined ? Number.MAX_SAFE_INTEGER : Number.parseInt(confirmed.answer, 10);
}

const LETTERS: Readonly<Record<string, string>> = {
  ...{ 'Return-Path': 'P', Date: 'T', To: 'R', 'Envelope-To': 'V', Subject: 'U', 'Message-ID': 'I' },
  ...{ 'Reply-To': 'K', 'List-ID': 'L', CC: 'Y' },
};

/** A message of a server that gives out no stored form: MSG2 says all but the room it was posted in and the journal mark. */
function fromRendered(answer: string, fields: string): StoredDouble {
  const lines = bodyOf(answer).slice(0, -4).split('\r\n');
  const end = lines.findIndex((line) => line.startsWith('From: '));
  const known: Record<string, string> = {};
  for (const line of lines.slice(0, end)) {
    const [, name = '', value = ''] = /^([\w-]+): (.*)$/.exec(line) ?? [];
    const letter = LETTERS[name];
    if (letter !== undefined && value !== '(no subject)') known[letter] = fieldFrom(letter, value);
  }
  const [, author = '', address = ''] = /^From: "(.*)" <(.*)>$/.exec(lines[end] ?? '') ?? [];
  if (author !== '') known.A = author;
  if (!/@$/.test(address)) known.F = address;
  for (const [letter, keyword] of [
    ['O', 'room'],
    ['J', 'jrnl'],
  ] as const) {
    const value = new RegExp(`^${keyword}=(.*)$`, 'm').exec(fields)?.[1];
    if (value !== undefined) known[letter] = value;
  }
  const isFixed = lines[end + 1] === '';
  const rest = lines.slice(end + (isFixed ? 2 : 1));
  const body = rest.indexOf('') + 1;
  // What came by SMTP keeps its line ends, behind the header.
  const bodyEnd = rest[0]?.startsWith('Received:') ? '\r\n' : '\n';
  const text = isFixed
    ? rest.join('\n')
    : `${rest.slice(0, body).join('\n')}\n${rest.slice(body).join(bodyEnd)}`;
  return { anonymous: 'A', format: isFixed ? 1 : 4, fields: known, text };
}

function fieldFrom(letter: string, value: string): string {
  if (letter === 'T') return String(Date.parse(value) / 1000);
  if (letter === 'I') return value.slice(1, -1);
  return letter === 'R' ? value.replace(/;@citref\.example$/, ';') : value;
}

/** A control message of which only the list is known. */
function listWith(list: string): StoredDouble {
  return { anonymous: 'A', format: 4, fields: { O: ROOM }, text: HEADER + list };
}

/** A message, and the command whose answer says what it is. */
interface Given {
  readonly by: string;
  readonly message: StoredDouble;
}

/** What the sessions of an era show of each message in the form it is given in. */
function stored(era: Era): ReadonlyMap<number, Given> {
  const found = new Map<number, Given>();
  const fields = new Map<number, string>();
  for (const [name] of SESSIONS.filter(([each]) => eraOf(each) === era)) {
    const exchanges = transcript(name);
    for (const { said, answer } of exchanges)
      if (said.startsWith('MSG0 ') && answer.startsWith('100')) fields.set(numberIn(said), answer);
    for (const [index, { said, answer }] of exchanges.entries()) {
      const number = numberIn(said);
      const opened = exchanges[index - 1];
      if (said.startsWith('READ') && opened?.said.startsWith('OPNA'))
        found.set(numberIn(opened.said), { by: 'READ', message: listWith(bodyOf(answer)) });
      if (/^MSG3 /.test(said) && answer.startsWith('600'))
        found.set(number, { by: 'MSG3', message: fromNative(bodyOf(answer)) });
      if (/^MSG2 \d+\n/.test(said) && answer.startsWith('100') && (era === '2023' || !found.has(number)))
        found.set(number, { by: 'MSG2', message: fromRendered(answer, fields.get(number) ?? '') });
    }
  }
  return found;
}

/** What the room held before the session began. */
function seed(double: CitadelDouble, exchanges: readonly Exchange[], era: Era): void {
  const inRoom = new Set<number>();
  const gone = new Set<number>();
  for (const { said, answer } of exchanges) {
    const code = answer.slice(0, 3);
    if (/^MSGS (?:ALL|GT)/.test(said) && code === '100')
      for (const line of bodyOf(answer).split('\n'))
        if (/^[1-9]/.test(line)) inRoom.add(Number.parseInt(line, 10));
    if (said.startsWith('DELE') && code === '200')
      for (const each of said.slice(5).split(',')) inRoom.add(Number(each));
    if (/^(?:DLAT|MSG[024])/.test(said) && /^(?:100|600|512)/.test(code)) inRoom.add(numberIn(said));
    if (said.startsWith('MSG3') && code === '600') gone.add(numberIn(said));
  }
  const goto = exchanges.find(({ said }) => said.startsWith('GOTO'))?.answer ?? '';
  // Whoever may not enter stays where he was.
  if (goto.startsWith('5')) {
    for (const number of inRoom) double.lobby.add(number);
    return;
  }
  const known = stored(era);
  const blank: StoredDouble = { anonymous: 'A', format: 1, fields: {}, text: '' };
  const before = (numbers: Iterable<number>) =>
    [...numbers].filter((number) => number > 0 && number < firstPosted(exchanges)).sort((a, b) => a - b);
  for (const number of before(inRoom)) double.messages.set(number, known.get(number)?.message ?? blank);
  for (const number of before(gone))
    if (!inRoom.has(number)) double.deleted.set(number, known.get(number)?.message ?? blank);
}

/** Says everything up to here and gives what comes back. */
class Wire {
  readonly #socket: net.Socket;
  #received = '';
  #pieces: ProtocolToken['kind'][] = [];
  readonly #decoder = createDecoder();
  #wake = (): void => {};

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received += bytes.toString('latin1');
      this.#pieces.push(...this.#decoder.feed(bytes).map(({ kind }) => kind));
      this.#wake();
    });
  }

  async ask(said: string, text: string | null): Promise<string> {
    this.#received = '';
    this.#pieces = [];
    this.#socket.write(said, 'latin1');
    if (text !== null) {
      await this.#until(() => this.#pieces.includes('status'));
      this.#received = '';
      this.#pieces = [];
      this.#socket.write(text, 'latin1');
    }
    await this.#until(() => this.#pieces.includes('end'));
    return this.#received;
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

async function open(t: TestContext, name: string, admin: boolean, exchanges: readonly Exchange[]) {
  const all = exchanges.map(({ answer }) => answer).join('');
  const era = eraOf(name);
  const double = await startCitadel(`${temporaryDirectory(t)}/citadel.sock`, {
    era,
    admin,
    highest: firstPosted(exchanges) - 1,
  });
  t.after(() => double.close());
  const times = [...all.matchAll(/\0T(\d+)\0Aadmin/g), ...all.matchAll(/time=(\d+)\nfrom=admin/g)];
  double.time = Number(times[0]?.[1] ?? 0);
  double.config = /100 application\/x-citadel-internet-config\n(.*?)000\n/s.exec(all)?.[1] ?? '';
  seed(double, exchanges, era);
  const socket = net.connect(double.path);
  await once(socket, 'connect');
  return { double, wire: new Wire(socket), socket };
}

/** Without what the double cannot know: the user's statistics, the room's time, and counts of a room the session does not list. */
function comparable(said: string, answer: string, isListed: boolean): string {
  if (said.startsWith('PASS')) return answer.replace(/^(200 \w+\|\d+)\|.*\n/, '$1');
  if (said.startsWith('GOTO')) return answer.replace(isListed ? /\d+\|\n$/ : /^(200 \w+)\|.*\n/, '$1');
  return answer;
}

/** Whether this read gives what the room was filled with. */
function isGiven({ said, answer }: Exchange, known: ReturnType<typeof stored>, posted: number): boolean {
  const number = numberIn(said);
  const isWhole = said === `${known.get(number)?.by} ${number}\n`;
  return isWhole && /^(?:100|600)/.test(answer) && number < posted;
}

for (const [name, admin, expected] of SESSIONS) {
  test(`the double answers as the server of ${name} did`, async (t) => {
    const exchanges = transcript(name);
    const { wire, socket } = await open(t, name, admin, exchanges);
    assert.equal(await wire.ask('', null), exchanges[0]?.answer);
    const isListed = exchanges.some(({ said }) => said.startsWith('MSGS ALL\n'));
    const posted = firstPosted(exchanges);
    const known = stored(eraOf(name));
    const counts = { compared: 1, given: 0, notSpoken: 0 };
    for (let at = 1; at < exchanges.length; at++) {
      const { said, answer } = exchanges[at] as Exchange;
      if (NOT_SPOKEN.test(said)) {
        counts.notSpoken++;
        continue;
      }
      if (isGiven({ said, answer }, known, posted)) {
        counts.given++;
        continue;
      }
      counts.compared++;
      // The server wants a text: it is what the client says next.
      const wanted = /^[48]00 /.test(answer) ? exchanges[++at] : undefined;
      if (wanted?.answer === '') {
        await wire.ask(said, null);
        socket.write(wanted.said, 'latin1');
        continue;
      }
      const got = await wire.ask(said, wanted?.said ?? null);
      const right = wanted?.answer ?? answer;
      assert.equal(comparable(said, got, isListed), comparable(said, right, isListed), said);
    }
    assert.deepEqual(counts, expected);
    socket.destroy();
  });
}

for (const era of ['2012', '2016', '2023'] as const) {
  test(`${era}: what users submitted is seen in the queue room as the server showed it`, async (t) => {
    const view = transcript(`${era}-queue-view`);
    const texts = ['one', 'three', 'twenty'].map((each) => transcript(`${era}-submit-${each}`));
    const numbers = /\n([\d\n]+)000/.exec(view.find(({ said }) => said === 'MSGS ALL\n')?.answer ?? '')?.[1];
    const [first = 0, , , , byMsa = 0] = (numbers ?? '').split('\n').map(Number);
    const highest = first - 1;
    const path = `${temporaryDirectory(t)}/citadel.sock`;
    const double = await startCitadel(path, { era, admin: true, highest });
    t.after(() => double.close());
    double.time = Number(/^time=(\d+)$/m.exec(view.map(({ answer }) => answer).join(''))?.[1]);
    const say = async (exchanges: readonly Exchange[], compare: boolean) => {
      const socket = net.connect(path);
      await once(socket, 'connect');
      const wire = new Wire(socket);
      await wire.ask('', null);
      for (let at = 1; at < exchanges.length; at++) {
        const { said, answer } = exchanges[at] as Exchange;
        if (NOT_SPOKEN.test(said)) continue;
        const wanted = /^[48]00 /.test(answer) ? exchanges[++at] : undefined;
        const got = await wire.ask(said, wanted?.said ?? null);
        const right = wanted?.answer ?? answer;
        if (compare) assert.equal(comparable(said, got, true), comparable(said, right, true), said);
      }
      socket.destroy();
    };
    const known = stored(era);
    for (const [index, exchanges] of texts.entries()) {
      // The third of them came by SMTP, which the double does not speak.
      if (index === 2)
        for (const number of [byMsa, byMsa + 1]) double.put((known.get(number) as Given).message);
      await say(exchanges, false);
    }
    await say(view, true);
  });
}
