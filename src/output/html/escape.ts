/** Text as HTML text or attribute. Servers and lists say what they like; none of it becomes markup. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
