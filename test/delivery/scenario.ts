/**
 * Delivery scenarios: `!` lines are events, all other lines are what the delivery machine does. As with the session
 * scenarios, the file is both input and expected result; `node --import tsx test/delivery/scenario.ts` rewrites it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DeliveryEffect, DeliveryEvent } from '../../src/delivery/delivery.ts';
import { beginDelivery } from '../../src/delivery/delivery.ts';
import { advance } from '../../src/delivery/machine.ts';
import type { Host } from '../../src/routing/hosts.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { mapScenarios } from '../support/scenarios.ts';

export const SCENARIOS = fileURLToPath(new URL('../../fixtures/delivery/walks.txt', import.meta.url));

export function rerun(text: string, rowsHit: Set<string>): string {
  return mapScenarios(text, (scenario) => rerunScenario(scenario, rowsHit));
}

function rerunScenario(text: string, rowsHit: Set<string>): string {
  const out: string[] = [];
  let delivery = beginDelivery([0, 1]);
  for (const line of text.split('\n')) {
    if (line.startsWith('== ')) out.push(line);
    if (!line.startsWith('! ')) continue;
    const step = advance(delivery, eventOf(line.slice(2)));
    delivery = step.delivery;
    if (step.row !== null) rowsHit.add(step.row);
    out.push(
      line,
      `   [${step.row ?? 'no row'}] -> ${delivery.state}`,
      ...step.effects.map((effect) => `   ${shown(effect)}`),
    );
  }
  return `${out.join('\n')}\n\n`;
}

/** `hosts mx1 mx2`, `addresses 192.0.2.1 ...`, `outcome-recorded 0 1`, `throttled HOST TEXT`, `host-failed lookup|connect|greeting transient|permanent [CODE] TEXT`. */
function eventOf(text: string): DeliveryEvent {
  const [type = '', ...words] = text.split(' ');
  switch (type) {
    case 'hosts':
      return { type, hosts: words.map(host) };
    case 'addresses':
      return { type, addresses: words };
    case 'outcome-recorded':
      return { type, recipients: words.map(Number) };
    case 'reuse':
      return { type, hosts: [host('mx1')], host: 0, addresses: ['192.0.2.1'], address: 0, withoutTls: false };
    case 'no-hosts':
    case 'no-addresses':
    case 'own-host':
    case 'host-failed':
    case 'tls-unusable':
    case 'extension-refused':
    case 'unsendable':
      return { type, failure: failure(words) };
    case 'throttled':
      return {
        type,
        elsewhere: Number(words[0]),
        failure: failure(['connect', 'transient', ...words.slice(1)]),
      };
    case 'start':
    case 'connection-ready':
    case 'requeue':
    case 'transaction-done':
    case 'deadline':
    case 'stop':
      return { type };
    default:
      throw new Error(`unknown event: ${text}`);
  }
}

function host(name: string): Host {
  return {
    name,
    literal: null,
    port: 25,
    origin: name.startsWith('fallback') ? 'fallbackhost' : 'mx',
    preference: 10,
    credentials: null,
    implicitTls: false,
  };
}

function failure([stage, kind, ...words]: readonly string[]): Failure {
  const permanent = kind === 'permanent';
  const [, digits, text = ''] = /^(?:(\d{3}) )?(.*)$/.exec(words.join(' ')) ?? [];
  return {
    scope: 'host',
    stage: stage as Failure['stage'],
    permanent,
    code: digits === undefined ? null : Number(digits),
    enhanced: '4.0.0',
    text,
    peer: null,
    maybeDelivered: false,
  };
}

function shown(effect: DeliveryEffect): string {
  switch (effect.type) {
    case 'lookup-addresses':
      return `lookup-addresses ${effect.host.name}`;
    case 'acquire-connection':
      return `acquire-connection ${effect.host.name} [${effect.address}]${effect.withoutTls ? ' without TLS' : ''}`;
    case 'start-transaction':
      return `start-transaction [${effect.recipients}]`;
    case 'outcome': {
      const { outcome } = effect;
      if (outcome.kind === 'delivered')
        throw new Error('the delivery machine itself has no delivered outcome');
      return `outcome [${effect.recipients}] ${outcome.permanent ? 5 : 4} at ${outcome.stage}: ${outcome.text}`;
    }
    case 'hold-back':
      return `hold-back [${effect.recipients}] ${effect.failure.text}`;
    case 'lookup-hosts':
    case 'interrupt':
      return effect.type;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(SCENARIOS, `${rerun(readFileSync(SCENARIOS, 'utf8'), new Set()).trimEnd()}\n`);
}
