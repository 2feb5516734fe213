/** Questions as they are asked, and what is read of answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, AUTHENTIC_DATA, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { questionFor, type RecordType, readAnswer } from '../../src/platform/dns/packet.ts';

const FLAGS = RECURSION_DESIRED | AUTHENTIC_DATA;

function packet(id: number, name: string, type: RecordType, answers: readonly Answer[]): Buffer {
  const questions = [{ type, name }];
  return encode({ type: 'response', id, flags: FLAGS, questions, answers: [...answers] });
}

const name = 'host.example';
const answer = { name, ttl: 300 };

/** What dns-packet is given, and what is read. */
const RECORDS: { readonly [type in RecordType]: readonly (readonly [given: Answer, read: unknown])[] } = {
  MX: [
    [
      { ...answer, type: 'MX', data: { preference: 10, exchange: 'Mx.example' } },
      { preference: 10, exchange: 'mx.example' },
    ],
    [
      { ...answer, type: 'MX', data: { preference: 0, exchange: '.' } },
      { preference: 0, exchange: '' },
    ],
  ],
  A: [[{ ...answer, type: 'A', data: '192.0.2.1' }, '192.0.2.1']],
  AAAA: [
    [{ ...answer, type: 'AAAA', data: '2001:db8::1' }, '2001:db8::1'],
    [{ ...answer, type: 'AAAA', data: '2001:db8:0:1::' }, '2001:db8:0:1::'],
    [{ ...answer, type: 'AAAA', data: '::' }, '::'],
    [{ ...answer, type: 'AAAA', data: '1:0:2:3:4:5:6:7' }, '1:0:2:3:4:5:6:7'],
  ],
  TLSA: [
    [
      {
        ...answer,
        type: 'TLSA',
        data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') },
      },
      { usage: 3, selector: 1, matchingType: 1, data: '00ff' },
    ],
  ],
};

const TYPES = Object.keys(RECORDS) as readonly RecordType[];

test('a question asks for the word about DNSSEC, and for answers that need not be cut into fragments', () => {
  for (const type of TYPES) {
    const asked = decode(questionFor(513, 'mail.host.example', type).packet);
    assert.deepEqual(
      [asked.type, asked.id, asked.flags, asked.questions],
      ['query', 513, FLAGS, [{ name: 'mail.host.example', type, class: 'IN' }]],
    );
    const [opt] = asked.additionals ?? [];
    assert.equal(opt?.type === 'OPT' && opt.udpPayloadSize, 1232);
  }
});

test('the records of each type', () => {
  for (const type of TYPES) {
    const given = RECORDS[type].map(([record]) => record);
    const other: Answer = { name: 'other.example', type: 'CNAME', ttl: 60, data: name };
    assert.deepEqual(readAnswer(packet(7, name, type, [other, ...given]), questionFor(7, name, type)), {
      rcode: 'NOERROR',
      isProved: true,
      isCut: false,
      records: RECORDS[type].map(([, data]) => ({ ...answer, data })),
    });
  }
});

test('names may be written as pointers to what comes before, and to nothing else', () => {
  const question = questionFor(7, name, 'MX');
  const asked = packet(7, name, 'MX', []);
  asked[7] = 1;
  const exchange = (...bytes: readonly number[]) =>
    readAnswer(
      // The name is that of the question, the domain of the exchange its second label.
      Buffer.from([...asked, 0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 9, 0, bytes.length + 2, 0, 5, ...bytes]),
      question,
    )?.records;
  const data = { exchange: 'mx.example', preference: 5 };
  assert.deepEqual(exchange(2, 0x6d, 0x78, 0xc0, 17), [{ name, ttl: 9, data }]);
  const start = asked.length + 14;
  for (const at of [start, start + 2, start + 100]) assert.equal(exchange(0xc0, at), undefined);
  assert.equal(exchange(0x80, 17), undefined);
  assert.equal(exchange(2, 0x6d, 0x78), undefined);
});

test('what belongs to another question is none of ours, but the case of letters does not matter', () => {
  const question = questionFor(7, name, 'A');
  const given = RECORDS.A.map(([record]) => record);
  assert.equal(readAnswer(packet(7, 'HOST.example', 'A', given), question)?.records.length, 1);
  assert.equal(readAnswer(packet(8, name, 'A', given), question), null);
  assert.equal(readAnswer(packet(7, 'most.example', 'A', given), question), null);
  assert.equal(readAnswer(packet(7, name, 'AAAA', given), question), null);
  assert.equal(readAnswer(question.packet, question), null);
  const none = packet(7, name, 'A', []);
  none[5] = 0;
  assert.equal(readAnswer(none, question), null);
});
