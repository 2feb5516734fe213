/**
 * HTML with holes: what is put into one is escaped for content and for quoted attributes, unless it is markup that was made
 * the same way. Pure.
 */
import { escapeHtml } from './escape.ts';

/** Only `html` and `trusted` make it. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Null, undefined and false leave nothing; lists are put one after the other. */
export type Hole = Markup | string | number | false | null | undefined | readonly Hole[];

export function html(literals: TemplateStringsArray, ...holes: readonly Hole[]): Markup {
  return new Markup(literals.reduce((text, literal, at) => text + textOf(holes[at - 1]) + literal));
}

/** Markup that other functions escaped. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function textOf(hole: Hole): string {
  if (hole === null || hole === undefined || hole === false) return '';
  if (hole instanceof Markup) return hole.text;
  return typeof hole === 'object' ? hole.map(textOf).join('') : escapeHtml(String(hole));
}
