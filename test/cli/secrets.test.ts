import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { command as run } from '../../src/cli/commands/run.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { certificates } from '../support/certificates.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';
import { listFor, MAIL, NOW, spoolOf } from '../support/spool.ts';

/** The secret of a relay must not be found anywhere afterwards: log, transcripts, lists. */

const USER = 'mail-user';
const SECRET = 'open:se same@42%';
const CA = fileURLToPath(new URL('../../fixtures/certificates/ca.crt', import.meta.url));

const SHAPES = [
  SECRET,
  encodeURIComponent(SECRET),
  ...[SECRET, `\0${USER}\0${SECRET}`].map((text) => Buffer.from(text).toString('base64')),
];

function everyFile(folder: string): readonly string[] {
  return fs
    .readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

for (const [what, users, delivered] of [
  ['accepted', { [USER]: SECRET }, true],
  ['refused', { [USER]: 'another one' }, false],
] as const) {
  describe(`credentials that are ${what}`, () => {
    it('are nowhere to be found after the run', async (t) => {
      const server = await startSmtpServer({ name: 'localhost', starttls: certificates.mail, users });
      t.after(() => server.close());
      const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@example.com') });
      const caught = caughtTerminal();
      await perform(
        run,
        invocation(caught, {
          spool,
          now: String(NOW + 60),
          smarthost: [`${USER}:${encodeURIComponent(SECRET)}@127.0.0.1:${server.port}`],
          'tls-ca': [CA],
          transcripts: 'all',
          'log.target': path.join(spool, 'log.tmp'),
          'log.level': 'debug',
          'log.format': 'json',
        }),
      );
      assert.equal(server.accepted.length, delivered ? 1 : 0);
      if (delivered) assert.deepEqual([server.accepted[0]?.user, server.accepted[0]?.secure], [USER, true]);
      else assert.match(fs.readFileSync(path.join(spool, '2'), 'latin1'), /\|4\|.*535/);
      const files = everyFile(spool);
      assert.ok(
        files.some((file) => file.includes('transcripts')),
        'there is a transcript to search',
      );
      for (const file of files) {
        const text = fs.readFileSync(file, 'latin1');
        for (const shape of SHAPES) assert.ok(!text.includes(shape), `${file} holds ${shape}`);
      }
      for (const shape of SHAPES) assert.ok(!caught.errors.concat(caught.printed).join().includes(shape));
    });
  });
}

for (const [what, entry] of [
  [
    'relays',
    (port: number) => ({
      to: 'example.com',
      relays: [`${USER}:${encodeURIComponent(SECRET)}@127.0.0.1:${port}`],
    }),
  ],
  ['credentials', () => ({ host: '127.0.0.1', credentials: `${USER}:${encodeURIComponent(SECRET)}` })],
] as const)
  it(`the ${what} of an entry of destinations are used, and nowhere to be found after the run`, async (t) => {
    const server = await startSmtpServer({
      name: 'localhost',
      starttls: certificates.mail,
      users: { [USER]: SECRET },
    });
    t.after(() => server.close());
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@example.com') });
    const caught = caughtTerminal();
    await perform(
      run,
      invocation(caught, {
        spool,
        now: String(NOW + 60),
        smarthost: [`127.0.0.1:${server.port}`],
        destinations: [entry(server.port)],
        'tls-ca': [CA],
        transcripts: 'all',
        'log.target': path.join(spool, 'log.tmp'),
        'log.level': 'debug',
      }),
    );
    assert.deepEqual([server.accepted[0]?.user, server.accepted[0]?.secure], [USER, true]);
    for (const file of everyFile(spool)) {
      const text = fs.readFileSync(file, 'latin1');
      for (const shape of SHAPES) assert.ok(!text.includes(shape), `${file} holds ${shape}`);
    }
    for (const shape of SHAPES) assert.ok(!caught.errors.concat(caught.printed).join().includes(shape));
  });
