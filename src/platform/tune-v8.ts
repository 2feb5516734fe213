/**
 * Settings of V8 for a process that delivers mail. Made when there is mail, because loading `node:v8` is a tenth of what an
 * idle run costs; and a code cache holds only for the settings under which it was made.
 */
import { setFlagsFromString } from 'node:v8';

export function tuneV8(): void {
  // A queue of 10,000 jobs fits a small machine: the heap is collected when it has doubled, not when it has quadrupled.
  setFlagsFromString('--heap-growing-percent=100');
  // Most runs end within seconds, and what V8 spends on optimising code for them does not come back. It begins later, after
  // six times as much work as it would by itself; a long run gets its optimised code all the same.
  setFlagsFromString('--interrupt-budget=400000');
}
