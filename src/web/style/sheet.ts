/** The style sheet, under a path that changes with it so that browsers may keep it. Light and dark, from 390 pixels up. */
import { createHash } from 'node:crypto';
import { PARTS_STYLE, THEME_STYLE } from '../../output/html/style.ts';
import { FRAME_STYLE } from './frame.ts';
import { LIST_STYLE } from './lists.ts';

export const SHEET = `${THEME_STYLE}${FRAME_STYLE}${LIST_STYLE}${PARTS_STYLE}`;

export const STYLE_PATH = `/style-${createHash('sha256').update(SHEET).digest('hex').slice(0, 12)}.css`;

/** An envelope. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="2" y="6" width="28" height="20" rx="4" fill="#3f7f8c"/>' +
  '<path d="M5 10l11 8 11-8" fill="none" stroke="#fff" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/></svg>';
