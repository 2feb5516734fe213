/** Dependencies of an active message besides its queue, clock and DSN sender, for tests of outcomes only. */
import { unknown8bit } from '../../src/message/charset.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { NO_DESTINATION_RULES } from '../../src/routing/destination-rules.ts';
import type { MessageDeps } from '../../src/runner/active-message.ts';
import { loadMessage } from '../../src/runner/load-message.ts';

export const MESSAGE_DEPS: Omit<MessageDeps, 'queue' | 'now' | 'dsnSender'> = {
  render: { order: '2012', fqdn: 'me.example', nodeName: '', legacy: unknown8bit, zoneMinutes: 0 },
  postmaster: 'postmaster@me.example',
  signer: null,
  warn: (text) => {
    throw new Error(text);
  },
  routing: {
    relays: [],
    destinations: NO_DESTINATION_RULES,
    ownNames: ['me.example'],
    mxPort: 25,
    loops: null,
  },
  limits: { recipients: 100 },
  schedule: SCHEDULE,
  nextTurn: async () => {},
  load: loadMessage,
};
