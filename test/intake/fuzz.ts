/**
 * `npm run fuzz:intake -- --seed N --runs M`: random conversations with the intake. Each is sent ahead whole and in random
 * pieces, and must be the same conversation; every reply must be one, and every acknowledged message be in the queue. Where
 * Postfix is installed and we are root, each is also held step by step with its smtpd and with the intake, and their verdicts
 * are compared: techdoc/intake-states.md lists the differences and their reasons. Prints the seed; exit status 1 on a finding.
 */
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { INTAKE_DEFAULTS, startIntake } from '../../src/intake/listener.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { seeded } from '../conformance/fuzz.ts';
import { Conversation } from './conversation.ts';
import {
  converse,
  type Dialogue,
  HOSTNAME,
  type Random,
  randomDialogue,
  SIZE,
  steps,
  violation,
} from './dialogues.ts';
import { memoryRoom } from './intake.ts';
import { type Reference, startReference } from './postfix.ts';

/** Commands of one dialogue; fewer than the refusals after which either server hangs up. */
const MOST = 9;

function cut(said: string, random: Random): readonly string[] {
  const places = Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * said.length));
  const ends = [0, ...places.sort((a, b) => a - b), said.length];
  return ends.slice(1).map((end, index) => said.slice(ends[index], end));
}

/** Null: all is as it must be. */
export async function checkDialogue(dialogue: Dialogue, random: Random): Promise<string | null> {
  const said = dialogue.join('');
  const whole = await converse([said], tmpdir());
  return violation(whole, await converse(cut(said, random), tmpdir()));
}

/** Milliseconds after which a server is silent. */
const SILENT = 5000;

async function replyOf(client: Conversation): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('silent'), SILENT);
  });
  const reply = await Promise.race([client.reply(), silence]);
  clearTimeout(timer);
  return reply ?? 'closed';
}

interface Said {
  readonly line: string;
  readonly reply: string;
}

/** The conversation step by step. Texts of messages are said only where they are asked for. */
async function lockStep(dialogue: Dialogue, address: string): Promise<readonly Said[]> {
  const client = await Conversation.with(address);
  const said: Said[] = [{ line: '(connect)\n', reply: await replyOf(client) }];
  let isData = false;
  for (const [index, line] of dialogue.entries()) {
    const isText = /^DATA\r?\n?$/i.test(dialogue[index - 1] ?? '');
    if (isText && !isData) continue;
    client.send(line);
    const reply = await replyOf(client);
    said.push({ line, reply });
    if (!/^\d/.test(reply)) break;
    isData = reply.startsWith('3') && !isText;
    // A text that is not there, or another server's DATA: from here on it would be another conversation.
    if (isData && !/^DATA\r?\n?$/i.test(line)) break;
  }
  client.drop();
  return said;
}

/** What a reply means for the client: the first digit, or that there is none. */
function verdict(reply: string | undefined): string {
  return reply === undefined ? 'closed' : /^\d/.test(reply) ? `${reply[0]}yz` : reply;
}

interface Pair {
  readonly line: string;
  readonly ours: string;
  readonly theirs: string;
  /** all that was said before */
  readonly before: string;
}

/** Differences that are meant, and why. The first that applies is counted. Listed in techdoc/intake-states.md. */
export const DIFFERENCES: readonly { readonly reason: string; readonly applies: (pair: Pair) => boolean }[] =
  [
    {
      reason: 'Parameters that were not offered are ignored; Postfix refuses them, or looks at them.',
      applies: ({ line, ours, theirs }) =>
        ours.startsWith('250') &&
        (theirs.startsWith('555') || (/notify|ret=/i.test(line) && theirs.startsWith('501'))),
    },
    {
      reason: 'An HTTP request ends the connection with 421; Postfix says 221.',
      applies: ({ ours }) => ours.startsWith('421 4.7.0 This is a mail server'),
    },
    {
      reason: 'A line that begins with no letter, or looks like a header, is refused; Postfix hangs up.',
      applies: ({ ours, theirs }) => /^50[01]/.test(ours) && theirs.startsWith('221 2.7.0'),
    },
    {
      reason: 'Blanks before a command make it an unknown one; Postfix skips them.',
      applies: ({ line, ours, before }) =>
        ours.startsWith('500') && (/^[ \t\r]/.test(line) || /^[ \t]+bdat/im.test(before)),
    },
    {
      reason: 'A blank before the colon of MAIL and RCPT is accepted, as after it; Postfix refuses it.',
      applies: ({ line, ours, theirs }) =>
        /^\w{4} \w+[ \t]+:/.test(line) && ours.startsWith('250') && theirs.startsWith('501'),
    },
    {
      reason: 'HELP is answered; Postfix does not know it.',
      applies: ({ line, ours }) => /^help/i.test(line) && ours.startsWith('214'),
    },
    {
      reason:
        'An address that the queue could not deliver to, or keep, is refused at once; Postfix finds out later.',
      applies: ({ ours, theirs }) => ours.startsWith('553') && theirs.startsWith('250'),
    },
    {
      reason: 'A control character in a command is bad syntax; Postfix skips it, or keeps it in the address.',
      applies: ({ line, ours, theirs }) =>
        /[\0-\x1f]/.test(line.replace(/\r?\n.*$/s, '')) && /^50[01]/.test(ours) && /^[23]/.test(theirs),
    },
    {
      reason: 'A bracket within an address is bad syntax; Postfix takes it.',
      applies: ({ line, ours, theirs }) =>
        /<.*<|>.*>/.test(line) && ours.startsWith('501') && theirs.startsWith('250'),
    },
    {
      reason: 'VRFY says 252 to any address without looking at it; Postfix looks.',
      applies: ({ line, ours }) => /^vrfy/i.test(line) && ours.startsWith('252'),
    },
    {
      reason: 'A host name is one word without control characters; Postfix takes any text.',
      applies: ({ line, ours, theirs }) =>
        /^[ehl]+lo/i.test(line) && ours.startsWith('501') && theirs.startsWith('250'),
    },
    {
      reason: 'Bytes that are no UTF-8 are looked at in addresses only; Postfix refuses every such command.',
      applies: ({ ours, theirs }) => ours.startsWith('250') && theirs.includes('UTF-8'),
    },
    {
      reason: 'A domain without a dot may be a host of this site; Postfix was told to refuse it.',
      applies: ({ ours, theirs }) => ours.startsWith('250') && theirs.startsWith('504'),
    },
    {
      reason: 'A refused chunk changes nothing; with Postfix it ends the transaction, or RSET has to.',
      applies: ({ ours, theirs, before }) =>
        /^bdat \d+/im.test(before) &&
        (/after BDAT|need MAIL|need RCPT|no valid recipients/i.test(theirs) ||
          /open already|Need MAIL/.test(ours)),
    },
    {
      reason:
        'After a BDAT without a size the connection ends. Postfix reads some of them otherwise, behind blanks too.',
      applies: ({ ours, theirs, before }) => [ours, theirs].includes('closed') && /^\W*bdat\W/im.test(before),
    },
    {
      reason: 'A MAIL refused for its SIZE changes nothing; Postfix remembers the size for the next one.',
      applies: ({ theirs, before }) => theirs.startsWith('552') && /SIZE=20000/i.test(before),
    },
  ];

