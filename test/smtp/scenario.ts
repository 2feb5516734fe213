/**
 * Session scenarios: text files that are both input and expected result. `S:` lines are replies of the server, `!` lines are
 * other events, all other lines are what the machine does. The test runs the inputs and compares the whole file;
 * `node --import tsx test/smtp/scenario.ts` rewrites the files for review.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { next } from '../../src/smtp/machine/machine.ts';
import type { Session, SessionEffect, SessionEvent, SessionPolicy } from '../../src/smtp/machine/session.ts';
import { beginSession } from '../../src/smtp/machine/session.ts';
import { NO_LINES, readReplyLine } from '../../src/smtp/reply.ts';
import type { Transaction } from '../../src/smtp/transaction.ts';
import { mapScenarios, type ScenarioFile, scenarioFilesIn } from '../support/scenarios.ts';

export const SCENARIOS = fileURLToPath(new URL('../../fixtures/session/', import.meta.url));

const POLICY: SessionPolicy = {
  ehloName: 'me.example',
  tls: 'opportunistic',
  credentials: false,
  authInClear: false,
  recipients: 100,
};
const PEER = { host: 'mx.example', address: '192.0.2.1', port: 25 };

/** Runs a whole file; each scenario begins with `== name: what it shows`. */
export function rerun(text: string, rowsHit: Set<string>): string {
  return mapScenarios(text, (scenario) => rerunScenario(scenario, rowsHit));
}

function rerunScenario(text: string, rowsHit: Set<string>): string {
  const out: string[] = [];
  let session = beginSession(POLICY, PEER);
  let partial = NO_LINES;
  const feed = (event: SessionEvent): void => {
    const step = next(session, event);
    session = step.session;
    for (const row of step.rows) rowsHit.add(row);
    out.push(`   [${step.rows.join(', ')}] -> ${session.state}`, ...step.effects.flatMap(shown));
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('== ') || line.startsWith('# ')) out.push(line);
    else if (line.startsWith('policy ')) {
      out.push(line);
      session = beginSession({ ...POLICY, ...JSON.parse(line.slice(7)) }, PEER);
    } else if (line.startsWith('S: ')) {
      out.push(line);
      const step = readReplyLine(partial, line.slice(3));
      partial = step.type === 'more' ? step.partial : NO_LINES;
      if (step.type !== 'more') feed(step);
    } else if (line.startsWith('! ')) {
      out.push(line);
      feed(eventOf(line.slice(2), session));
    }
  }
  return `${out.join('\n')}\n\n`;
}

function eventOf(text: string, session: Session): SessionEvent {
  const [type = '', ...parts] = text.split(' ');
  const argument = parts.join(' ');
  switch (type) {
    case 'start-transaction':
      return { type, transaction: transactionOf(argument) };
    case 'body-sent':
      return { type, pipelined: argument === '' ? null : transactionOf(argument) };
    case 'timeout':
      return { type, seconds: Number(argument) };
    case 'secured':
    case 'quit':
      return { type };
    case 'connection-lost':
    case 'tls-failed':
    case 'early-talker':
    case 'payload-error':
      return { type, text: argument };
    default:
      throw new Error(`unknown event in state ${session.state}: ${text}`);
  }
}

function transactionOf(json: string): Transaction {
  const defaults = { sender: 'me@me.example', size: 100, eightBit: false, smtpUtf8: false, dsn: null };
  const { recipients, notify, ...given } = JSON.parse(json);
  const dsn = notify === undefined ? {} : { dsn: { notify, orcpt: null } };
  const named = recipients.map((address: string, id: number) => ({ id, address, ...dsn }));
  return { ...defaults, ...given, recipients: named };
}

function shown(effect: SessionEffect): readonly string[] {
  switch (effect.type) {
    case 'write':
      return effect.bytes
        .split('\r\n')
        .slice(0, -1)
        .map((line) => `C: ${line}`);
    case 'outcome': {
      const { outcome } = effect;
      const { kind, code, enhanced, text } = outcome;
      const details =
        outcome.kind === 'delivered'
          ? ''
          : ` ${outcome.permanent ? 'permanent' : 'transient'} at ${outcome.stage}${outcome.maybeDelivered ? ', maybe delivered' : ''}`;
      return [
        `   outcome ${effect.transaction} [${effect.recipients}] ${kind}${details}: ${code} ${enhanced} "${text}"`,
      ];
    }
    case 'host-failed':
    case 'tls-unusable':
    case 'extension-refused': {
      const { stage, code, enhanced, text, maybeDelivered } = effect.failure;
      const what = effect.type === 'extension-refused' ? `${effect.type} ${effect.extension}` : effect.type;
      const doubt = maybeDelivered ? ', maybe delivered' : '';
      return [`   ${what} at ${stage}${doubt}: ${code} ${enhanced} "${text}"`];
    }
    default: {
      const { type, ...rest } = effect;
      return [`   ${type} ${Object.keys(rest).length === 0 ? '' : JSON.stringify(rest)}`.trimEnd()];
    }
  }
}

export const scenarioFiles = (): readonly ScenarioFile[] => scenarioFilesIn(SCENARIOS);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const hit = new Set<string>();
  for (const { path, text } of scenarioFiles())
    writeFileSync(path, `${rerun(text, hit).trimEnd()}\n`, 'latin1');
}
