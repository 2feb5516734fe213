/**
 * Processes for tests: started and ended by hand, all of them within the process that runs the tests.
 */
import type { ProcessIdentity, ProcessTable } from '../../src/storage/processes.ts';

export class FakeMachine {
  readonly #running = new Set<string>();
  #boot = 1;
  #last = 100;

  /** A new process, with the next pid or a given one. */
  start(pid = ++this.#last): ProcessTable & { end(): void } {
    const self: ProcessIdentity = { pid, started: String(++this.#last), boot: `boot-${this.#boot}` };
    this.#running.add(JSON.stringify(self));
    return {
      self,
      alive: (owner) => this.#running.has(JSON.stringify({ ...owner, boot: owner.boot ?? self.boot })),
      end: () => void this.#running.delete(JSON.stringify(self)),
    };
  }

  reboot(): void {
    this.#running.clear();
    this.#boot++;
  }
}
