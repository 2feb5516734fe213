/** Colours for a terminal, and plain text for everything else. Pure. */

export type Paint = (text: string) => string;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Palette = { readonly [name in keyof typeof CODES]: Paint };

export function colours(on: boolean): Palette {
  const paint = (code: number): Paint => (on ? (text) => `\x1b[${code}m${text}\x1b[0m` : (text) => text);
  const { bold, dim, red, green, yellow } = CODES;
  return { bold: paint(bold), dim: paint(dim), red: paint(red), green: paint(green), yellow: paint(yellow) };
}

/** Whether the user wants colours on a terminal: `NO_COLOR` (https://no-color.org) and `TERM=dumb` turn them off. */
export function allowsColour(environment: { readonly [variable: string]: string | undefined }): boolean {
  return (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb';
}
