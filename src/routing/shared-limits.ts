/** Limits that hold for all processes that share a queue, together. */
export interface SharedLimits {
  /** One pool of connections at a time asks for sessions. */
  serve(pool: SharingPool): void;
  /**
   * Sessions that this process may have at a place now, of the `limit` of all processes; `most` are of use to it. What is missing is
   * asked for, and `mayHave` called when the answer is there. Costs no round trip.
   */
  allowed(place: string, limit: number, most: number): number;
  /** Fewer sessions are allowed there than are open: one that has ended is not followed by another message. */
  isOver(place: string): boolean;
  /** A session was opened, or has ended. */
  count(place: string, by: 1 | -1): void;
  /** Milliseconds until a turn: there is one in each `between` milliseconds for all processes together. */
  turn(name: string, between: number): Promise<number>;
}

export interface SharingPool {
  /** At this place there may be so many sessions now: more than before, or fewer. */
  mayHave(place: string, sessions: number): void;
  /** Sessions that are of use at this place now: those that are open, and those that attempts wait for. */
  wanted(place: string): number;
}
