/** Paint for a terminal, and nothing at all for everything else. Called by the commands that print for people. */

export type Paint = (text: string) => string;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Palette = { readonly [name in keyof typeof CODES]: Paint };

export function colours(on: boolean): Palette {
  const paint = (code: number): Paint => (on ? (text) => `\x1b[${code}m${text}\x1b[0m` : (text) => text);
  const { bold, dim, red, green, yellow } = CODES;
  return { bold: paint(bold), dim: paint(dim), red: paint(red), green: paint(green), yellow: paint(yellow) };
}
