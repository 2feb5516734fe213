/** How much a test does: enough for each change, and all of it with `THOROUGH=1 npm run unit`. */

export const THOROUGH: boolean = process.env.THOROUGH === '1';

export function size(usual: number, thorough: number): number {
  return THOROUGH ? thorough : usual;
}
