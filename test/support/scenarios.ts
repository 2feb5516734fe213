/** Files of scenarios: each scenario begins with a line `== name: what it shows`; text before the first is kept. */

/** The text with every scenario replaced by the result of `rerun`. */
export function mapScenarios(text: string, rerun: (scenario: string) => string): string {
  return text
    .split(/^(?=== )/m)
    .map((part) => (part.startsWith('==') ? rerun(part) : part))
    .join('');
}
