/**
 * Scenarios of receiving connections: text files that are both input and expected result. `C:` lines are lines of the client,
 * `!` lines are other events, all other lines are what the machine does. The test runs the inputs and compares the whole file;
 * `node --import tsx test/intake/scenario.ts` rewrites the files for review.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readCommand } from '../../src/intake/receiver/commands.ts';
import { next } from '../../src/intake/receiver/machine.ts';
import {
  beginSession,
  type Policy,
  type Session,
  type SessionEffect,
  type SessionEvent,
} from '../../src/intake/receiver/session.ts';
import { STATES } from '../../src/intake/receiver/states.ts';
import { replyBytes } from '../../src/intake/reply.ts';
import { mapScenarios, type ScenarioFile, scenarioFilesIn } from '../support/scenarios.ts';

const SCENARIOS = fileURLToPath(new URL('../../fixtures/intake/', import.meta.url));

const POLICY: Policy = {
  protocol: 'smtp',
  hostname: 'queue.example',
  size: 1000,
  maxRecipients: 3,
  tls: false,
  login: false,
};

/** Runs a whole file; each scenario begins with `== name: what it shows`. */
export function rerun(text: string, rowsHit: Set<string>): string {
  return mapScenarios(text, (scenario) => rerunScenario(scenario, rowsHit));
}

function rerunScenario(text: string, rowsHit: Set<string>): string {
  const out: string[] = [];
  let session = beginSession(POLICY);
  const feed = (event: SessionEvent): void => {
    const step = next(session, event);
    session = step.session;
    for (const row of step.rows) rowsHit.add(row);
    out.push(`   [${step.rows.join(', ')}] -> ${session.state}`, ...step.effects.flatMap(shown));
  };
  for (const line of text.split('\n')) {
    const given = line.slice(3);
    if (/^(?:== |# |policy |C: |! )/.test(line)) out.push(line);
    if (line.startsWith('policy ')) session = beginSession({ ...POLICY, ...JSON.parse(line.slice(7)) });
    else if (line.startsWith('C: ')) feed(clientEvent(given, session));
    else if (line.startsWith('! ')) feed(eventOf(line.slice(2), session));
  }
  return `${out.join('\n')}\n\n`;
}

function clientEvent(line: string, { state }: Session): SessionEvent {
  return STATES[state].reads === 'responses' ? { type: 'response', text: line } : readCommand(line);
}

function eventOf(text: string, session: Session): SessionEvent {
  const [type = '', argument = ''] = text.split(' ');
  switch (type) {
    case 'connected':
      return { type, full: argument === 'full' };
    case 'early':
      return { type: 'STARTTLS', early: true };
    case 'stored':
      return { type, reply: { code: 250, status: '2.6.0', text: 'queued' } };
    case 'verified':
      if (argument === 'accepted' || argument === 'failed' || argument === 'throttled')
        return { type, user: 'citadel', result: argument };
      break;
    case 'secured':
    case 'message-end':
    case 'chunk-end':
    case 'client-done':
    case 'connection-lost':
    case 'timeout':
    case 'too-long':
    case 'stop':
    case 'stop-now':
      return { type };
  }
  throw new Error(`unknown event in state ${session.state}: ${text}`);
}

/** Maps as objects; what was not asked for is left out. */
function plain(key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  return key === 'dsn' && value === null ? undefined : value;
}

function shown(effect: SessionEffect): readonly string[] {
  if (effect.type === 'reply') {
    return replyBytes(effect.reply)
      .split('\r\n')
      .slice(0, -1)
      .map((line) => `S: ${line}`);
  }
  const { type, ...rest } = effect;
  return [`   ${type} ${Object.keys(rest).length === 0 ? '' : JSON.stringify(rest, plain)}`.trimEnd()];
}

export const scenarioFiles = (): readonly ScenarioFile[] => scenarioFilesIn(SCENARIOS);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, text } of scenarioFiles())
    writeFileSync(path, `${rerun(text, new Set()).trimEnd()}\n`, 'latin1');
}
