/**
 * What would help against a failure, by the words in which it is told: ours, the class of RFC 3463's subject, the server's.
 * Pure; called by `explain` and `check`.
 */
import type { ByteString } from '../platform/bytes.ts';

/** The first sign that fits a text counts. */
const ADVICE: readonly (readonly [sign: RegExp, advice: string])[] = [
  [
    /offers no (START)?TLS/i,
    'That server speaks no TLS there. See the port of the entry, and the settings relay-tls, tls-host and auth-in-clear.',
  ],
  [
    /TLS failed: wrong version number/i,
    'That port does not begin with TLS, so smtps:// is wrong for it: leave it out, and STARTTLS is used.',
  ],
  [
    /certificate/i,
    'Its certificate is not trusted here: self-made, expired, or of another host. Its administrator can put that right; else tls-ca names a certificate to trust, tls-pin this very one.',
  ],
  [/TLS failed|4\.7\.[45]/i, 'We and that server find no way to encrypt that suits both; see its log.'],
  [
    /offers no way to authenticate/i,
    'It takes no password there: leave user and password out of the entry, or see its port.',
  ],
  [/authenticat|credential|\(535,|5\.7\.8/i, 'Look at user and password of the relay.'],
  [/gr[ea]y-?list/i, 'Waiting is enough for greylisting: the server wants to see a second try.'],
  [
    /\b4\.7\.1\b/,
    'It has a rule against us. Where that is greylisting, waiting is enough; else see what it says of our name, address or sender.',
  ],
  [/\b[45]\.2\.2\b|mailbox\b.*\bfull\b|\bquota\b/i, 'Somebody has to make room in the mailbox there.'],
  [/\b4\.3\.1\b|insufficient .*storage/i, 'That server has no room left; its administrator has to help.'],
  [/\b4\.4\.3\b|MX lookup|no address of/i, 'Look at the DNS: of this machine, or of the domain.'],
  [
    /said nothing for .* waiting for the (?!greeting)/i,
    'It answers, but not to the end: a server in trouble, or a firewall that looks into mail.',
  ],
  [/refuses connections/i, 'Nothing listens there: see host and port, and whether that server runs.'],
  [
    /no answer|did not answer|said nothing|cannot be reached|no route/i,
    'Nobody answers there: a firewall here, or a server that is down.',
  ],
];

/** A full sentence; null where we know nothing better than waiting. */
export function hintsFor(text: ByteString): string | null {
  return ADVICE.find(([sign]) => sign.test(text))?.[1] ?? null;
}
