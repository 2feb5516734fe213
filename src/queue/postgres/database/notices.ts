/**
 * What the processes that share a queue tell each other, by NOTIFY. A notice only makes something happen sooner: who waits for one
 * looks again by itself, so that one that is lost, or a connection that is, costs no more than that wait.
 */
import type { Clock } from '../../../platform/clock.ts';
import { isOperationalError } from '../../../platform/system-errors.ts';
import type { Database } from './database.ts';

/**
 * `due`: there may be something to claim. `limits`: sessions of a host were given back, or are asked for; what follows says which.
 * `throttled`: a host asked one of us to send less.
 */
export type Notice = 'due' | 'limits' | 'throttled';

const CHANNEL = 'spoolroom';

export class Notices {
  readonly #database: Pick<Database, 'listen'>;
  readonly #heard = new Map<string, (about: string) => void>();
  #state: 'off' | 'connecting' | 'on' = 'off';

  constructor(database: Pick<Database, 'listen'>) {
    this.#database = database;
  }

  /** `heard` gets what follows the word of the notice; '' also where some may have been missed. */
  on(notice: Notice, heard: (about: string) => void): void {
    this.#heard.set(notice, heard);
  }

  /** Listens, unless it does so already or nobody wants to know. Called now and then: a connection that was lost is made again. */
  attend(): void {
    if (this.#state !== 'off' || this.#heard.size === 0) return;
    this.#state = 'connecting';
    const lost = (): void => {
      this.#state = 'off';
    };
    this.#database
      .listen(CHANNEL, (text) => this.#hear(text), lost)
      .then(
        () => {
          if (this.#state === 'connecting') this.#state = 'on';
          for (const heard of this.#heard.values()) heard('');
        },
        (error: unknown) => {
          if (!isOperationalError(error)) throw error;
          lost();
        },
      );
  }

  #hear(text: string): void {
    const at = text.indexOf(' ');
    const notice = at === -1 ? text : text.slice(0, at);
    this.#heard.get(notice)?.(at === -1 ? '' : text.slice(at + 1));
  }
}

/** Milliseconds from one notice of new mail to the next, at least. */
const REST = 50;

/** Says after what was committed that something is due: at once, and in a while for all that comes meanwhile. */
export class Teller {
  readonly #database: Pick<Database, 'query'>;
  readonly #clock: Clock;
  #isResting = false;
  #isMissed = false;

  constructor(database: Pick<Database, 'query'>, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Not in the transaction of the mail itself: those that notify wait for each other to commit. */
  tell(): void {
    this.#isMissed = true;
    if (!this.#isResting) this.#tell();
  }

  #tell(): void {
    if (!this.#isMissed) return;
    this.#isMissed = false;
    this.#isResting = true;
    this.#database.query(`SELECT pg_notify('${CHANNEL}', 'due')`).catch((error: unknown) => {
      if (!isOperationalError(error)) throw error;
    });
    this.#clock.after(REST, () => {
      this.#isResting = false;
      this.#tell();
    });
  }
}
