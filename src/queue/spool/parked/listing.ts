/** The numbers of the messages in a directory, eight bytes each: there may be millions. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { Disk } from '../../../storage/disk.ts';
import { isBeyondNumbers, messageNumber } from '../../../storage/layout.ts';

export class Listing {
  /** ascending */
  readonly numbers: Float64Array;

  /** In any order; they are sorted in place. */
  constructor(numbers: Float64Array) {
    this.numbers = numbers.sort();
  }

  get length(): number {
    return this.numbers.length;
  }

  /** By position, lowest number first. */
  at(position: number): MessageNumber {
    return this.numbers[position] ?? Number.NaN;
  }

  /** The position of a number, which is probably at `guess`; -1 when it is not there. */
  indexOf(number: MessageNumber, guess = -1): number {
    const { numbers } = this;
    if (numbers[guess] === number) return guess;
    let low = 0;
    let high = numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((numbers[middle] ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    return numbers[low] === number ? low : -1;
  }

  has(number: MessageNumber): boolean {
    return this.indexOf(number) >= 0;
  }
}

/** A power of two. */
const PIECE = 16_384;

/** Folders, links and other names do not count; `foreign` gets the names of files with a number beyond the highest. */
export function listMessages(disk: Disk, directory: string, foreign: (name: string) => void): Listing {
  const pieces: Float64Array[] = [];
  let count = 0;
  let piece = new Float64Array(0);
  for (const name of disk.files(directory)) {
    const number = messageNumber(name);
    if (number !== null) {
      if (count % PIECE === 0) {
        piece = new Float64Array(PIECE);
        pieces.push(piece);
      }
      piece[count++ % PIECE] = number;
    } else if (isBeyondNumbers(name)) {
      foreign(name);
    }
  }
  const numbers = new Float64Array(count);
  for (const [index, from] of pieces.entries())
    numbers.set(from.subarray(0, count - index * PIECE), index * PIECE);
  return new Listing(numbers);
}
