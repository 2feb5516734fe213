/**
 * `spoolroom replay`: why a mail did or did not arrive. Takes a control message through the real machines in a chosen
 * world, or a transcript through what was recorded; a control message may lie in an exported server, too. Reads files
 * and never writes into a spool; only `--live` talks to anyone, and it stops before DATA.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ParseOptions } from '../control/parse.ts';
import type { RunRules } from '../delivery/rules.ts';
import { recipientAddress } from '../plan/address.ts';
import { isDue } from '../plan/due.ts';
import type { Schedule } from '../plan/schedule.ts';
import { isGivenUp } from '../plan/schedule.ts';
import { withPseudonyms } from '../replay/anonymise.ts';
import { checkTranscript } from '../replay/check.ts';
import { isExport, messageIn } from '../replay/export.ts';
import { withoutData } from '../replay/live.ts';
import { recordedWorld } from '../replay/recorded-world.ts';
import type { Play } from '../replay/simulate.ts';
import { perform, simulate } from '../replay/simulate.ts';
import type { Story } from '../replay/story.ts';
import { storyOf } from '../replay/story.ts';
import type { ControlSubject, Subject } from '../replay/subject.ts';
import { subjectOf } from '../replay/subject.ts';
import type { Transcript } from '../replay/transcript.ts';
import { tableVersion } from '../replay/transcript.ts';
import type { WorldScript } from '../replay/world.ts';
import { readWorld, WORLDS } from '../replay/worlds.ts';
import { replayPage } from '../report/html/page.ts';
import { listTextOf, textAfter } from '../report/list-text.ts';
import { calendar, forPeople, harmless } from '../report/people.ts';
import { factsOf } from '../report/queue-table.ts';
import type { ReplaySources } from '../report/replay-report.ts';
import { reportOf } from '../report/replay-report.ts';
import { replayText } from '../report/replay-text.ts';
import { codeOf, phraseOf } from '../room/directory/trouble.ts';
import type { PayloadRead } from '../room/room.ts';
import type { Setting, Settings } from '../settings/table.ts';
import { SETTINGS } from '../settings/table.ts';
import type { Trouble } from './background.ts';
import { clockFor, loadRules, realPorts, trouble } from './background.ts';
import type { Command, Invocation } from './command.ts';
import { saysYes, somebodySits } from './consent.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { exportedJob, exportedQueue, exportedQueueText, piecesOf } from './replay-export.ts';

export const command: Command = async (invocation) => {
  const done = await replay(invocation);
  if (typeof done === 'number') return done;
  invocation.terminal.tell(`spoolroom: ${done.text}`);
  return done.exit;
};

async function replay(invocation: Invocation): Promise<ExitCode | Trouble> {
  const { options, settings } = invocation;
  const place = placeOf(invocation);
  if ('kind' in place) return place;
  const bytes = readSource(place.file);
  if (bytes === 'export') return fromExport(place.file, invocation);
  if ('kind' in bytes) return bytes;
  if (options.job !== undefined) {
    return trouble(
      `${place.file} is no exported server, so no number of a job goes with it; \`--spool DIR N\` names one in a spool.`,
      EXIT.usage,
    );
  }
  const subject = subjectOf(bytes, place.control, parseOptions(settings));
  switch (subject.kind) {
    case 'unusable':
      return trouble(`${place.file} ${harmless(subject.reason)}.`, EXIT.data);
    case 'transcript':
      if (options.check === true) return check(subject.transcript, invocation);
      if (typeof options['save-fixture'] === 'string') {
        return saveFixture(subject.transcript, options['save-fixture'], invocation);
      }
      return tell(await fromTranscript(subject.transcript, place.file, invocation), invocation);
    case 'control':
      if (options.check === true || options['save-fixture'] !== undefined) {
        return trouble(
          `${place.file} is a control message; --check and --save-fixture take a transcript.`,
          EXIT.usage,
        );
      }
      return tell(await fromControl(subject, originOf(place), invocation), invocation);
  }
}

function parseOptions(settings: Settings): ParseOptions {
  return { dialect: 'detect', fallback: settings.dialect };
}

interface Place {
  readonly file: string;
  /** where the mail lies, and whether it is a spool in which it must lie */
  readonly folder: string;
  readonly spool: boolean;
  readonly control: number;
}

