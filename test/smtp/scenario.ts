/**
 * Session scenarios: text files that are input and golden record at once. `S:` lines are what the server says, `!`
 * lines other events; everything else is what the machine made of them. Running a file writes it anew from its
 * inputs; the test compares the whole. `node --import tsx test/smtp/scenario.ts` rewrites the files for review.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { next } from '../../src/smtp/machine/machine.ts';
import type { Session, SessionEffect, SessionEvent, SessionPolicy } from '../../src/smtp/machine/session.ts';
import { beginSession } from '../../src/smtp/machine/session.ts';
import { NO_LINES, readReplyLine } from '../../src/smtp/reply.ts';
import type { Transaction } from '../../src/smtp/transaction.ts';

export const SCENARIOS = fileURLToPath(new URL('../../fixtures/session/', import.meta.url));

const POLICY: SessionPolicy = {
  ehloName: 'me.example',
  tls: 'opportunistic',
  credentials: false,
  authInClear: false,
  recipients: 100,
};
const PEER = { host: 'mx.example', address: '192.0.2.1', port: 25 };

/** A whole file: scenarios headed `== name: what it shows`. */
export function rerun(text: string, rowsHit: Set<string>): string {
  return text
    .split(/^(?=== )/m)
    .map((scenario) => (scenario.startsWith('==') ? rerunScenario(scenario, rowsHit) : scenario))
    .join('');
}

function rerunScenario(text: string, rowsHit: Set<string>): string {
  const out: string[] = [];
  let session = beginSession(POLICY, PEER);
  let partial = NO_LINES;
  const tell = (event: SessionEvent): void => {
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
      partial = step.kind === 'more' ? step.partial : NO_LINES;
      if (step.kind === 'reply') tell({ type: 'reply', reply: step.reply });
      if (step.kind === 'protocol-error') tell({ type: 'protocol-error', text: step.line });
    } else if (line.startsWith('! ')) {
      out.push(line);
      tell(eventOf(line.slice(2), session));
    }
  }
  return `${out.join('\n')}\n\n`;
}

function eventOf(text: string, session: Session): SessionEvent {
  const [type = '', ...rest] = text.split(' ');
  const words = rest.join(' ');
  switch (type) {
    case 'start-transaction':
      return { type, transaction: transactionOf(words) };
    case 'body-sent':
      return { type, pipelined: words === '' ? null : transactionOf(words) };
    case 'timeout':
      return { type, seconds: Number(words) };
    case 'secured':
    case 'quit':
      return { type };
    case 'connection-lost':
    case 'tls-failed':
    case 'early-talker':
    case 'payload-error':
      return { type, text: words };
    default:
      throw new Error(`no such event in state ${session.state}: ${text}`);
  }
}

function transactionOf(json: string): Transaction {
  const plain = { sender: 'me@me.example', size: 100, eightBit: false, smtpUtf8: false, dsn: null };
  const { recipients, ...given } = JSON.parse(json);
  const named = recipients.map((address: string, id: number) => ({ id, address }));
  return { ...plain, ...given, recipients: named };
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
      const how =
        outcome.kind === 'delivered'
          ? ''
          : ` ${outcome.permanent ? 'permanent' : 'transient'} at ${outcome.stage}${outcome.maybeDelivered ? ', maybe delivered' : ''}`;
      return [
        `   outcome ${effect.transaction} [${effect.recipients}] ${kind}${how}: ${code} ${enhanced} "${text}"`,
      ];
    }
    case 'host-failed':
    case 'tls-unusable': {
      const { stage, code, enhanced, text } = effect.failure;
      return [`   ${effect.type} at ${stage}: ${code} ${enhanced} "${text}"`];
    }
    default: {
      const { type, ...rest } = effect;
      return [`   ${type} ${Object.keys(rest).length === 0 ? '' : JSON.stringify(rest)}`.trimEnd()];
    }
  }
}

export function scenarioFiles(): readonly {
  readonly name: string;
  readonly path: string;
  readonly text: string;
}[] {
  return readdirSync(SCENARIOS)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => ({ name, path: SCENARIOS + name, text: readFileSync(SCENARIOS + name, 'latin1') }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const hit = new Set<string>();
  for (const { path, text } of scenarioFiles())
    writeFileSync(path, `${rerun(text, hit).trimEnd()}\n`, 'latin1');
}
