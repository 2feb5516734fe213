/** `spoolroom suppress`: the addresses to which nothing is sent for a time. Works beside a running queue run. */
import { userInfo } from 'node:os';
import { columns } from '../../output/queue-facts.ts';
import { escapeControl } from '../../output/text.ts';
import { bytesOf } from '../../platform/bytes.ts';
import { formatTime } from '../../platform/clock.ts';
import { didYouMean } from '../../platform/suggest.ts';
import { describeError, isOperationalError } from '../../platform/system-errors.ts';
import type { SpoolDeps } from '../../queue/spool/open.ts';
import { recipientAddress } from '../../routing/address.ts';
import { suppressionRules } from '../../runner/rules.ts';
import type { SharedSuppressions } from '../../runner/shared-suppressions.ts';
import { SuppressionList } from '../../runner/suppression-list.ts';
import { duration } from '../../settings/kinds.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import { readSpool } from '../setup/read-spool.ts';
import {
  allValues,
  type CliError,
  type Command,
  cliError,
  type Invocation,
  warner,
} from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

const ACTIONS: readonly string[] = ['add', 'remove', 'list'];

export const command: Command = async ({ settings, options, terminal }) => {
  const action = String(options.action);
  if (!ACTIONS.includes(action)) {
    return cliError(
      `${escapeControl(action)} is not something suppress does: add, remove or list${didYouMean(action, ACTIONS)}.`,
      EXIT.usage,
    );
  }
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const { spool, deps, now } = opened;
  const list = await listIn(spool, settings, deps, now);
  if (action === 'list') {
    const all = list.all();
    const rows = all.map(({ address, until, bounces, why }) => [
      escapeControl(address),
      `until ${formatTime(until)}`,
      escapeControl(bounces === 0 ? why : `${bounces} hard bounces: ${why}`),
    ]);
    if (settings.json) terminal.print(JSON.stringify({ suppressed: all }));
    else terminal.print(rows.length === 0 ? 'No address is suppressed.' : columns(rows));
    return EXIT.ok;
  }
  const addresses = addressesFrom(options);
  if ('kind' in addresses) return addresses;
  try {
    if (action === 'add') return await add(list, addresses, options, terminal);
    for (const address of addresses)
      terminal.print(
        `${escapeControl(address)} ${(await list.remove(address)) ? 'is suppressed no more' : 'was not suppressed'}.`,
      );
  } catch (error) {
    if (!isOperationalError(error)) throw error;
    return cliError(`The list in ${spool} could not be changed: ${describeError(error)}.`, EXIT.io);
  }
  return EXIT.ok;
};

/** As it is now. */
async function listIn(
  spool: string,
  settings: Settings,
  { disk }: Pick<SpoolDeps, 'disk'>,
  now: number,
): Promise<SuppressionList | SharedSuppressions> {
  if (settings.postgres !== null) {
    const { sharedSuppressions } = await import('../setup/room/suppressions.ts');
    const shared = sharedSuppressions(settings.postgres, settings, () => now);
    await shared.load();
    return shared;
  }
  const list = new SuppressionList(disk, layoutOf(spool), suppressionRules(settings), () => now);
  list.refresh();
  return list;
}

async function add(
  list: SuppressionList | SharedSuppressions,
  addresses: readonly string[],
  options: Invocation['options'],
  terminal: Invocation['terminal'],
): Promise<typeof EXIT.ok | CliError> {
  const time = typeof options.for === 'string' ? duration.read(options.for) : null;
  if (time?.ok === false)
    return cliError(`--for ${escapeControl(String(options.for))} ${time.problem}.`, EXIT.usage);
  const why = typeof options.why === 'string' ? bytesOf(options.why) : `put there by ${userName()}`;
  for (const address of addresses) {
    const { until } = await list.add(address, why, time === null ? undefined : time.value / 1000);
    terminal.print(`${escapeControl(address)} gets no mail until ${formatTime(until)}; senders are told.`);
  }
  return EXIT.ok;
}

function addressesFrom({ addresses }: Invocation['options']): readonly string[] | CliError {
  const given = allValues(addresses).map((each) => recipientAddress(bytesOf(each)));
  const [first] = given;
  if (first === undefined) return cliError('No address given.', EXIT.usage);
  const usable: string[] = [];
  for (const each of given) {
    if (each.kind === 'unusable') return cliError(`An address cannot be used: ${each.reason}.`, EXIT.usage);
    usable.push(each.command);
  }
  return usable;
}

/** A user who is not in the system's database has only a number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? ''}`;
  }
}
