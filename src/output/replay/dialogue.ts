/**
 * The SMTP dialogue of a session, for people, from the events and effects of the state machine. Pure. Message bodies are not
 * shown; credentials never come here.
 */
import type { TlsFacts } from '#net-stream-utils';
import { tlsText, tlsUse } from '../../delivery/tls-use.ts';
import type { ByteString } from '../../platform/bytes.ts';
import type { SessionEffect, SessionEvent, Step } from '../../smtp/machine/session.ts';
import { codeOnce } from '../../smtp/status-text.ts';

export interface DialogueLine {
  readonly from: 'us' | 'server' | 'neither';
  readonly text: ByteString;
}

/** One step: first what was received, then what was sent. Of a reply its first line. */
export function dialogueLines(
  event: SessionEvent,
  { effects }: Pick<Step, 'effects'>,
): readonly DialogueLine[] {
  const received = lineOfEvent(event);
  const sent = effects.flatMap(linesOfEffect);
  return received === null ? sent : [received, ...sent];
}

/** The same with whole replies, each as one line: `250 mx.example | PIPELINING | SIZE 1000000`. No code is repeated. */
export function wholeDialogueLines(
  event: SessionEvent,
  step: Pick<Step, 'effects'>,
): readonly DialogueLine[] {
  const lines = dialogueLines(event, step);
  if (event.type !== 'reply') return lines;
  const { code, text } = event.reply;
  return [
    { from: 'server', text: `${code} ${codeOnce(text).replaceAll('\n', ' | ')}`.trimEnd() },
    ...lines.slice(1),
  ];
}

function lineOfEvent(event: SessionEvent): DialogueLine | null {
  switch (event.type) {
    case 'reply':
      return {
        from: 'server',
        text: `${event.reply.code} ${event.reply.text.split('\n')[0] ?? ''}`.trimEnd(),
      };
    case 'protocol-error':
    case 'early-talker':
      return { from: 'server', text: event.text };
    case 'timeout':
      return { from: 'neither', text: `no answer for ${event.seconds} s` };
    case 'connection-lost':
      return { from: 'neither', text: `the server ${event.text}` };
    case 'tls-failed':
      return { from: 'neither', text: event.text };
    case 'secured':
      return { from: 'neither', text: `TLS starts here${factsText(event.tls)}` };
    case 'payload-error':
      return { from: 'neither', text: `the message could not be read: ${event.text}` };
    case 'start-transaction':
    case 'quit':
    case 'body-sent':
      return null;
  }
}

function factsText(facts: TlsFacts | undefined): string {
  const use = tlsUse(facts ?? null, {});
  return use === null ? '' : `: ${tlsText(use)}`;
}

function linesOfEffect(effect: SessionEffect): readonly DialogueLine[] {
  switch (effect.type) {
    case 'write':
      return effect.bytes
        .split('\r\n')
        .filter((line) => line !== '' && line !== '.')
        .map((text) => ({ from: 'us', text }));
    case 'authenticate':
      return [{ from: 'us', text: `AUTH ${effect.mechanism} (step ${effect.step}, not shown)` }];
    case 'send-body':
      return [{ from: 'us', text: '(the message)' }];
    case 'start-tls':
    case 'convert-message':
    case 'outcome':
    case 'transaction-done':
    case 'requeue':
    case 'host-failed':
    case 'tls-unusable':
    case 'extension-refused':
    case 'mechanisms-refused':
    case 'ready':
    case 'end':
    case 'destroy':
      return [];
  }
}
