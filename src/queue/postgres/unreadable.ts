/** What is in the queue and is no job: lists that cannot be read, each told once, and messages that no job names. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { QuarantinedMessage } from '../queue.ts';
import type { Statements } from './database/database.ts';

export class Unreadable {
  readonly #database: Statements;
  readonly #told = new Set<MessageNumber>();

  constructor(database: Statements) {
    this.#database = database;
  }

  /** They stay where they are. */
  async all(): Promise<readonly QuarantinedMessage[]> {
    const rows = await this.#database.query(
      'SELECT control::float8, problem FROM spoolroom.job WHERE problem IS NOT NULL ORDER BY control',
    );
    return rows.map(({ control, problem }) => ({ number: control as number, reason: String(problem) }));
  }

  /** Those that were not told before. */
  async news(): Promise<readonly QuarantinedMessage[]> {
    const news = (await this.all()).filter(({ number }) => !this.#told.has(number));
    for (const { number } of news) this.#told.add(number);
    return news;
  }

  async orphans(): Promise<readonly MessageNumber[]> {
    const rows = await this.#database.query(
      `SELECT id::float8 FROM spoolroom.message WHERE size IS NOT NULL
        AND NOT EXISTS (SELECT FROM spoolroom.job WHERE message = message.id) ORDER BY id`,
    );
    return rows.map(({ id }) => id as number);
  }
}