function placeOf({ options, settings }: Invocation): Place | Trouble {
  const file = String(options.file);
  const inSpool = settings.spool !== null && /^\d+$/.test(file);
  const path = inSpool ? join(settings.spool ?? '', file) : file;
  const number = /^\d{1,15}$/.test(basename(path)) ? Number(basename(path)) : 0;
  return { file: path, folder: dirname(path), spool: inSpool, control: number };
}

function readBytes(file: string): Buffer | Trouble {
  try {
    return readFileSync(file);
  } catch (error) {
    return cannotRead(file, error);
  }
}

function cannotRead(file: string, error: unknown): Trouble {
  const code = codeOf(error);
  if (code === null) throw error;
  const exit = code === 'ENOENT' ? EXIT.noInput : code === 'EACCES' ? EXIT.noPermission : EXIT.io;
  return trouble(`${file} cannot be read: ${phraseOf(error)}.`, exit);
}

/** Enough to know an export by. */
const HEAD = 256;

/** All of the file, unless it is an export, which may be larger than memory. What came from a pipe is not read twice. */
function readSource(file: string): Buffer | 'export' | Trouble {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    const buffer = Buffer.alloc(HEAD);
    const head = buffer.subarray(0, readSync(descriptor, buffer));
    if (!isExport(head)) return Buffer.concat([head, readFileSync(descriptor)]);
    if (fstatSync(descriptor).isFile()) return 'export';
    return trouble(
      `${file} is an exported server, which is read twice: write it into a file first.`,
      EXIT.data,
    );
  } catch (error) {
    return cannotRead(file, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

async function fromExport(file: string, invocation: Invocation): Promise<ExitCode | Trouble> {
  const { options, settings } = invocation;
  if (options.check === true || options['save-fixture'] !== undefined) {
    return trouble(
      `${file} is an exported server; --check and --save-fixture take a transcript.`,
      EXIT.usage,
    );
  }
  if (options.job === undefined) return listExport(file, invocation);
  const job = String(options.job);
  if (!/^\d{1,15}$/.test(job)) return trouble(`${harmless(job)} is not the number of a job.`, EXIT.usage);
  const found = await reading(file, () => exportedJob(file, Number(job), parseOptions(settings)));
  if (found.kind === 'trouble') return found;
  const origin: Origin = {
    title: `Control message ${job} of ${file}`,
    notes: found.problems.map(harmless),
    payload: (msgid) =>
      reading(file, async () => {
        const bytes = await messageIn(piecesOf(file), msgid);
        return {
          kind: 'payload',
          read: bytes === null ? missing(msgid, 'export') : stored(msgid, bytes),
          notes: [],
        };
      }),
  };
  return tell(await fromControl(found.subject, origin, invocation), invocation);
}

async function reading<T>(file: string, read: () => Promise<T>): Promise<T | Trouble> {
  try {
    return await read();
  } catch (error) {
    return cannotRead(file, error);
  }
}

async function listExport(file: string, { settings, terminal }: Invocation): Promise<ExitCode | Trouble> {
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const now = Math.floor(clockFor(settings).now() / 1000);
  const readable = forPeople(rules.render.legacy);
  const queue = await reading(file, () =>
    exportedQueue(file, parseOptions(settings), ({ queued }) =>
      factsOf(queued, [queued], now, rules.due.schedule, readable),
    ),
  );
  if ('kind' in queue) return queue;
  terminal.print(settings.json ? JSON.stringify(queue) : exportedQueueText(queue));
  return EXIT.ok;
}

function check({ header, lines }: Transcript, { terminal, settings }: Invocation): ExitCode {
  const difference = checkTranscript({ header, lines, cut: false });
  const steps = lines.filter(({ what }) => what === 'session' || what === 'delivery').length;
  const sameTables = header.tables === tableVersion();
  if (settings.json) terminal.print(JSON.stringify({ steps, sameTables, difference }));
  else if (difference === null) {
    terminal.print(
      `The same way: ${steps} steps${sameTables ? '' : ', recorded under other tables'}, no difference.`,
    );
  } else {
    const shown = (value: unknown): string => harmless(JSON.stringify(value));
    terminal.print(
      [
        `Line ${difference.line} leads another way${sameTables ? '' : ' (recorded under other tables)'}:`,
        `  event     ${shown(difference.event)}`,
        `- recorded  ${shown(difference.recorded)}`,
        `+ now       ${shown(difference.taken)}`,
      ].join('\n'),
    );
  }
  return difference === null ? EXIT.ok : EXIT.difference;
}

/** A transcript that the test suite can take: aliases for names and addresses, and still the same way. */
function saveFixture(
  transcript: Transcript,
  name: string,
  { options, terminal }: Invocation,
): ExitCode | Trouble {
  const text = withPseudonyms(transcript, options['keep-addresses'] === true);
  const file = name.endsWith('.jsonl') ? name : `${name}.jsonl`;
  const read = subjectOf(Buffer.from(text), 0, { dialect: 'detect', fallback: '2012' });
  if (read.kind !== 'transcript' || checkTranscript(read.transcript) !== null) {
    return trouble(
      `The transcript does not lead the same way any more (replay it with --check), so ${file} was not written.`,
      EXIT.data,
    );
  }
  const written = write(file, text);
  if (written !== null) return written;
  terminal.print(`Written: ${file}. It belongs into fixtures/transcripts/.`);
  return EXIT.ok;
}

function write(file: string, text: string): Trouble | null {
  try {
    writeFileSync(file, text, { flag: 'w' });
    return null;
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return trouble(`${file} cannot be written: ${phraseOf(error)}.`, EXIT.cannotCreate);
  }
}

type Told = { readonly kind: 'told'; readonly sources: ReplaySources; readonly rules: RunRules } | Trouble;

function tell(told: Told, { options, settings, terminal }: Invocation): ExitCode | Trouble {
  if (told.kind === 'trouble') return told;
  const report = reportOf(told.sources, forPeople(told.rules.render.legacy));
  if (typeof options.html === 'string') {
    const written = write(options.html, replayPage(report, told.sources.story));
    if (written !== null) return written;
  }
  terminal.print(settings.json ? JSON.stringify(report) : replayText(report, terminal.interactive));
  return EXIT.ok;
}

/** `--set name=value`, over whatever else the settings say. */
function withSets(settings: Settings, given: unknown): Settings | Trouble {
  const changed: { [name: string]: unknown } = { ...settings };
  for (const pair of Array.isArray(given) ? given : given === undefined ? [] : [given]) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(String(pair)) ?? [];
    if (!Object.hasOwn(SETTINGS, name)) {
      return trouble(
        `--set ${harmless(String(pair))}: write NAME=VALUE with the name of a setting.`,
        EXIT.usage,
      );
    }
    const { kind }: Setting<unknown> = SETTINGS[name as keyof typeof SETTINGS];
    const read = kind.read(value);
    if (!read.ok) return trouble(`--set ${name}: the value ${read.problem}.`, EXIT.usage);
    changed[name] = read.value;
  }
  return changed as Settings;
}

function worldNamed(name: string): WorldScript | Trouble {
  if (Object.hasOwn(WORLDS, name)) return WORLDS[name as keyof typeof WORLDS];
  const bytes = readBytes(name);
  if ('kind' in bytes) {
    return trouble(
      `No world is called ${name} (there are ${Object.keys(WORLDS).join(', ')}), and ${bytes.text}`,
      bytes.exit,
    );
  }
  const read = readWorld(bytes.toString('utf8'));
  if (read.kind === 'world') return read.world;
  return trouble(`The world file ${name} cannot be used: ${read.reason}.`, EXIT.data);
}

async function fromTranscript(transcript: Transcript, file: string, invocation: Invocation): Promise<Told> {
  const { options, settings: given } = invocation;
  const { header, cut } = transcript;
  const recorded: Settings = {
    ...given,
    ...header.settings,
    hostname: header.settings.hostname ?? header.hostname,
  };
  const settings = withSets(recorded, options.set);
  if ('kind' in settings) return settings;
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const now = movedTime(header.at, given.now);
  const { story, notes } = await retold(transcript, rules, now, invocation);
  if ('kind' in story) return story;
  const schedule = rules.due.schedule;
  const { job } = header;
  const seconds = Math.floor(now / 1000);
  const sources = {
    title: `Transcript ${file} of job ${header.control}, recorded ${calendar(Math.floor(header.at / 1000))}`,
    job,
    warnings: cut ? ['Its last line is cut off: the program ended while it was written.'] : [],
    now: seconds,
    schedule,
    due: isDue(job, seconds, { schedule, force: false }).reason,
    routing: rules.dispatch.routing,
    story,
    before: listTextOf(job),
    after: textAfter(job, story, seconds, schedule.retry),
    notes,
  };
  return { kind: 'told', sources, rules };
}

function movedTime(at: number, now: Settings['now']): number {
  if (now === null) return at;
  return 'shift' in now ? at + now.shift : now.at * 1000;
}

/** As it was; or, where something is asked to be different, as it would have been. */
async function retold(
  transcript: Transcript,
  rules: RunRules,
  now: number,
  { options, settings }: Invocation,
): Promise<{ readonly story: Story | Trouble; readonly notes: readonly string[] }> {
  const { header } = transcript;
  const changed = options.set !== undefined || options.world !== undefined || settings.now !== null;
  if (!changed) {
    const difference = checkTranscript(transcript);
    const note = `From line ${difference?.line} on the machines would go another way now; --check shows it.`;
    return { story: storyOf(transcript), notes: difference === null ? [] : [note] };
  }
  const world = options.world === undefined ? recordedWorld(transcript) : worldNamed(String(options.world));
  if ('kind' in world) return { story: world, notes: [] };
  const recipients = header.job.recipients.map((recipient, index) =>
    header.indices.includes(index) ? { ...recipient, status: 0 } : { ...recipient, status: 2 },
  );
  const queued = { control: header.control, job: { ...header.job, recipients }, warnings: [] };
  const size = transcript.lines.find((line) => line.what === 'body')?.size ?? 400;
  const story = await simulate(
    { queued, payload: standIn(size, header.job.envelopeFrom), rules, now },
    world,
  );
  return { story, notes: ['This did not happen: it is what would have happened.'] };
}

/** Where a control message was found. */
interface Origin {
  readonly title: string;
  readonly notes: readonly string[];
  payload(msgid: number): Promise<Payload | Trouble>;
}

interface Payload {
  readonly kind: 'payload';
  readonly read: PayloadRead;
  readonly notes: readonly string[];
}

function originOf(place: Place): Origin {
  return {
    title: `Control message ${place.file}`,
    notes: [],
    payload: async (msgid) => payloadFor(msgid, place),
  };
}

async function fromControl(subject: ControlSubject, origin: Origin, invocation: Invocation): Promise<Told> {
  const { options } = invocation;
  const settings = withSets(invocation.settings, options.set);
  if ('kind' in settings) return settings;
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const clock = clockFor(settings);
  const { job, warnings } = subject.queued;
  const payload = await origin.payload(job.msgid);
  if (payload.kind === 'trouble') return payload;
  const play: Play = { queued: subject.queued, payload: payload.read, rules, now: clock.now() };
  const world = worldNamed(typeof options.world === 'string' ? options.world : 'accept');
  if ('kind' in world) return world;
  const live = options.live === true;
  const refused = live ? await consent(subject, invocation) : null;
  if (refused !== null) return refused;
  const story = live ? await liveStory(play, settings) : await simulate(play, world);
  const now = Math.floor(play.now / 1000);
  const schedule = rules.due.schedule;
  const sources = {
    title: `${origin.title}: ${subject.bytes} bytes, ${FORMS[subject.form]}`,
    job,
    warnings,
    now,
    schedule,
    due: isDue(job, now, { schedule, force: false }).reason,
    routing: rules.dispatch.routing,
    story,
    before: subject.text,
    after: textAfter(job, story, now, schedule.retry),
    notes: [
      live
        ? 'Real DNS, real servers, up to DATA; nothing was sent and nothing is written.'
        : `A simulated world (${options.world ?? 'accept'}); nothing was sent and nothing is written.`,
      ...origin.notes,
      ...payload.notes,
      ...(tooOld(play, story, schedule) ? [TOO_OLD] : []),
    ],
  };
  return { kind: 'told', sources, rules };
}

const TOO_OLD =
  'The mail is older than mail is kept: after this failure it would be given up and its sender told.';

function tooOld({ queued, now }: Play, { outcomes }: Story, schedule: Schedule): boolean {
  const waits = outcomes.some(({ verdict }) => verdict.kind === 'failed' && !verdict.permanent);
  return waits && isGivenUp(queued.job, Math.floor(now / 1000), schedule);
}

const FORMS = {
  native: 'Citadel’s serialized form',
  rfc822: 'text with a header',
  bare: 'text with Citadel’s one header line',
} as const;

/** In a spool a mail that is missing is a finding; beside a single file it is not expected. */
function payloadFor(msgid: number, { folder, spool }: Place): Payload {
  const file = join(folder, String(msgid));
  const bytes = readBytes(file);
  if (!('kind' in bytes)) return { kind: 'payload', read: stored(msgid, bytes), notes: [] };
  if (spool) return { kind: 'payload', read: missing(msgid, 'spool'), notes: [] };
  return {
    kind: 'payload',
    read: standIn(400, null),
    notes: [`The mail itself (${file}) is not here; a stand-in takes its place.`],
  };
}

function missing(msgid: number, where: 'spool' | 'export'): PayloadRead {
  return { kind: 'missing', reason: `the message ${msgid} is not in the ${where}` };
}

function stored(msgid: number, bytes: Buffer): PayloadRead {
  return bytes.length === 0 ? { kind: 'empty', reason: `the message ${msgid} is empty` } : whole(bytes);
}

function whole(bytes: Buffer): PayloadRead {
  async function* stream(): AsyncGenerator<Buffer> {
    yield bytes;
  }
  return { kind: 'found', message: { size: bytes.length, bytes, stream } };
}

/** A message of about this many bytes. */
function standIn(size: number, from: string | null): PayloadRead {
  const head = `From: ${from ?? 'stand-in@localhost'}\r\nSubject: stand-in\r\n\r\n`;
  const line = 'A stand-in for a mail that is not here.\r\n';
  const lines = Math.max(1, Math.floor((Math.min(size, 200_000) - head.length) / line.length));
  return whole(Buffer.from(head + line.repeat(lines), 'latin1'));
}

/** Nobody is contacted unasked. */
async function consent(
  { queued }: Extract<Subject, { kind: 'control' }>,
  { options, terminal }: Invocation,
): Promise<Trouble | null> {
  if (options.yes === true) return null;
  const domains = queued.job.recipients.flatMap(({ address }) => {
    const read = recipientAddress(address);
    return read.kind === 'address' ? [read.domain] : [];
  });
  const who = harmless([...new Set(domains)].join(', '));
  if (!somebodySits(terminal)) {
    return trouble(
      `--live contacts the mail servers of ${who}; say --yes if they may be contacted.`,
      EXIT.usage,
    );
  }
  return (await saysYes(terminal, `Contact the mail servers of ${who}, up to RCPT TO?`))
    ? null
    : trouble('Nobody was contacted.', EXIT.ok);
}

function liveStory(play: Play, settings: Settings): Promise<Story> {
  const ports = realPorts(settings, clockFor(settings));
  const never = new Promise<string>(() => {});
  return perform(play, { ...ports, connect: withoutData(ports.connect) }, never, (done) => done);
}
