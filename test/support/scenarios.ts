/** Files of scenarios: each scenario begins with a line `== name: what it shows`; what stands before the first is kept. */

/** The text with every scenario replaced by what `rerun` makes of it. */
export function mapScenarios(text: string, rerun: (scenario: string) => string): string {
  return text
    .split(/^(?=== )/m)
    .map((part) => (part.startsWith('==') ? rerun(part) : part))
    .join('');
}
