/**
 * DKIM: what signatures add to the delivery of small and large messages, and a message all the way from the client to the next
 * server, beside Postfix with opendkim, which signs when it accepts.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, counted, type Place, type Section, scaled, withPostfix } from './context.ts';
import { withIntake } from './intake.ts';
import { inTime, messageText, SENDER } from './load.ts';
import type { Comparison, Contender } from './measure.ts';
import { startOpendkim } from './opendkim.ts';
import { DELIVERING } from './postfix-queue.ts';
import { cpuOfTree } from './process.ts';
import { spoolroomRun } from './spoolroom.ts';
import { submit } from './submit.ts';

const DOMAIN = SENDER.slice(SENDER.indexOf('@') + 1);
const LARGE = 200;
const CONNECTIONS = 20;

interface Keys {
  readonly rsa: string;
  readonly ed25519: string;
}

/** PEM */
function makeKeys(): Keys {
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    rsa: pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ed25519: pem(generateKeyPairSync('ed25519').privateKey),
  };
}

/** The words of the command, by what it signs with. */
function wordsFor({ folder }: Place, keys: Keys) {
  const word = (name: keyof Keys): readonly string[] => {
    const file = join(folder, `${name}.private`);
    writeFileSync(file, keys[name], { mode: 0o600 });
    return ['--dkim.key', `${DOMAIN}:${name}:${file}`];
  };
  const words = { rsa: word('rsa'), ed25519: word('ed25519') };
  return { both: [...words.rsa, ...words.ed25519], ...words, none: [] };
}

const SIGNED = { both: 'RSA and Ed25519', rsa: 'RSA', ed25519: 'Ed25519', none: 'unsigned' } as const;

/** Submitted over some connections at once; done when the sink has all of them. */
function wholeWay(
  { sink, options }: Context,
  { name, port, pids }: { name: string; port: number; pids: readonly number[] },
  each: number,
): Contender {
  const text = messageText(4096);
  let round = 0;
  const run = async () => {
    round++;
    const messages = Array.from({ length: CONNECTIONS }, (_, connection) =>
      Array.from({ length: each }, (_, n) => ({
        recipients: ['r0@bench.example'],
        text: `Message-ID: <${round}.${connection}.${n}.${options.scale}@bench.example>\n${text}`,
      })),
    );
    const { arrived } = await sink.expect(CONNECTIONS * each);
    const used = () => pids.reduce((sum, pid) => sum + cpuOfTree(pid), 0);
    const cpu = used();
    const began = performance.now();
    await Promise.all(messages.map((own) => submit(port, own)));
    await inTime(name, arrived);
    return { seconds: (performance.now() - began) / 1000, cpuSeconds: used() - cpu };
  };
  return { name, run };
}

async function* fromQueue(context: Context, place: Place, keys: Keys): AsyncGenerator<Comparison> {
  const { sink } = context;
  const words = wordsFor(place, keys);
  const megabytes = scaled(context, LARGE);
  const count = scaled(context, 2000);
  const loads = [
    { name: `${counted(count)} messages of 4 KB`, size: 4096, count },
    { name: `a message of ${megabytes} MB`, size: megabytes * 1_000_000, count: 1 },
  ];
  for (const { name, size, count: units } of loads) {
    const jobs = Array.from({ length: units }, () => ['r0@bench.example']);
    const contender = (kind: keyof typeof SIGNED): Contender =>
      spoolroomRun(`spoolroom, ${SIGNED[kind]}`, { place, sink, size, jobs }, [
        '--smarthost',
        `127.0.0.1:${sink.port}`,
        ...words[kind],
      ]);
    yield {
      name: `signing ${name}`,
      ...{ unit: 'message', units, ours: contender('both') },
      others: (['rsa', 'ed25519', 'none'] as const).map(contender),
    };
  }
}

async function* allTheWay(context: Context, place: Place, keys: Keys): AsyncGenerator<Comparison> {
  const { sink, options } = context;
  const each = scaled(context, 100);
  const watch = ['watch', '--intake', '--smarthost', `127.0.0.1:${sink.port}`];
  const opendkim = options.peers ? await startOpendkim(DOMAIN, keys.rsa) : null;
  const main = ['smtpd_client_restrictions =', `relayhost = [127.0.0.1]:${sink.port}`];
  const milter = opendkim === null ? {} : { 'tuned, opendkim': opendkim.milter };
  const configurations = Object.fromEntries(
    Object.entries({ 'tuned, unsigned': '', ...milter }).map(([name, milters]) => [
      name,
      [...DELIVERING.tuned, `smtpd_milters = ${milters}`],
    ]),
  );
  try {
    yield* withIntake(
      place,
      (plain) =>
        withIntake(
          place,
          (signing) =>
            withPostfix(context, place, configurations, main, async function* (queues) {
              const others = [...queues].map(([name, { postfix }]) => {
                const signs = opendkim !== null && name.endsWith('opendkim');
                return { name, port: postfix.port, pids: [postfix.master, ...(signs ? [opendkim.pid] : [])] };
              });
              yield {
                name: `${counted(CONNECTIONS * each)} messages of 4 KB accepted, signed by RSA and delivered`,
                unit: 'message',
                units: CONNECTIONS * each,
                ours: wholeWay(context, { name: 'spoolroom', port: signing.port, pids: [signing.pid] }, each),
                others: [{ name: 'spoolroom, unsigned', port: plain.port, pids: [plain.pid] }, ...others].map(
                  (server) => wholeWay(context, server, each),
                ),
              };
            }),
          [...watch, ...wordsFor(place, keys).rsa],
        ),
      watch,
    );
  } finally {
    opendkim?.close();
  }
}

export const signing: Section = async function* (context) {
  const [place] = context.places;
  if (place === undefined) return;
  const keys = makeKeys();
  yield* fromQueue(context, place, keys);
  yield* allTheWay(context, place, keys);
};
