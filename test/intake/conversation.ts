/**
 * A client for the intake's tests: says lines, reads replies. Everything it reads it keeps, so that a reply that comes
 * too early or twice is seen.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export class Conversation {
  readonly #socket: Socket;
  #received = '';
  #over = false;
  #wake = (): void => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (): void => {
      this.#over = true;
      this.#wake();
    };
    socket.on('data', (bytes) => {
      this.#received += bytes.toString('latin1');
      this.#wake();
    });
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async with(address: string): Promise<Conversation> {
    const socket = address.startsWith('/')
      ? connect(address)
      : connect(Number(address.slice(address.lastIndexOf(':') + 1)), '127.0.0.1');
    await once(socket, 'connect');
    return new Conversation(socket);
  }

  /** the next complete reply, its lines joined by LF; null when the listener has hung up */
  async reply(): Promise<string | null> {
    for (;;) {
      const end = /^\d{3}(?: .*)?\r\n/m.exec(this.#received);
      if (end !== null) {
        const length = end.index + end[0].length;
        const text = this.#received.slice(0, length - 2).replaceAll('\r\n', '\n');
        this.#received = this.#received.slice(length);
        return text;
      }
      if (this.#over) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** The last that this side says; it goes on listening. */
  end(text: string): void {
    this.#socket.end(text, 'latin1');
  }

  async ask(line: string): Promise<string | null> {
    this.send(`${line}\r\n`);
    return this.reply();
  }

  /** Up to the reply to DATA's 354. `recipients` may hold parameters. */
  async envelope(sender: string, ...recipients: string[]): Promise<void> {
    for (const line of [
      `MAIL FROM:<${sender}>`,
      ...recipients.map((recipient) => `RCPT TO:<${recipient}>`),
      'DATA',
    ]) {
      const reply = await this.ask(line);
      if (!/^[23]/.test(reply ?? '')) throw new Error(`${line}: ${reply}`);
    }
  }

  /** Greeting and EHLO (or LHLO); gives the extensions. */
  async hello(verb = 'EHLO'): Promise<string> {
    await this.reply();
    return (await this.ask(`${verb} citadel.example`)) ?? '';
  }

  drop(): void {
    this.#socket.destroy();
  }
}
