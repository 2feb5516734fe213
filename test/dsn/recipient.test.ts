import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dsnRecipient, dsnRecipients } from '../../src/dsn/recipient.ts';
import { emptyJob } from '../support/jobs.ts';

const FQDN = 'citadel.example.org';
const AIDE = 'room_aide@citadel.example.org';
const SITE = { fqdn: FQDN, aide: AIDE };

const FORMS: readonly (readonly [bounceto: string | null, address: string | null])[] = [
  ['alice', 'alice@citadel.example.org'],
  ['  alice ', 'alice@citadel.example.org'],
  ['Alice Archer', 'Alice_Archer@citadel.example.org'],
  ['alice@citref', 'alice@citref'],
  ['Alice Archer@citref', 'Alice_Archer@citref'],
  ['"Alice" <alice@vm>', 'alice@vm'],
  ['Alice Archer@citadel.example.org', 'Alice_Archer@citadel.example.org'],
  ['Alice Archer@(null)', 'Alice_Archer@citadel.example.org'],
  ['alice@CITADEL.example.org', 'alice@CITADEL.example.org'],
  ['bob@example.com', 'bob@example.com'],
  ['Bob <bob@example.com>', 'bob@example.com'],
  ['bob@[192.0.2.1]', 'bob@[192.0.2.1]'],
  ['j\xc3\xbcrgen@example.com', 'j\xc3\xbcrgen@example.com'],
  ['', null],
  [null, null],
  [' ', null],
  ['<>', null],
  ['(null)', null],
  ['(null)@(null)', null],
  ['(null)@citref', null],
  ['@citref', null],
  ['<alice', null],
  ['alice\r\nRCPT TO: x@example.com', null],
  ['j\xfcrgen', null],
  ['a'.repeat(5000), null],
];

describe('whom a report goes to', () => {
  for (const [bounceto, address] of FORMS) {
    it(`bounceto ${JSON.stringify(bounceto?.slice(0, 40) ?? null)} is ${address}`, () => {
      assert.equal(dsnRecipient(bounceto, FQDN), address);
    });
  }

  it('is the Aide room when the list names nobody (R001)', () => {
    const job = { ...emptyJob('2012'), bounceto: '(null)@(null)' };
    assert.deepEqual(dsnRecipients(job, SITE), [AIDE]);
  });

  it('is the Aide room after whom the list names', () => {
    const job = { ...emptyJob('2012'), bounceto: 'alice', envelopeFrom: 'x@example.com' };
    assert.deepEqual(dsnRecipients(job, SITE), ['alice@citadel.example.org', AIDE]);
  });

  it('is the envelope sender of list mail before its poster (R028)', () => {
    const job = { ...emptyJob('2012'), bounceto: 'alice', envelopeFrom: AIDE, sourceRoom: 'Announce' };
    assert.deepEqual(dsnRecipients(job, SITE), [AIDE, 'alice@citadel.example.org']);
  });
});
