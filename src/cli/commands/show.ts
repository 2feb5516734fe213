/** `spoolroom show N`: the envelope of a job and its message, in readable form whatever form it is stored in. Only reads. */
import type { Charset } from '../../message/charset.ts';
import { prepareOutgoing } from '../../message/outgoing.ts';
import type { RenderOptions } from '../../message/render.ts';
import { bodyText, headerText } from '../../output/message-text.ts';
import { factsOfAll, type JobFacts } from '../../output/queue-facts.ts';
import { escapeControl, plural } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { formatTime } from '../../platform/clock.ts';
import { machineName } from '../../platform/machine-name.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import type { Settings } from '../../settings/table.ts';
import { charsetFrom } from '../setup/load-config.ts';
import { readSpool, type SpoolReading } from '../setup/read-spool.ts';
import { type CliError, type Command, cliError, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { jobSelection, selectJobs } from './jobs/select-jobs.ts';

export const command: Command = async ({ settings, options, terminal, commandText }) => {
  const selection = jobSelection(options);
  if ('kind' in selection) return selection;
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const { view, now, schedule, readable } = opened;
  const scan = await view.look(selection);
  const rules = { ...opened, participle: 'shown', inapplicable: () => null, commandText };
  const jobs = selectJobs(selection, scan, rules);
  if ('kind' in jobs) return jobs;
  const facts = new Map(factsOfAll(scan.jobs, now, schedule, readable).map((each) => [each.job, each]));
  const charset = charsetFrom(settings);
  if ('kind' in charset) return charset;
  const form = shownForm(settings, charset);
  for (const [at, queued] of jobs.entries()) {
    const message = await messageOf(queued, opened, form, options.body === true);
    if ('exit' in message) return message;
    const shown = { ...facts.get(queued.control), ...envelopeOf(queued, opened), ...message };
    if (settings.json) terminal.print(JSON.stringify(shown));
    else {
      if (at > 0) terminal.print('');
      terminal.print(asText(queued, facts.get(queued.control), opened, message).join('\n'));
    }
  }
  return EXIT.ok;
};

/** As which a message is shown. */
export function shownForm(settings: Settings, legacy: Charset): RenderOptions {
  const fqdn = settings.hostname ?? machineName();
  return { order: settings['header-order'], fqdn, nodeName: '', legacy, zoneMinutes: 0 };
}

export function envelopeOf({ job }: QueuedJob, { readable }: Pick<SpoolReading, 'readable'>) {
  const text = (bytes: ByteString | null): string | null => (bytes === null ? null : readable(bytes));
  return {
    submitted: job.submitted,
    bounceto: text(job.bounceto),
    sourceRoom: text(job.sourceRoom),
    dialect: job.dialect,
  };
}

/** What a message is read with. */
export interface MessageReading extends Pick<SpoolReading, 'readable'> {
  readonly view: Pick<SpoolReading['view'], 'readPayload'>;
}

export interface ShownMessage {
  /** bytes as sent; null: it cannot be read */
  readonly size: number | null;
  /** why it cannot be read; null: it can */
  readonly problem: string | null;
  readonly header: readonly string[];
  /** absent: not asked for */
  readonly body?: readonly string[];
}

/** Bytes of a message that are read; the rest of a larger one is left out. */
const LONGEST = 1 << 25;

export async function messageOf(
  { job }: QueuedJob,
  { view, readable }: MessageReading,
  form: RenderOptions,
  wantsBody: boolean,
): Promise<ShownMessage | CliError> {
  const unreadable = (reason: string): ShownMessage => ({
    size: null,
    problem: readable(reason),
    header: [],
  });
  const read = await view.readPayload(job.msgid);
  if (read.kind !== 'found') return unreadable(read.reason);
  const prepared = await prepareOutgoing(read.message, form);
  if (prepared.kind === 'unsendable') return unreadable(prepared.reason);
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of prepared.chunks()) {
    pieces.push(piece);
    length += piece.length;
    if (length >= LONGEST) break;
  }
  const bytes = Buffer.concat(pieces);
  const end = bytes.indexOf('\r\n\r\n');
  const header = await headerText(bytes.toString('latin1', 0, end < 0 ? bytes.length : end + 2), readable);
  const shown = { size: prepared.size, problem: null, header };
  if (!wantsBody) return shown;
  try {
    return { ...shown, body: await bodyText(bytes) };
  } catch (error) {
    // The parser refuses what is nested too deep.
    return cliError(
      `Message ${job.msgid} cannot be shown: ${escapeControl(error instanceof Error ? error.message : String(error))}. Its header can, without --body.`,
      EXIT.data,
    );
  }
}

function asText(
  { control, job }: QueuedJob,
  facts: JobFacts | undefined,
  { readable }: SpoolReading,
  { size, problem, header, body }: ShownMessage,
): readonly string[] {
  const optional = (name: string, value: ByteString | null): readonly string[] =>
    value === null || value === '' ? [] : [`  ${name} ${readable(value)}`];
  return [
    `job ${control}, message ${job.msgid}${size === null ? '' : `, ${size} bytes`}${job.submitted === null ? '' : `, queued ${formatTime(job.submitted)}`}`,
    `  from        ${facts?.sender ?? 'the sender that the message names'}`,
    ...optional('reports to ', job.bounceto),
    ...optional('room       ', job.sourceRoom),
    ...(facts?.recipients ?? []).map(
      ({ address, status, text }) =>
        `  ${STATUSES[status] ?? `status ${status}`}  ${address}${text === '' ? '' : `: ${text}`}`,
    ),
    ...(facts === undefined ? [] : [`  ${facts.why}`]),
    '',
    ...(problem === null ? header : [`The message cannot be shown: ${problem}.`]),
    ...(body === undefined ? [] : ['', ...body]),
    ...(size !== null && size > LONGEST ? [`[${plural(size - LONGEST, 'byte')} more]`] : []),
  ];
}

/** Ten characters each. */
const STATUSES: { readonly [status: number]: string } = {
  0: 'new       ',
  2: 'delivered ',
  3: 'deferred  ',
  4: 'deferred  ',
  5: 'refused   ',
};