interface Difference extends Pair {
  readonly dialogue: Dialogue;
  readonly reason: string | null;
}

async function compare(dialogue: Dialogue, ours: string, theirs: string): Promise<Difference | null> {
  const said = steps(dialogue);
  const [mine, reference] = await Promise.all([lockStep(said, ours), lockStep(said, theirs)]);
  for (const [index, { line, reply }] of mine.entries()) {
    const other = reference[index]?.reply;
    if (verdict(reply) === verdict(other)) continue;
    const before = mine
      .slice(0, index)
      .map((step) => step.line)
      .join('');
    const pair: Pair = { line, ours: reply, theirs: other ?? 'closed', before };
    const known = DIFFERENCES.find(({ applies }) => applies(pair));
    return { ...pair, dialogue, reason: known?.reason ?? null };
  }
  return null;
}

async function compareAll(seed: number, runs: number, postfix: Reference): Promise<boolean> {
  const intake = await startIntake(
    {
      ...INTAKE_DEFAULTS,
      listen: '127.0.0.1:0',
      hostname: HOSTNAME,
      size: SIZE,
      scratch: tmpdir(),
      window: 0,
    },
    {
      queue: memoryRoom(),
      clock: systemClock,
      events: { queued() {}, refused() {}, loginFailed() {}, warning() {} },
    },
  );
  if (intake.kind === 'refused') throw new Error(intake.text);
  const random = seeded(seed);
  const counts = new Map<string, number>();
  const unexplained: Difference[] = [];
  let left = runs;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const found = await compare(randomDialogue(random, MOST), intake.address, `127.0.0.1:${postfix.port}`);
      if (found === null) continue;
      if (found.reason === null) unexplained.push(found);
      else counts.set(found.reason, (counts.get(found.reason) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  await intake.close();
  for (const [reason, count] of counts) console.log(`${count} x ${reason}`);
  for (const { dialogue, line, ours, theirs } of unexplained.slice(0, 20)) {
    console.log(`DIFFERENT: ${JSON.stringify(line.slice(0, 200))}\n  intake:  ${ours}\n  Postfix: ${theirs}`);
    console.log(`  in ${JSON.stringify(dialogue).slice(0, 1000)}`);
  }
  const explained = [...counts.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${runs} dialogues with Postfix ${postfix.version}: ${explained} known differences, ${unexplained.length} unknown`,
  );
  return unexplained.length === 0;
}

async function checkAll(seed: number, runs: number): Promise<boolean> {
  const random = seeded(seed);
  let bad = 0;
  for (let run = 0; run < runs; run++) {
    const dialogue = randomDialogue(random, MOST + Math.floor(random() * 20));
    const found = await checkDialogue(dialogue, random);
    if (found !== null && ++bad <= 10) console.log(`${found}: ${JSON.stringify(dialogue)}`);
  }
  console.log(`${runs} dialogues with the intake alone: ${bad} violations`);
  return bad === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string' } } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const runs = Number(values.runs ?? 10_000);
  console.log(`seed ${seed}, ${runs} dialogues`);
  let good = await checkAll(seed, runs);
  const postfix = await startReference(SIZE);
  if (postfix === null) console.log('Postfix is not installed, or we are not root: not compared');
  else {
    try {
      good = (await compareAll(seed, runs, postfix)) && good;
    } finally {
      postfix.close();
    }
  }
  process.exitCode = good ? 0 : 1;
}
