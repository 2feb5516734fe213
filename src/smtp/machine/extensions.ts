/**
 * Which extension a server did not carry out although it offers it: a refused parameter, an unknown command, silence behind
 * commands sent together. The refusal is about the extension and not about the message.
 */
import type { Extension } from '../capabilities.ts';
import type { Reply } from '../reply.ts';
import { mailParameters, rcptParameters } from '../transaction.ts';
import type { Draft } from './session.ts';
import { isOurDoing } from './session.ts';
import type { StateName } from './states.ts';

/** Replies that say "unknown": to a parameter (455: for now), to a command, to a command out of sequence (RFC 5321 4.2.4). */
const UNKNOWN = [455, 500, 501, 502, 503, 504, 555];
const SEQUENCE = [500, 502, 503];
/** What a message needs and is not our choice: only replies that say nothing else. */
const NEEDED = [500, 501, 504, 555];

interface Use {
  readonly extension: Extension;
  readonly in: readonly StateName[];
  /** refused by these replies, where no enhanced code and no other word tells what they are about */
  readonly codes: readonly number[];
  /** a refusal with such a word names the extension, whatever its code */
  readonly words: RegExp;
  /** and by these enhanced codes */
  readonly enhanced?: RegExp;
  /** refused by silence and by a lost connection, too: what some servers and filters do with what they do not know */
  readonly silence?: true;
}

/** The first one that is in use is left out, then the next: a message can do without SIZE more easily than without SMTPUTF8. */
const USES: readonly Use[] = [
  { extension: 'SIZE', in: ['mail'], codes: UNKNOWN, words: /\bSIZE=/i },
  { extension: '8BITMIME', in: ['mail'], codes: UNKNOWN, words: /\bBODY\b|8BITMIME/i },
  { extension: 'DSN', in: ['mail'], codes: UNKNOWN, words: /\b(?:RET|ENVID|DSN)\b/i },
  { extension: 'SMTPUTF8', in: ['mail'], codes: NEEDED, words: /SMTPUTF8/i },
  { extension: 'REQUIRETLS', in: ['mail'], codes: NEEDED, words: /REQUIRETLS/i },
  { extension: 'DSN', in: ['rcpt'], codes: UNKNOWN, words: /\b(?:NOTIFY|ORCPT|DSN)\b/i },
  { extension: 'STARTTLS', in: ['mail'], codes: SEQUENCE, words: /STARTTLS/i, silence: true },
  {
    extension: 'PIPELINING',
    in: ['mail', 'rcpt', 'data'],
    codes: SEQUENCE,
    words: /pipelin|synchroni[sz]/i,
    silence: true,
  },
  // RFC 3463: 8-bit content would have to be converted on its way from there. We can do that.
  {
    extension: '8BITMIME',
    in: ['data', 'body', 'dot'],
    codes: [],
    words: /8BITMIME/i,
    enhanced: /^5\.6\.3$/,
  },
  {
    extension: 'CHUNKING',
    in: ['body', 'dot'],
    codes: [...UNKNOWN, 421],
    words: /\bBDAT\b|chunk|\bcommand\b/i,
    silence: true,
  },
];

/** The extension that this event refuses; null: it is about something else. */
export function extensionInDoubt({ event, stage, session }: Draft): Extension | null {
  if (isOurDoing(event)) return null;
  const uses = USES.filter((each) => each.in.includes(stage) && isInUse(each.extension, session));
  const use =
    event.type === 'reply'
      ? (uses.find(({ words }) => isRefusal(event.reply) && words.test(event.reply.text)) ??
        uses.find((each) => refuses(event.reply, each)))
      : uses.find(({ silence }) => silence === true);
  return use?.extension ?? null;
}

/** Whether the message cannot do without what this event refuses. */
export function neededExtensionInDoubt(draft: Draft): boolean {
  const extension = extensionInDoubt(draft);
  const requireTls = draft.session.current?.transaction.requireTls;
  return extension === 'SMTPUTF8' || (extension === 'REQUIRETLS' && requireTls === 'demanded');
}

function isRefusal({ code }: Reply): boolean {
  return code >= 400;
}

/** Another session is wanted, with another name or with a login: nothing that an extension could change. */
const ANOTHER_SESSION = /\b(?:EHLO|HELO|AUTH\w*|TLS)\b/i;
const A_PARAMETER = /\b(?:parameter|option)s?\b/i;

/** An enhanced code that is not about the protocol (RFC 3463 3.6), or is about too many recipients, says something else. */
function refuses({ code, enhanced, text }: Reply, { codes, enhanced: codesOfUse }: Use): boolean {
  if (enhanced !== null && codesOfUse?.test(enhanced) === true) return true;
  if (codes.length === 0) return false;
  if (code < 400 || ANOTHER_SESSION.test(text)) return false;
  if (enhanced?.startsWith('4') === true) return /^4\.5\.[124]$/.test(enhanced);
  if (enhanced !== null) return [...codes, 550, 554].includes(code) && /^5\.5\.(?!3$)/.test(enhanced);
  return codes.includes(code) || (codes.includes(555) && A_PARAMETER.test(text));
}

function isInUse(extension: Extension, { capabilities, current, tlsDeclined }: Draft['session']): boolean {
  if (extension === 'PIPELINING') return capabilities.pipelining;
  if (extension === 'CHUNKING') return capabilities.chunking;
  // A server that refused STARTTLS and took no MAIL since.
  if (extension === 'STARTTLS') return tlsDeclined;
  if (current === null) return false;
  const { transaction } = current;
  const parameters = [
    ...mailParameters(transaction, capabilities),
    ...transaction.recipients.flatMap((recipient) => rcptParameters(recipient, capabilities)),
  ];
  return parameters.some(([used]) => used === extension);
}
