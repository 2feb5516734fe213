/** Something that takes long to make and is seldom needed. */
export interface OnDemand<T> {
  /** Makes it when it is asked for first; where that fails, again when it is asked for next. */
  get(): Promise<T>;
  /** Calls with it when it was asked for. */
  ifThere(call: (value: T) => void | Promise<void>): Promise<void>;
}

export function onDemand<T>(make: () => T | Promise<T>): OnDemand<T> {
  let made: Promise<T> | null = null;
  return {
    get: () => {
      made ??= (async () => make())().catch((error: unknown) => {
        made = null;
        throw error;
      });
      return made;
    },
    ifThere: async (call) => {
      if (made !== null) await call(await made);
    },
  };
}
