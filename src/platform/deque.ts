/**
 * A queue to which items can be returned at the front. `Array.shift` moves all items, which takes seconds for a hundred thousand
 * messages to one relay; here both ends take constant time.
 */
export class Deque<T> {
  /** in reverse order */
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

  /** Inserts at the front. */
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

  /** Removes all items and returns them in order. */
  takeAll(): readonly T[] {
    const all = [...this.#front.reverse(), ...this.#back];
    this.#front = [];
    this.#back = [];
    return all;
  }
}
