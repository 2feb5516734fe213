/**
 * Citadel's side of the intake: hands mail over, connection by connection, and keeps what was not answered with 250. The
 * intake is the program's own, over connections in memory. Its process may be killed, lose its disk or be told to stop;
 * whatever it has acknowledged by then must be delivered.
 */
import { INTAKE_DEFAULTS, Intake } from '../../src/intake/listener.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import type { Ledger } from './ledger.ts';
import type { Life } from './life.ts';
import { DOMAINS, type Handover } from './plan.ts';

export interface HandoverDeps {
  /** that of the intake */
  readonly process: Life;
  /** aborted: the intake is told to stop */
  readonly signal: AbortSignal;
  readonly room: Pick<Queue, 'enqueue'>;
  /** that of the world: what is on its way arrives, whoever dies */
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly note: (line: string) => void;
  readonly handovers: readonly Handover[];
}

/** Milliseconds for bytes to arrive. */
const LATENCY = 1;

/** Resolves when everything was handed over, or nothing more can be, and the intake has closed. */
export async function handOver(deps: HandoverDeps): Promise<void> {
  const { process, signal, room, clock, ledger, note } = deps;
  const options = { ...INTAKE_DEFAULTS, hostname: 'me.example', scratch: '/nowhere' };
  const events = {
    queued: () => {},
    refused: (reply: number, text: string) => {
      if (process.alive && !process.troubled) ledger.violated(`the intake refused a mail: ${reply} ${text}`);
    },
    loginFailed: () => {},
    warning: (text: string) => note(`warning: ${text}`),
  };
  const intake = new Intake(options, { queue: room, clock: process.clock, events });
  const stopped = new Promise<void>((resolve) => {
    const stop = (): void => resolve(intake.close());
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  const done = Promise.all(deps.handovers.map((each) => handOne(each, intake, deps)));
  await Promise.race([done, stopped]);
  if (signal.aborted) await stopped;
  else await intake.close();
  await done;
  note(`intake ${process.number} has closed; ${clock.now()}`);
}

async function handOne(handover: Handover, intake: Intake, deps: HandoverDeps): Promise<void> {
  const { clock, ledger } = deps;
  const addresses = Array.from({ length: handover.copies }, (_, copy) => {
    const domain = DOMAINS[copy % 4];
    return `${handover.name}.${copy}@${domain}`;
  });
  for (const address of addresses) {
    ledger.expect(handover.name, address);
    ledger.excuse(address);
  }
  await new Promise<void>((due) => clock.after(handover.at, due));
  const connections = addresses.map((address, copy) => () => {
    const breaks = copy === 0 ? handover.breaks : null;
    return new Line(intake, deps, dialogue(handover, address), breaks, () => ledger.promise(address)).over;
  });
  if (handover.manner === 'together') await Promise.all(connections.map((connect) => connect()));
  else for (const connect of connections) await connect();
}

interface Dialogue {
  /** one piece for each reply that is waited for; the first answers the greeting */
  readonly pieces: readonly string[];
  /** the reply to this one is the promise */
  readonly last: number;
}

function dialogue({ name, size, speaks }: Handover, address: string): Dialogue {
  const line = `${'so it goes '.repeat(6)}\r\n`;
  const body = `.${line.repeat(Math.ceil(size / line.length))}end of ${name}\r\n`;
  const text = `From: me@me.example\r\nTo: you@a.example\r\nSubject: ${name}\r\n\r\n`;
  const envelope = ['EHLO citref.example\r\n', 'MAIL FROM:<me@me.example>\r\n', `RCPT TO:<${address}>\r\n`];
  const message =
    speaks === 'DATA'
      ? ['DATA\r\n', `${text}.${body}.\r\n`]
      : [`BDAT ${text.length}\r\n${text}`, `BDAT ${body.length} LAST\r\n${body}`];
  return { pieces: [...envelope, ...message, 'QUIT\r\n'], last: envelope.length + message.length };
}

/** One connection, from Citadel's side. */
class Line {
  /** resolves when there is nothing left of it */
  readonly over: Promise<void>;
  readonly #deps: HandoverDeps;
  readonly #dialogue: Dialogue;
  readonly #breaks: number | null;
  readonly #promised: () => void;
  readonly #wire: MemorySocket;
  #finish: () => void = () => {};
  #heard = '';
  /** replies that came */
  #replies = 0;
  /** bytes that went */
  #said = 0;

  constructor(
    intake: Intake,
    deps: HandoverDeps,
    dialogue: Dialogue,
    breaks: number | null,
    promised: () => void,
  ) {
    this.#deps = deps;
    this.#dialogue = dialogue;
    this.#breaks = breaks;
    this.#promised = promised;
    this.over = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const { process, signal } = deps;
    this.#wire = new MemorySocket(
      (bytes) => {
        if (process.step(`says ${JSON.stringify(bytes)} to Citadel`)) this.#later(() => this.#hear(bytes));
      },
      () => this.#later(() => this.#hangUp()),
    );
    this.#wire.on('error', () => {});
    process.whenDead(() => this.#break());
    if (signal.aborted || !process.step('accepts Citadel')) this.#break();
    else intake.accept(this.#wire.socket);
  }

  #later(call: () => void): void {
    this.#deps.clock.after(LATENCY, call);
  }

  #hear(bytes: string): void {
    this.#heard += bytes;
    for (;;) {
      const [reply] = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#heard) ?? [];
      if (reply === undefined) return;
      this.#heard = this.#heard.slice(reply.length);
      const isFine = reply.startsWith('2') || reply.startsWith('3');
      if (isFine && this.#replies === this.#dialogue.last) this.#promised();
      const next = isFine ? this.#dialogue.pieces[this.#replies] : 'QUIT\r\n';
      this.#replies = isFine ? this.#replies + 1 : this.#dialogue.pieces.length;
      if (next !== undefined) this.#say(next);
    }
  }

  #say(piece: string): void {
    const room = this.#breaks === null ? piece.length : this.#breaks - this.#said;
    const [whole, bytes] = [room >= piece.length, piece.slice(0, Math.max(0, room))];
    this.#said += bytes.length;
    this.#later(() => {
      if (this.#wire.destroyed || !this.#deps.process.step(`hears ${bytes.length} bytes from Citadel`))
        return;
      this.#wire.say(bytes);
      if (!whole) this.#later(() => this.#break());
    });
  }

  /** The intake has no more to say. */
  #hangUp(): void {
    if (!this.#wire.destroyed) this.#wire.hangUp();
    this.#finish();
  }

  #break(): void {
    this.#wire.destroy();
    this.#finish();
  }
}
