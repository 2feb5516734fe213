/**
 * Text for HTML content or attributes: nothing from a server or a list becomes markup. Control characters, invisible ones and
 * those that turn the direction of writing are shown as what they are; line ends and tabs stay.
 */
import { escapeControl } from '../text.ts';

export function escapeHtml(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) =>
      /[\n\t]/.test(char) ? char : escapeControl(char),
    )
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
