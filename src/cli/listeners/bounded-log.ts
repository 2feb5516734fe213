/** The log of what strangers can cause as often as they like. */
import type { LoginFailure } from '../../intake/connection.ts';
import { FloodLimit } from '../../intake/flood-limit.ts';
import type { Log } from '../../output/log/log.ts';
import { alertEvent, loginFailedEvent, loginsFailedEvent } from '../../output/log/process-events.ts';
import type { Clock } from '../../platform/clock.ts';

/** `whose`: the listener that warns. */
export function boundedLog(
  log: Log,
  clock: Clock,
  whose: string,
): { readonly logins: FloodLimit<LoginFailure>; readonly warnings: FloodLimit<string> } {
  return {
    logins: new FloodLimit(clock, ({ address }) => address, {
      one: (failure) => log.write(loginFailedEvent(failure)),
      more: (address, count) => log.write(loginsFailedEvent(address, count)),
      others: (count) => log.write(loginsFailedEvent(null, count)),
    }),
    warnings: new FloodLimit<string>(clock, (text) => text, {
      one: (text) => log.write(alertEvent(text)),
      more: (text, count) =>
        log.write(alertEvent(`${text} This happened ${count} times more within a minute.`)),
      others: (count) => log.write(alertEvent(`${count} other warnings of the ${whose} within a minute.`)),
    }),
  };
}
