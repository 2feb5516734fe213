/** The setting `destinations` as people see it: what `check` says of each entry, and `replay` of each host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command as check } from '../../src/cli/commands/check.ts';
import { command as replay } from '../../src/cli/commands/replay.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { listFor, MAIL, NOW, spoolOf } from '../support/spool.ts';

const DESTINATIONS = [
  { host: '*.one.example', sessions: 2, tls: 'opportunistic' },
  { to: 'p.example', relays: ['smtp://user:secret@127.0.0.1:9'] },
];

test('`check` explains each entry and tries its relays, and shows no password', async (t) => {
  const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'bob@one.example') });
  const caught = caughtTerminal();
  const given = {
    spool,
    destinations: DESTINATIONS,
    dns: ['127.0.0.1:9'],
    'timeout.lookup': '100ms',
    return: 'room',
  };
  await perform(check, invocation(caught, given));
  const text = caught.printed.join('\n');
  assert.match(
    text,
    /ok +destinations entry 1 +mail through any below one\.example: TLS where it is offered; at most 2 sessions/,
  );
  assert.match(text, /ok +destinations entry 2 +mail to p\.example: relays smtp:\/\/\*\*\*@127\.0\.0\.1:9/);
  assert.match(text, /warning +destinations entry 2 +\[127\.0\.0\.1\]:9 refuses connections/);
  assert.doesNotMatch(text, /secret/);
});

test('`replay` shows at each host which entries hold', async (t) => {
  const spool = spoolOf(t, {
    1: MAIL,
    2: listFor(1, 'bob@one.example'),
    3: MAIL,
    4: listFor(3, 'carol@p.example'),
  });
  const shown = async (input: string): Promise<string> => {
    const caught = caughtTerminal();
    const given = { spool, destinations: DESTINATIONS, now: String(NOW + 60) };
    await perform(replay, { ...invocation(caught, given), options: { file: input, force: true } });
    return [...caught.printed, ...caught.errors].join('\n');
  };
  assert.match(
    await shown('2'),
    /1\. mx\.one\.example \(MX, preference 10, destinations entry 1 \(mail through any below/,
  );
  const relayed = await shown('4');
  assert.match(
    relayed,
    /1\. 127\.0\.0\.1:9 \(smart host, destinations entry 2 \(mail to p\.example: relays smtp:\/\/\*\*\*@/,
  );
  assert.doesNotMatch(relayed, /secret/);
});
