/** The double against the recorded sessions: what it says must be what the real servers said, byte for byte. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { createDecoder, type Piece } from '../../../src/room/citadel/protocol.ts';
import { type CitadelDouble, type Era, startCitadel } from '../../support/citadel-server.ts';
import { type Exchange, transcript } from '../../support/citadel-transcript.ts';
import { temporaryDirectory } from '../../support/spool.ts';

/** Commands the double does not speak; none of them changes the queue room. */
const NOT_SPOKEN =
  /^(?:MSG0|SMTP|STAT|VIEW|MOVE|EUID|OPNA|READ|CLOS|IDEN|GOTO Aide|MSGS (?!ALL\n)|DELE 5359)/;
/** Answers that hold what the double has no idea of: statistics of users, texts without a content type, MIME parts of mail. */
const ASIDE = /^(?:MSG[23] (?:414|415|43|44|5372)|DLAT (?:414|43|5372|11038)\|)/;

const SESSIONS: readonly (readonly [name: string, era: Era, admin: boolean, checked: number])[] = [
  ['2012-not-logged-in', '2012', true, 13],
  ['2012-replace', '2012', true, 27],
  ['2012-user-admin', '2012', false, 11],
  ['2012-user-alice', '2012', false, 11],
  ['2012-user-nobody', '2012', false, 5],
  ['2016-not-logged-in', '2016', true, 13],
  ['2016-replace', '2016', true, 27],
  ['2016-dlat', '2016', true, 5],
  ['2016-triple-zero', '2016', true, 4],
  ['2023-replace', '2023', true, 25],
  ['2023-user-admin', '2023', false, 9],
  ['2023-user-alice', '2023', false, 9],
  ['2023-list', '2023', true, 7],
];

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

/** What the room held before the session began, from what the session shows of it. */
function seed(double: CitadelDouble, exchanges: readonly Exchange[]): void {
  const inRoom = new Set<number>();
  const shown = new Map<number, { native?: string; list?: string; rendered?: string }>();
  const show = (number: number, facts: object): void => {
    shown.set(number, { ...shown.get(number), ...facts });
  };
  for (const { said, answer } of exchanges) {
    const number = numberIn(said);
    const [verb, code] = [said.slice(0, 4), answer.slice(0, 3)];
    if (/^MSGS ALL(?:\|0\|0\|\d)?\n/.test(said) && code === '100') {
      for (const line of bodyOf(answer).split('\n')) inRoom.add(Number.parseInt(line, 10));
    }
    if (verb === 'DELE' && code === '200')
      for (const each of said.slice(5).split(',')) inRoom.add(Number(each));
    if (verb === 'MSG3' && code === '600') show(number, { native: bodyOf(answer) });
    if (verb === 'DLAT' && /^600.*delivery-list/.test(answer)) show(number, { list: bodyOf(answer) });
    if (verb === 'MSG2' && code === '100') show(number, { rendered: bodyOf(answer).slice(0, -4) });
    if (/^(?:DLAT|MSG2)/.test(verb) && /^[156](?:00|12)/.test(code)) inRoom.add(number);
  }
  const before = [...new Set([...inRoom, ...shown.keys()])].filter(
    (number) => number > 0 && number < firstPosted(exchanges),
  );
  for (const number of before.sort((a, b) => a - b)) {
    const { native = null, list = null, rendered = '' } = shown.get(number) ?? {};
    (inRoom.has(number) ? double.messages : double.deleted).set(number, { native, list, rendered });
  }
}

/** Says everything up to here and gives what comes back. */
class Wire {
  readonly #socket: net.Socket;
  #received = '';
  #pieces: Piece['kind'][] = [];
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

async function open(t: TestContext, era: Era, admin: boolean, exchanges: readonly Exchange[]) {
  const all = exchanges.map(({ answer }) => answer).join('');
  const double = await startCitadel(`${temporaryDirectory(t)}/citadel.sock`, {
    era,
    admin,
    highest: firstPosted(exchanges) - 1,
  });
  t.after(() => double.close());
  const times = [...all.matchAll(/\0T(\d+)\0Aadmin/g), ...all.matchAll(/time=(\d+)\nfrom=admin/g)];
  double.time = Number(times[0]?.[1] ?? 0);
  double.config = /100 application\/x-citadel-internet-config\n(.*?)000\n/s.exec(all)?.[1] ?? '';
  seed(double, exchanges);
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

for (const [name, era, admin, expected] of SESSIONS) {
  test(`the double says what the server of ${name} said`, async (t) => {
    const exchanges = transcript(name);
    const { wire, socket } = await open(t, era, admin, exchanges);
    assert.equal(await wire.ask('', null), exchanges[0]?.answer);
    const isListed = exchanges.some(({ said }) => said.startsWith('MSGS ALL'));
    let checked = 1;
    for (const [index, { said, answer }] of exchanges.entries()) {
      if (
        index === 0 ||
        NOT_SPOKEN.test(said) ||
        (exchanges[index - 1]?.said.startsWith('ENT0 1||0') && said.endsWith('\n000\n'))
      )
        continue;
      if (/^ENT0/.test(said) && /^[48]/.test(answer)) {
        const next = exchanges[index + 1];
        if (answer.startsWith('4')) {
          await wire.ask(said, null);
          socket.write(next?.said ?? '', 'latin1');
          continue;
        }
        assert.equal(await wire.ask(said, next?.said ?? ''), next?.answer, said);
      } else if (ASIDE.test(said)) {
        await wire.ask(said, null);
        continue;
      } else {
        assert.equal(
          comparable(said, await wire.ask(said, null), isListed),
          comparable(said, answer, isListed),
          said,
        );
      }
      checked++;
    }
    assert.equal(checked, expected);
    socket.destroy();
  });
}

test('the decoder understands every recorded answer, whole and byte by byte', () => {
  for (const [name] of SESSIONS) {
    const recorded = transcript(name);
    const bytes = Buffer.from(recorded.map(({ answer }) => answer).join(''), 'latin1');
    const whole = createDecoder();
    const single = createDecoder();
    const show = (pieces: readonly Piece[]) =>
      pieces
        .map((piece) => (piece.kind === 'data' ? piece.bytes.toString('latin1') : JSON.stringify(piece)))
        .join('');
    const once = show(whole.feed(bytes));
    let split = '';
    for (const byte of bytes) split += show(single.feed(Buffer.from([byte])));
    assert.equal(split, once, name);
    const statuses = [...once.matchAll(/"kind":"status"/g)].length;
    const texts = recorded.filter(
      ({ said }, index) =>
        index > 0 && recorded[index - 1]?.said.startsWith('ENT0') && said.endsWith('\n000\n'),
    );
    assert.equal(statuses, recorded.length - texts.length, name);
  }
});

test('what is not the protocol breaks the decoder instead of confusing it', () => {
  for (const text of ['hello\n', '60 5\n', '600 x\n', '600 -5\n', 'a'.repeat(70_000)]) {
    assert.equal(createDecoder().feed(Buffer.from(text)).at(-1)?.kind, 'broken', text.slice(0, 10));
  }
  const pieces = createDecoder().feed(Buffer.from('901 a page\n200*ok\n'));
  assert.deepEqual(pieces, [{ kind: 'status', code: 200, text: 'ok' }, { kind: 'end' }]);
});
