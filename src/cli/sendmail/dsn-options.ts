/** What the options of sendmail ask for in reports (RFC 3461). */
import { escapeControl } from '../../output/text.ts';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import {
  type DsnRequest,
  dsnRequest,
  readEnvid,
  readNotify,
  readRet,
  xtextOf,
} from '../../smtp/dsn-request.ts';
import { allValues, type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** The options of sendmail for the parameters of RFC 3461, which hold for all recipients. */
export function dsnFrom(
  options: Invocation['options'],
  recipients: readonly ByteString[],
): DsnRequest | null | CliError {
  const [notify, ret, envid] = ['N', 'R', 'V'].map((letter) => allValues(options[letter]).at(-1));
  const asked = {
    notify: notify === undefined ? null : readNotify(notify),
    ret: ret === undefined ? null : readRet(ret),
    envid: envid === undefined ? null : readEnvid(xtextOf(bytesOf(envid))),
  };
  const wrong = (letter: string, given: string, takes: string): CliError =>
    cliError(`-${letter} ${escapeControl(given)}: it takes ${takes}. Nothing was queued.`, EXIT.usage);
  if (notify !== undefined && asked.notify === null)
    return wrong('N', notify, 'never, or some of success, failure and delay with commas');
  if (ret !== undefined && asked.ret === null) return wrong('R', ret, 'full or hdrs');
  if (envid !== undefined && asked.envid === null) return wrong('V', envid, 'up to 100 characters');
  const dsn = { notify: asked.notify, orcpt: null };
  const each = asked.notify === null ? [] : recipients.map((address) => [address, dsn] as const);
  return dsnRequest(asked, new Map(each));
}
