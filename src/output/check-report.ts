/** The findings of `check` as text, the worst last, where it is seen on a terminal. Pure. */
import { colours, type Palette } from './colour.ts';

/** `warning`: some mail may wait, or an administrator should know. `trouble`: no mail is delivered as it is now. */
export type Grade = 'ok' | 'warning' | 'trouble';

export interface Finding {
  readonly check: string;
  readonly grade: Grade;
  /** what was seen */
  readonly seen: string;
  /** what it means for the mail, and what to do; '' for `ok` */
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

const COLOURS: { readonly [grade in Grade]: keyof Palette } = {
  ok: 'green',
  warning: 'yellow',
  trouble: 'red',
};

function worstLast(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade));
}

export function checkReport(findings: readonly Finding[], coloured: boolean): string {
  const paint = colours(coloured);
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = worstLast(findings).flatMap(({ check, grade, seen, advice }) => [
    `${paint[COLOURS[grade]](grade.padEnd(7))}  ${check.padEnd(width)}  ${seen}`,
    ...(advice === '' ? [] : [`${' '.repeat(11 + width)}${advice}`]),
  ]);
  return [...lines, summary(findings)].join('\n');
}

function summary(findings: readonly Finding[]): string {
  switch (worstLast(findings).at(-1)?.grade) {
    case 'trouble':
      return 'Mail or reports are not delivered: see the trouble above.';
    case 'warning':
      return 'Mail can be delivered; see the warnings above.';
    case 'ok':
    case undefined:
      return 'No problems found.';
  }
}
