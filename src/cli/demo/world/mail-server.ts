/**
 * An SMTP server on loopback that keeps what it accepts, and refuses the recipients it is told to. The
 * demonstration starts three of them; the tests start others with more options. It delivers nothing anywhere.
 */
import { once } from 'node:events';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';

export interface Refusal {
  readonly code: number;
  readonly text: string;
}

/** Null accepts the recipient. Addresses as the client gave them; the null sender is ''. */
export type RecipientPolicy = (recipient: string, sender: string) => Refusal | null;

export interface AcceptedMail {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** dot-stuffing undone */
  readonly content: Buffer;
  readonly secure: boolean;
  /** user name, when the client authenticated */
  readonly user: string | null;
}

export interface MailServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly accepted: readonly AcceptedMail[];
  close(): Promise<void>;
}

export interface MailServerPlace {
  /** the name it greets with */
  readonly name: string;
  readonly host: string;
  /** 0: any free one */
  readonly port: number;
}

/** Milliseconds a client may take to go once the server closes. */
const CLOSE_TIMEOUT = 100;

/** Rejects when the address cannot be bound, with Node's error. */
export async function startMailServer(
  { name, host, port }: MailServerPlace,
  judge: RecipientPolicy,
  options: SMTPServerOptions = {},
): Promise<MailServer> {
  const accepted: AcceptedMail[] = [];
  const server = new SMTPServer({
    name,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    maxAllowedUnauthenticatedCommands: false,
    closeTimeout: CLOSE_TIMEOUT,
    onRcptTo({ address }, session, done) {
      const refusal = judge(address, senderOf(session));
      done(refusal === null ? null : errorOf(refusal));
    },
    onData(stream, session, done) {
      contentOf(stream).then((content) => {
        accepted.push(acceptedMail(session, content));
        done(null, 'Accepted');
      }, done);
    },
    ...options,
  });
  // errors of single connections: clients that reset. That of the address comes by way of `once`
  server.on('error', () => {});
  const listener = server.listen(port, host);
  await once(listener, 'listening');
  const address = listener.address();

  return {
    name,
    host,
    port: address !== null && typeof address === 'object' ? address.port : 0,
    accepted,
    close: () => new Promise((closed) => server.close(closed)),
  };
}

/** Refuses each pair of sender and recipient at the first sight, and takes it ever after. */
export function greylisting(): RecipientPolicy {
  const seen = new Set<string>();
  return (recipient, sender) => {
    const pair = JSON.stringify([sender, recipient]);
    if (seen.has(pair)) return null;
    seen.add(pair);
    return { code: 450, text: 'Greylisted, please try again later' };
  };
}

/** What smtp-server turns into a reply line. */
export function errorOf({ code, text }: Refusal): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

function senderOf({ envelope }: SMTPServerSession): string {
  return envelope.mailFrom === false ? '' : envelope.mailFrom.address;
}

async function contentOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function acceptedMail(session: SMTPServerSession, content: Buffer): AcceptedMail {
  return {
    sender: senderOf(session),
    recipients: session.envelope.rcptTo.map(({ address }) => address),
    content,
    secure: session.secure,
    user: typeof session.user === 'string' ? session.user : null,
  };
}
