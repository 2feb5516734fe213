/**
 * Settings of V8: for a process that delivers mail or takes it, and while large messages pass through one. Made when there is
 * such work, because loading `node:v8` is a tenth of what an idle run costs; and a code cache holds only for the settings under
 * which it was made.
 */
import { setFlagsFromString } from 'node:v8';

export function tuneV8(): void {
  // A queue of 10,000 jobs fits a small machine: the heap is collected when it has grown by a half, not when it has quadrupled.
  setFlagsFromString('--heap-growing-percent=50');
  optimiseLater();
}

/**
 * Most runs end within seconds, and what V8 spends on optimising code for them, or for the first hundreds of messages of a process
 * that stays, does not come back. It begins later, after six times as much work as it would by itself; a process that has much
 * to do gets its optimised code all the same.
 */
export function optimiseLater(): void {
  // From Node 22 on V8 has another compiler in between and no such flag, which it would complain of on standard error.
  if (Number.parseInt(process.versions.node, 10) < 22) setFlagsFromString('--interrupt-budget=400000');
}

/** Bytes. */
const PASSED = 524_288;

/**
 * To be told of the bytes of a large message that have passed in pieces: it frees those that nobody has any more, in half a
 * millisecond. By itself V8 lets 32 MB of buffers and nearly as many of strings lie before it collects its young generation.
 */
export async function largeMessage(): Promise<(bytes: number) => void> {
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: { readonly type: 'minor' }) => void;
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < PASSED) return;
    passed = 0;
    collect({ type: 'minor' });
  };
}
