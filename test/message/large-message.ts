/** Renders a generated message of some megabytes and prints how far memory grew. A process of its own: see outgoing.test.ts. */
import { prepareOutgoing } from '../../src/message/outgoing.ts';
import { latin1, OPTIONS } from './support.ts';

const [form = 'text', megabytes = '1'] = process.argv.slice(2);
const line = 'a line of an ordinary mail, sixty bytes or so with its end\n';
const BEGIN: Readonly<Record<string, string>> = {
  'native-1': '\xffA\x01Aalice\0M',
  'native-4': '\xffA\x04Aalice\0MX: y\n\n',
  text: 'From: a@b\n\n',
  'text-one-line': 'From: a@b\n\n',
  'text-all-header': 'X-Header: ',
  'seven-bit':
    'Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n\xfc\n--b\nContent-Type: image/x\n\n\xff',
};
const piece = latin1(
  (form === 'text-one-line'
    ? line.replace('\n', ' ')
    : form === 'text-all-header'
      ? `X-Line: ${line}`
      : line
  ).repeat(1100),
);

async function* stream(): AsyncGenerator<Buffer> {
  yield latin1(BEGIN[form] ?? '');
  for (let sent = 0; sent < Number(megabytes) * 1_050_000; sent += piece.length) yield Buffer.from(piece);
  if (form.startsWith('native')) yield latin1('\0');
}

const before = process.memoryUsage().rss;
let peak = before;
const look = (): void => {
  peak = Math.max(peak, process.memoryUsage().rss);
};
const watched = async function* (): AsyncGenerator<Buffer> {
  for await (const each of stream()) {
    look();
    yield each;
  }
};
const made = await prepareOutgoing(
  { size: Number(megabytes) * 1_050_000, bytes: null, stream: watched },
  OPTIONS,
);
let size = 0;
const sent = made.kind === 'outgoing' && form === 'seven-bit' ? await made.sevenBit() : made;
if (sent?.kind === 'outgoing') for await (const each of sent.chunks()) size += each.length;
look();
process.stdout.write(JSON.stringify({ size, growth: Math.round((peak - before) / 1_048_576) }));
