/**
 * Identifies a process, and tells whether it still runs. A process id alone proves nothing, because ids are used again, also
 * after a reboot. So the start time (in ticks since boot, which does not depend on the clock) and the id of the boot are part
 * of the identity.
 */
import type { Disk } from './disk.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** clock ticks between boot and start; null where the system does not report it */
  readonly started: string | null;
  /** the boot's id; null where the system does not report it */
  readonly boot: string | null;
}

export interface ProcessTable {
  readonly self: ProcessIdentity;
  /** whether exactly this process still runs; true when in doubt */
  alive(owner: ProcessIdentity): boolean;
}

/** Text of a file under `/proc`; null when there is none. */
function systemFile(disk: Disk, path: string): string | null {
  try {
    return disk.read(path, 4096).bytes.toString('latin1');
  } catch {
    // Not Linux, or the process is gone: both are results, not errors.
    return null;
  }
}

interface ProcessState {
  readonly letter: string;
  readonly started: string;
}

/** `/proc/N/stat`: the name may contain blanks and parentheses, the fields after the last `)` do not. */
function stateOf(disk: Disk, pid: number | 'self'): ProcessState | null {
  const text = systemFile(disk, `/proc/${pid}/stat`);
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [letter, started] = [fields?.[0], fields?.[19]];
  return letter === undefined || started === undefined ? null : { letter, started };
}

/** A `pid_t` has 32 bits; no system gives a higher number. */
const HIGHEST_PID = 2 ** 31 - 1;

/** Whether any process has this id, also one of another user. */
function numberInUse(pid: number): boolean {
  if (pid > HIGHEST_PID) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** The system's processes. `disk` reads `/proc`. */
export function processTable(disk: Disk): ProcessTable {
  const boot = systemFile(disk, '/proc/sys/kernel/random/boot_id')?.trim() ?? null;
  return {
    self: { pid: process.pid, started: stateOf(disk, 'self')?.started ?? null, boot },
    alive(owner) {
      if (boot !== null && owner.boot !== null && owner.boot !== boot) return false;
      if (!numberInUse(owner.pid)) return false;
      const now = stateOf(disk, owner.pid);
      if (now === null || owner.started === null) return true;
      // A zombie no longer does anything; it waits for its parent.
      return now.started === owner.started && now.letter !== 'Z' && now.letter !== 'X';
    },
  };
}
