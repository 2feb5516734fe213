/**
 * What `check` found, for people: the worst last, so that it is seen at the bottom of a terminal. Pure; called by `check`.
 */

/** `warning`: some mail may wait, or somebody should know. `trouble`: as it is now, mail does not leave. */
export type Grade = 'ok' | 'warning' | 'trouble';

export interface Finding {
  readonly check: string;
  readonly grade: Grade;
  /** what was seen */
  readonly seen: string;
  /** what it means for the mail, and what to do; '' where nothing is to be done */
  readonly advice: string;
}

export const ok = (check: string, seen: string): Finding => ({ check, grade: 'ok', seen, advice: '' });
export const warning = (check: string, seen: string, advice: string): Finding => ({
  ...{ check, grade: 'warning', seen, advice },
});
export const problem = (check: string, seen: string, advice: string): Finding => ({
  ...{ check, grade: 'trouble', seen, advice },
});

const GRADES: readonly Grade[] = ['ok', 'warning', 'trouble'];

function worstLast(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade));
}

export function checkReport(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = worstLast(findings).flatMap(({ check, grade, seen, advice }) => [
    `${grade.padEnd(7)}  ${check.padEnd(width)}  ${seen}`,
    ...(advice === '' ? [] : [`${' '.repeat(11 + width)}${advice}`]),
  ]);
  return [...lines, verdict(findings)].join('\n');
}

function verdict(findings: readonly Finding[]): string {
  switch (worstLast(findings).at(-1)?.grade) {
    case 'trouble':
      return 'Something stops mail.';
    case 'warning':
      return 'Mail can leave; see the warnings.';
    case 'ok':
    case undefined:
      return 'Nothing stops mail.';
  }
}
