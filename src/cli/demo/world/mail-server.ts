/**
 * An SMTP server on loopback for the demo and the tests. It keeps the messages it accepts, and refuses recipients by a policy.
 * It never forwards a message.
 */
import { once } from 'node:events';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';

export interface Refusal {
  readonly code: number;
  readonly text: string;
}

/** Null accepts the recipient. Addresses as the client gave them; the null sender is ''. */
export type RecipientPolicy = (recipient: string, sender: string) => Refusal | null;

export interface AcceptedMessage {
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
  readonly accepted: readonly AcceptedMessage[];
  close(): Promise<void>;
}

export interface ListenAddress {
  /** the name in its greeting */
  readonly name: string;
  readonly host: string;
  /** 0: any free one */
  readonly port: number;
}

/** Milliseconds that clients have to disconnect once the server closes. */
const CLOSE_TIMEOUT = 100;

/** Rejects when the address cannot be bound, with Node's error. */
export async function startMailServer(
  { name, host, port }: ListenAddress,
  refusalOf: RecipientPolicy,
  options: SMTPServerOptions = {},
): Promise<MailServer> {
  const accepted: AcceptedMessage[] = [];
  const server = new SMTPServer({
    name,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    maxAllowedUnauthenticatedCommands: false,
    closeTimeout: CLOSE_TIMEOUT,
    onRcptTo({ address }, session, done) {
      const refusal = refusalOf(address, senderOf(session));
      done(refusal === null ? null : errorOf(refusal));
    },
    onData(stream, session, done) {
      contentOf(stream).then((content) => {
        accepted.push(acceptedMessage(session, content));
        done(null, 'Accepted');
      }, done);
    },
    ...options,
  });
  // Errors of single connections, such as resets. An unusable address is reported through `once`.
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

/** Refuses each pair of sender and recipient the first time, and accepts it from then on. */
export function greylisting(): RecipientPolicy {
  const seen = new Set<string>();
  return (recipient, sender) => {
    const pair = JSON.stringify([sender, recipient]);
    if (seen.has(pair)) return null;
    seen.add(pair);
    return { code: 450, text: 'Greylisted, please try again later' };
  };
}

/** An error that smtp-server turns into a reply. */
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

function acceptedMessage(session: SMTPServerSession, content: Buffer): AcceptedMessage {
  return {
    sender: senderOf(session),
    recipients: session.envelope.rcptTo.map(({ address }) => address),
    content,
    secure: session.secure,
    user: typeof session.user === 'string' ? session.user : null,
  };
}
