/** Hints about failures, found by the words of their text: our own, RFC 3463 codes, or those of servers. Pure. */
import type { ByteString } from '../platform/bytes.ts';

/** The first pattern that matches counts. `$1` is what its group matched. */
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /offers no (?:START)?TLS/i,
    'That server does not offer TLS there. Check the port of the entry, and the settings relay-tls, tls-host and auth-in-clear.',
  ],
  [
    /TLS failed: wrong version number/i,
    'The server does not start with TLS on that port, so smtps:// is wrong: without it, STARTTLS is used.',
  ],
  [
    /TLS failed: ([ -~]*certificate[ -~]*)/i,
    "The server's certificate is not trusted: $1. Its administrator can replace it; otherwise tls-ca names a certificate to trust, and tls-pin trusts exactly this one.",
  ],
  [
    /certificate/i,
    "The server's certificate is not trusted. Its administrator can replace it; otherwise tls-ca names a certificate to trust, and tls-pin trusts exactly this one.",
  ],
  [
    /TLS failed|4\.7\.[45]/i,
    'The two sides have no TLS version or cipher in common, or TLS is broken there; see the log of that server.',
  ],
  [
    /offers no way to authenticate/i,
    'The server does not accept a password there: remove user and password from the entry, or check its port.',
  ],
  [/authenticat|credential|\(535,|5\.7\.8/i, "Check the relay's user name and password."],
  [
    /gr[ea]y-?list/i,
    'This is greylisting: the server accepts a later attempt, and nothing needs to be done.',
  ],
  [
    /\b4\.7\.1\b/,
    'The server has a policy against this mail. With greylisting a later attempt succeeds; otherwise its reply says what is wrong with our name, address or sender.',
  ],
  [
    /\b[45]\.2\.2\b|mailbox\b.*\bfull\b|\bquota\b/i,
    'The mailbox of the recipient is full; its owner has to make room in the mailbox.',
  ],
  [
    /\b4\.3\.1\b|insufficient .*storage/i,
    'That server has no disk space left; its administrator has to make room.',
  ],
  [/\b4\.4\.3\b|MX lookup|no address of/i, 'Check the DNS: of this machine, and of the domain.'],
  [
    /said nothing for .* waiting for the (?!greeting)/i,
    'The server stops answering in the middle of the dialogue: it is overloaded or broken, or a firewall inspects mail.',
  ],
  [
    /refuses connections/i,
    'No server listens there: check the host and the port, and that the server is running.',
  ],
  [
    /no answer|did not answer|said nothing|cannot be reached|no route/i,
    'The server cannot be reached: a firewall blocks it, or it is down.',
  ],
];

/** A full sentence; null: there is no better advice than to wait. */
export function hintsFor(text: ByteString): string | null {
  for (const [pattern, hint] of HINTS) {
    const match = pattern.exec(text);
    if (match !== null) return hint.replace('$1', () => match[1] ?? '');
  }
  return null;
}
