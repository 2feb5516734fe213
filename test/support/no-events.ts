/** Listeners for tests that look at something else: they do nothing, and whatever should not happen fails. */

import type { MessageEvents } from '../../src/runner/active-message.ts';
import type { DeliveryEvents } from '../../src/runner/deliveries.ts';
import type { RunEvents } from '../../src/runner/queue-runner.ts';

const ignore = (): void => {};

export const NO_MESSAGE_EVENTS: MessageEvents = {
  outcome: ignore,
  lost: ignore,
  notWritten: (_, error) => {
    throw error;
  },
};

export const NO_RUN_EVENTS: RunEvents & DeliveryEvents & Pick<MessageEvents, 'outcome'> = {
  outcome: ignore,
  quarantined: ignore,
  silent: ignore,
  trace: ignore,
  warning: (text) => {
    throw new Error(text);
  },
};
