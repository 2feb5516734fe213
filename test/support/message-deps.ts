/** What an active message needs besides its queue, its clock and who is told: nothing a test of outcomes looks at. */
import { unknown8bit } from '../../src/message/charset.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import type { MessageDeps } from '../../src/runner/active-message.ts';

export const MESSAGE_DEPS: Omit<MessageDeps, 'queue' | 'now' | 'dsnSender'> = {
  render: { order: '2012', fqdn: 'me.example', nodeName: '', legacy: unknown8bit, zoneMinutes: 0 },
  postmaster: 'postmaster@me.example',
  signer: null,
  warn: (text) => {
    throw new Error(text);
  },
  routing: { relays: [], ownNames: ['me.example'], mxPort: 25, loops: null },
  schedule: SCHEDULE,
  nextTurn: async () => {},
};
