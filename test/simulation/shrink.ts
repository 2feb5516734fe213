/**
 * Makes a plan that shows a fault as small as possible: leaves out incidents, messages, recipients and faulty servers one by
 * one, as long as the fault stays.
 */
import type { Plan } from './plan.ts';

/** Every plan that is this one with something left out. */
function* smaller(plan: Plan): Generator<Plan> {
  const without = <T>(list: readonly T[], index: number): readonly T[] =>
    list.filter((_, at) => at !== index);
  for (const index of plan.incidents.keys()) yield { ...plan, incidents: without(plan.incidents, index) };
  for (const index of plan.messages.keys()) yield { ...plan, messages: without(plan.messages, index) };
  for (const index of plan.handovers.keys()) yield { ...plan, handovers: without(plan.handovers, index) };
  for (const [index, mail] of plan.messages.entries()) {
    const put = (changed: Partial<typeof mail>): Plan => ({
      ...plan,
      messages: plan.messages.map((each, at) => (at === index ? { ...mail, ...changed } : each)),
    });
    for (const which of mail.recipients.keys()) {
      if (mail.recipients.length > 1) yield put({ recipients: without(mail.recipients, which) });
    }
    if (mail.lists > 1) yield put({ lists: 1 });
    if (mail.form !== 'bare') yield put({ form: 'bare' });
    if (mail.size > 1) yield put({ size: 1 });
  }
  for (const [address, script] of Object.entries(plan.servers)) {
    if (Object.keys(script).length > 0) yield { ...plan, servers: { ...plan.servers, [address]: {} } };
  }
  if (Object.keys(plan.limits).length > 0) yield { ...plan, limits: {} };
  if (plan.reportsRefused > 0) yield { ...plan, reportsRefused: 0 };
  if (plan.runs > 1) yield { ...plan, runs: 1 };
  if (plan.processes > 1) yield { ...plan, processes: plan.processes - 1 };
}

export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  for (const candidate of smaller(plan)) {
    if (await fails(candidate)) return shrink(candidate, fails);
  }
  return plan;
}
