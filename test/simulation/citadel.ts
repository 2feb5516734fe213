/**
 * Citadel's side of the intake: submits messages, one connection each, and keeps those that were not answered with 250. The
 * intake is the one of the program, over connections in memory. Its process may be killed, lose its disk or be stopped;
 * whatever it has acknowledged by then must be delivered.
 */
import { INTAKE_DEFAULTS, Intake } from '../../src/intake/listener.ts';
import type { RejectedMessage } from '../../src/intake/transaction-handler.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import type { Invariants } from './invariants.ts';
import { DOMAINS, type Handover } from './plan.ts';
import type { SimulatedProcess } from './process.ts';

export interface HandoverDeps {
  /** the intake */
  readonly process: SimulatedProcess;
  /** aborted: the intake is told to stop */
  readonly signal: AbortSignal;
  readonly queue: Pick<Queue, 'enqueue'>;
  /** of the network: bytes in flight arrive even if their sender dies */
  readonly clock: Clock;
  readonly invariants: Invariants;
  readonly note: (line: string) => void;
  readonly handovers: readonly Handover[];
}

/** Milliseconds for bytes to arrive. */
const LATENCY = 1;

/** Resolves when all messages were submitted, or no more can be, and the intake has closed. */
export async function handOver(deps: HandoverDeps): Promise<void> {
  const { process, signal, queue, clock, invariants, note } = deps;
  const options = { ...INTAKE_DEFAULTS, hostname: 'me.example', scratch: '/nowhere' };
  const events = {
    queued: () => {},
    refused: ({ code, text }: RejectedMessage) => {
      if (process.alive && !process.diskFailed)
        invariants.violated(`the intake refused a message: ${code} ${text}`);
    },
    loginFailed: () => {},
    warning: (text: string) => note(`warning: ${text}`),
  };
  const intake = new Intake(options, { queue, clock: process.clock, events });
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
  const { clock, invariants } = deps;
  const addresses = Array.from({ length: handover.copies }, (_, copy) => {
    const domain = DOMAINS[copy % 4];
    return `${handover.name}.${copy}@${domain}`;
  });
  for (const address of addresses) {
    invariants.expect(handover.name, address);
    invariants.allowLoss(address);
  }
  await new Promise<void>((due) => clock.after(handover.at, due));
  const connections = addresses.map((address, copy) => () => {
    const breaks = copy === 0 ? handover.breaks : null;
    return new ClientConnection(intake, deps, dialogue(handover, address), breaks, () =>
      invariants.acknowledge(address),
    ).ended;
  });
  if (handover.order === 'together') await Promise.all(connections.map((connect) => connect()));
  else for (const connect of connections) await connect();
}

interface Dialogue {
  /** one piece for each expected reply; the first is sent after the greeting */
  readonly pieces: readonly string[];
  /** a positive reply to this one acknowledges the message */
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
class ClientConnection {
  /** resolves when it has ended */
  readonly ended: Promise<void>;
  readonly #deps: HandoverDeps;
  readonly #dialogue: Dialogue;
  readonly #breaks: number | null;
  readonly #acknowledged: () => void;
  readonly #connection: MemorySocket;
  #finish: () => void = () => {};
  #received = '';
  /** replies received */
  #replies = 0;
  /** bytes sent */
  #sent = 0;

  constructor(
    intake: Intake,
    deps: HandoverDeps,
    dialogue: Dialogue,
    breaks: number | null,
    acknowledged: () => void,
  ) {
    this.#deps = deps;
    this.#dialogue = dialogue;
    this.#breaks = breaks;
    this.#acknowledged = acknowledged;
    this.ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const { process, signal } = deps;
    this.#connection = new MemorySocket(
      (bytes) => {
        if (process.step(`sends ${JSON.stringify(bytes)} to Citadel`))
          this.#later(() => this.#receive(bytes));
      },
      () => this.#later(() => this.#hangUp()),
    );
    this.#connection.on('error', () => {});
    process.whenDead(() => this.#break());
    if (signal.aborted || !process.step('accepts Citadel')) this.#break();
    else intake.accept(this.#connection.socket);
  }

  #later(call: () => void): void {
    this.#deps.clock.after(LATENCY, call);
  }

  #receive(bytes: string): void {
    this.#received += bytes;
    for (;;) {
      const [reply] = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#received) ?? [];
      if (reply === undefined) return;
      this.#received = this.#received.slice(reply.length);
      const isFine = reply.startsWith('2') || reply.startsWith('3');
      if (isFine && this.#replies === this.#dialogue.last) this.#acknowledged();
      const next = isFine ? this.#dialogue.pieces[this.#replies] : 'QUIT\r\n';
      this.#replies = isFine ? this.#replies + 1 : this.#dialogue.pieces.length;
      if (next !== undefined) this.#send(next);
    }
  }

  #send(piece: string): void {
    const space = this.#breaks === null ? piece.length : this.#breaks - this.#sent;
    const [whole, bytes] = [space >= piece.length, piece.slice(0, Math.max(0, space))];
    this.#sent += bytes.length;
    this.#later(() => {
      if (
        this.#connection.destroyed ||
        !this.#deps.process.step(`receives ${bytes.length} bytes from Citadel`)
      )
        return;
      this.#connection.say(bytes);
      if (!whole) this.#later(() => this.#break());
    });
  }

  /** The intake has closed its side. */
  #hangUp(): void {
    if (!this.#connection.destroyed) this.#connection.hangUp();
    this.#finish();
  }

  #break(): void {
    this.#connection.destroy();
    this.#finish();
  }
}
