/**
 * Which extension a server did not carry out although it offers it: a refused parameter, an unknown command, silence behind
 * commands sent together. The refusal is about the extension and not about the message.
 */
import type { Extension } from '../capabilities.ts';
import type { Reply } from '../reply.ts';
import { mailParameters, rcptParameters } from '../transaction.ts';
import type { Draft } from './session.ts';
import type { StateName } from './states.ts';

/** Replies that say "unknown": to a parameter, to a command, to a command out of sequence (RFC 5321 4.2.4). */
const PARAMETER = [500, 501, 504, 555];
const COMMAND = [500, 501, 502, 503, 504, 555];
const SEQUENCE = [500, 502, 503];

interface Use {
  readonly extension: Extension;
  readonly in: readonly StateName[];
  /** by these replies; silence: the answer of some servers and filters to what they do not know */
  readonly refusedBy: readonly number[] | 'silence';
}

/** The first one that is in use is left out, then the next: a message can do without SIZE more easily than without SMTPUTF8. */
const USES: readonly Use[] = [
  { extension: 'SIZE', in: ['mail'], refusedBy: PARAMETER },
  { extension: '8BITMIME', in: ['mail'], refusedBy: PARAMETER },
  { extension: 'SMTPUTF8', in: ['mail'], refusedBy: PARAMETER },
  { extension: 'REQUIRETLS', in: ['mail'], refusedBy: PARAMETER },
  { extension: 'DSN', in: ['rcpt'], refusedBy: PARAMETER },
  { extension: 'PIPELINING', in: ['rcpt', 'data'], refusedBy: SEQUENCE },
  { extension: 'PIPELINING', in: ['mail', 'rcpt', 'data'], refusedBy: 'silence' },
  { extension: 'CHUNKING', in: ['body', 'dot'], refusedBy: COMMAND },
  { extension: 'CHUNKING', in: ['body', 'dot'], refusedBy: 'silence' },
];

/** The extension that this event refuses; null: it is about something else. */
export function extensionInDoubt({ event, stage, session }: Draft): Extension | null {
  // We were in haste, which says nothing about what the server can do.
  if (event.type === 'connection-lost' && event.ours === true) return null;
  const use = USES.find(
    (each) =>
      each.in.includes(stage) &&
      isInUse(each.extension, session) &&
      (event.type === 'reply' ? refuses(event.reply, each.refusedBy) : each.refusedBy === 'silence'),
  );
  return use?.extension ?? null;
}

/** An enhanced code that is not about the protocol (RFC 3463 3.6), or is about too many recipients, says something else. */
function refuses({ code, enhanced }: Reply, refusals: Use['refusedBy']): boolean {
  if (refusals === 'silence') return false;
  return enhanced === null
    ? refusals.includes(code)
    : [...refusals, 550, 554].includes(code) && /^5\.5\.(?!3$)/.test(enhanced);
}

function isInUse(extension: Extension, { capabilities, current }: Draft['session']): boolean {
  if (extension === 'PIPELINING') return capabilities.pipelining;
  if (extension === 'CHUNKING') return capabilities.chunking;
  if (current === null) return false;
  const { transaction } = current;
  const parameters = [
    ...mailParameters(transaction, capabilities),
    ...transaction.recipients.flatMap((recipient) => rcptParameters(recipient, capabilities)),
  ];
  return parameters.some(([used]) => used === extension);
}
