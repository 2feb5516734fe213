/** Warns when a problem begins or changes, not each time it is met: a server that is away for an hour is one line in the log. */
export class ChangeWarnings {
  readonly #warn: (text: string) => void;
  #last: string | null = null;

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  warn(text: string): void {
    if (text !== this.#last) this.#warn(text);
    this.#last = text;
  }

  /** The problem is gone; should it come back, it is reported again. */
  clear(): void {
    this.#last = null;
  }
}
