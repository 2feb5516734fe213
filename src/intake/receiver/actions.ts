/** What the action names of the table mean: changes to the draft, and effects for the connection. Nothing is sent here. */
import { dsnRequest } from '../../smtp/dsn-request.ts';
import { decoded, plainResponse, responseOf } from './guards.ts';
import { type Draft, type Envelope, NOTHING_ASKED, type Session } from './session.ts';

type Action = (draft: Draft) => void;

export const ACTIONS = {
  introduce: ({ session, event }) => {
    if (event.type !== 'EHLO' && event.type !== 'LHLO' && event.type !== 'HELO')
      throw new Error('this row needs a client');
    session.client = event.client;
    session.extended = event.type !== 'HELO';
  },
  /** RFC 5321 4.1.4: the buffers are cleared, as by RSET */
  resetTransaction: (draft) => {
    draft.session.sender = null;
    draft.session.smtputf8 = false;
    draft.session.recipients = [];
    draft.session.dsn = NOTHING_ASKED;
  },
  countError: ({ session }) => {
    session.errors++;
  },
  clearErrors: ({ session }) => {
    session.errors = 0;
  },

  startTls: ({ effects }) => effects.push({ type: 'start-tls' }),
  /** RFC 3207 4.2: what was said before TLS is forgotten */
  secured: ({ session }) => {
    session.secure = true;
    session.client = null;
  },

  rememberCandidate: (draft) => {
    draft.session.candidate = decoded(responseOf(draft));
  },
  verifyPlain: (draft) => {
    const login = plainResponse(responseOf(draft));
    if (login === null) throw new Error('this row needs a user and a password');
    draft.effects.push({ type: 'verify', ...login });
  },
  verifyPassword: (draft) => {
    const [user, password] = [draft.session.candidate ?? '', decoded(responseOf(draft)) ?? ''];
    draft.session.candidate = null;
    draft.effects.push({ type: 'verify', user, password });
  },
  logIn: ({ session, event }) => {
    if (event.type === 'verified') session.user = event.user;
  },
  countGuess: ({ session }) => {
    session.guesses++;
  },

  beginTransaction: ({ session, event, effects }) => {
    if (event.type !== 'MAIL' || event.sender.kind !== 'address')
      throw new Error('a transaction begins only with a sender');
    session.sender = event.sender.address;
    session.smtputf8 = event.smtputf8;
    session.dsn = { ...event.dsn, recipients: new Map() };
    effects.push({ type: 'sender', sender: event.sender.address });
  },
  addRecipient: ({ session, event }) => {
    if (event.type !== 'RCPT' || event.recipient?.kind === 'unusable')
      throw new Error('this row needs a recipient');
    const address = event.recipient?.address ?? `Postmaster@${session.policy.hostname}`;
    session.recipients = [...session.recipients, address];
    const { notify, orcpt } = event.dsn;
    if (notify === null && orcpt === null) return;
    const recipients = new Map(session.dsn.recipients).set(address, event.dsn);
    session.dsn = { ...session.dsn, recipients };
  },
  beginMessage: ({ session, effects }) => {
    session.messageBegun = true;
    effects.push({ type: 'begin-message', envelope: envelopeOf(session) });
  },
  readChunk: ({ session, event, effects }) => {
    if (event.type !== 'BDAT') throw new Error('a chunk begins only with BDAT');
    session.chunk = { size: event.size, last: event.last };
    effects.push({ type: 'read-octets', count: event.size });
  },
  endMessage: ({ session, effects }) => {
    session.messageBegun = false;
    effects.push({ type: 'end-message' });
  },
  abortMessage: ({ session, effects }) => {
    if (session.messageBegun) effects.push({ type: 'abort-message' });
    session.messageBegun = false;
  },
  /** RFC 2033 4.2: LMTP answers for each recipient */
  sendAnswer: ({ session, event, effects }) => {
    if (event.type !== 'stored') throw new Error('this row needs an answer');
    const times = session.policy.protocol === 'lmtp' ? session.recipients.length : 1;
    for (let time = 0; time < times; time++) effects.push({ type: 'reply', reply: event.reply });
  },

  markStopping: ({ session }) => {
    session.stopping = true;
  },
  end: ({ effects }) => effects.push({ type: 'end' }),
  destroy: ({ effects }) => effects.push({ type: 'destroy' }),
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof ACTIONS;

/** RFC 3848: S for TLS, A for a login. */
function envelopeOf(session: Session): Envelope {
  const { policy, secure, user, extended, client, sender, recipients, dsn } = session;
  const marks = `${secure ? 'S' : ''}${user === null ? '' : 'A'}`;
  const protocol = policy.protocol === 'lmtp' ? 'LMTP' : extended ? 'ESMTP' : 'SMTP';
  return {
    ...{ sender: sender ?? '', recipients, client: client ?? '', protocol: protocol + marks },
    dsn: dsnRequest(dsn, dsn.recipients),
  };
}
