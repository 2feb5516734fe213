/**
 * SMTP and LMTP servers for tests, based on the mail server of the demo: they differ in whom they refuse and in what they
 * offer. For peers that break the protocol there is raw-server.ts.
 */
import type { SMTPServerOptions } from 'smtp-server';
import {
  type AcceptedMessage,
  errorOf,
  greylisting,
  type MailServer,
  type RecipientPolicy,
  type Refusal,
  startMailServer,
} from '../../src/cli/demo/world/mail-server.ts';
import type { ServerCertificate } from './certificates.ts';

export type { AcceptedMessage, MailServer, Refusal };

export interface SmtpServerOptions {
  readonly name?: string;
  readonly host?: string;
  readonly port?: number;
  /** by address: the refusal of this recipient */
  readonly refuse?: Readonly<Record<string, Refusal>>;
  /** refuses each pair of sender and recipient at the first attempt */
  readonly greylist?: boolean;
  /** offers STARTTLS with this certificate */
  readonly starttls?: ServerCertificate;
  /** speaks TLS from the first byte with this certificate */
  readonly implicitTls?: ServerCertificate;
  /** requires AUTH (PLAIN, LOGIN, CRAM-MD5) with these users and passwords; in clear only without TLS */
  readonly users?: Readonly<Record<string, string>>;
  readonly lmtp?: boolean;
  /** the largest accepted message, in bytes; announced as SIZE */
  readonly size?: number;
  /** does not offer 8BITMIME */
  readonly sevenBit?: true;
}

export function startSmtpServer(options: SmtpServerOptions = {}): Promise<MailServer> {
  const { name = 'mx.example', host = '127.0.0.1', port = 0 } = options;
  return startMailServer({ name, host, port }, judgeOf(options), protocolOf(options));
}

function judgeOf({ refuse = {}, greylist = false }: SmtpServerOptions): RecipientPolicy {
  const others: RecipientPolicy = greylist ? greylisting() : () => null;
  return (recipient, sender) => refuse[recipient] ?? others(recipient, sender);
}

function protocolOf({
  starttls,
  implicitTls,
  users,
  lmtp,
  size,
  sevenBit,
}: SmtpServerOptions): SMTPServerOptions {
  const certificate = starttls ?? implicitTls;
  return {
    disabledCommands: [...(starttls ? [] : ['STARTTLS']), ...(users ? [] : ['AUTH'])],
    secure: implicitTls !== undefined,
    ...(certificate && { key: certificate.key, cert: certificate.cert }),
    ...(users && authentication(users, certificate === undefined)),
    ...(lmtp && { lmtp }),
    ...(size && { size, rejectOversized: true }),
    ...(sevenBit && { hide8BITMIME: true }),
  };
}

function authentication(
  users: Readonly<Record<string, string>>,
  allowInsecureAuth: boolean,
): SMTPServerOptions {
  return {
    authMethods: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
    allowInsecureAuth,
    onAuth(auth, _session, done) {
      const { username = '' } = auth;
      const password = users[username];
      const right =
        password !== undefined &&
        (auth.method === 'CRAM-MD5' ? auth.validatePassword(password) : auth.password === password);
      if (right) done(null, { user: username });
      else done(errorOf({ code: 535, text: 'Wrong user or password' }));
    },
  };
}
