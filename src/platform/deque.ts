/**
 * Who waits for a turn, in order, with a way back to the front. An array would move all that wait at every turn, which
 * for a hundred thousand mails to one relay is seconds; here both ends cost the same at any length.
 */
export class Deque<T> {
  /** the first one last */
  #front: T[] = [];
  #back: T[] = [];

  get length(): number {
    return this.#front.length + this.#back.length;
  }

  get first(): T | undefined {
    return this.#front.at(-1) ?? this.#back[0];
  }

  push(one: T): void {
    this.#back.push(one);
  }

  /** Back to the front. */
  unshift(one: T): void {
    this.#front.push(one);
  }

  shift(): T | undefined {
    if (this.#front.length === 0) {
      this.#front = this.#back.reverse();
      this.#back = [];
    }
    return this.#front.pop();
  }

  /** All of them in order; nobody waits any more. */
  takeAll(): readonly T[] {
    const all = [...this.#front.reverse(), ...this.#back];
    this.#front = [];
    this.#back = [];
    return all;
  }
}
