/** Many callers share one statement: what arrives while one is on its way goes with the next one, all together. */

/** Items of one statement, at most. */
const MOST = 500;

export class Batch<T, R> {
  readonly #work: (items: readonly T[]) => Promise<readonly R[]>;
  #waiting: {
    readonly item: T;
    readonly done: (result: R) => void;
    readonly failed: (error: unknown) => void;
  }[] = [];
  #isRunning = false;

  /** `work` resolves to one result for each item, in their order. */
  constructor(work: (items: readonly T[]) => Promise<readonly R[]>) {
    this.#work = work;
  }

  add(item: T): Promise<R> {
    return new Promise((done, failed) => {
      this.#waiting.push({ item, done, failed });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // What comes in the same turn goes together.
    await null;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST);
      try {
        const results = await this.#work(batch.map(({ item }) => item));
        for (const [index, { done }] of batch.entries()) done(results[index] as R);
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#isRunning = false;
  }
}
