import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import v8 from 'node:v8';
import { DestinationQueue } from '../../src/delivery/destination-queue.ts';
import { MOST_ADDRESSES } from '../../src/delivery/lookups.ts';
import type { Scheduler } from '../../src/delivery/scheduler.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { FRIENDLY_EHLO } from '../../src/replay/world/server.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { MOST_HOSTS } from '../../src/routing/route.ts';
import { size } from '../support/thorough.ts';
import type { Delivered, TestMessage } from './scheduling.ts';
import { deliver, rulesWith, summary } from './scheduling.ts';

const TWO_HOSTS = {
  'x.example': {
    mx: [
      [10, 'mx1.x.example'],
      [20, 'mx2.x.example'],
    ] as const,
  },
  'mx1.x.example': { a: ['192.0.2.1'] },
  'mx2.x.example': { a: ['192.0.2.2'] },
};

function mailsTo(address: string, count: number): TestMessage[] {
  return Array.from({ length: count }, (_, n) => ({ to: [address.replace('%', String(n))] }));
}

// Node has it since 20.13.
const canCount = { skip: typeof v8.queryObjects !== 'function' };

it(
  'nothing is kept of destinations that are done with, of which a watcher meets many',
  canCount,
  async () => {
    const count = (): number => v8.queryObjects(DestinationQueue, { format: 'count' });
    const before = count();
    const names = Object.fromEntries(
      Array.from({ length: 50 }, (_, n) => [`d${n}.example`, { a: ['192.0.2.1'] }]),
    );
    const messages = Object.keys(names).map((domain) => ({ to: [`u@${domain}`] }));
    let kept: Scheduler | null = null;
    const run = await deliver({ names, servers: { '*': {} } }, messages, rulesWith(), (scheduler) => {
      kept = scheduler;
    });
    assert.equal(run.world.arrived.length, 50);
    assert.ok(kept !== null);
    assert.equal(count() - before, 0);
  },
);

describe('hosts', () => {
  it('are tried in order of preference, and only the first good one is used (R011)', async () => {
    const run = await deliver({ names: TWO_HOSTS, servers: { '*': {} } }, [{ to: ['a@x.example'] }]);
    assert.deepEqual(
      run.world.arrived.map(({ address }) => address),
      ['192.0.2.1'],
    );
  });

  for (const [trouble, script] of Object.entries({
    refused: { connect: 'refused' },
    unreachable: { connect: 'unreachable' },
    silent: { connect: 'silence' },
    '554 greeting': { greeting: '554 no' },
    '421 greeting': { greeting: '421 busy' },
    'silent after EHLO': { ehlo: 'silence' },
    'closed after EHLO': { ehlo: 'close', helo: 'close' },
    'silent after MAIL': { mail: 'silence' },
    'reset after RCPT': { rcpt: { '*': 'reset' } },
    'closed after DATA': { data: 'close' },
  } as const)) {
    it(`the next one is tried when the first is ${trouble} (C05)`, async () => {
      const run = await deliver({ names: TWO_HOSTS, servers: { '192.0.2.1': script, '*': {} } }, [
        { to: ['a@x.example'] },
      ]);
      assert.deepEqual(summary(run), ['a@x.example: 2 2.0.0 queued']);
      assert.deepEqual(
        run.world.arrived.map(({ address }) => address),
        ['192.0.2.2'],
      );
    });
  }

  for (const dot of ['close', 'reset', 'silence', '451 later', '421 going'] as const) {
    it(`none other is tried after the body when the answer is ${dot} (R051)`, async () => {
      const run = await deliver({ names: TWO_HOSTS, servers: { '192.0.2.1': { dot }, '*': {} } }, [
        { to: ['a@x.example'] },
      ]);
      assert.equal(run.world.arrived.length, 0);
      assert.equal(run.world.connections, 1);
      assert.match(summary(run)[0] ?? '', /^a@x\.example: 4 /);
    });
  }

  it('all addresses of a host are tried, IPv6 too (C01)', async () => {
    const names = {
      'x.example': { mx: [[10, 'mx.x.example']] as const },
      'mx.x.example': { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'] },
    };
    const servers = {
      '192.0.2.1': { connect: 'refused' },
      '192.0.2.2': { connect: 'refused' },
      '2001:db8::1': {},
    } as const;
    const run = await deliver({ names, servers }, [{ to: ['a@x.example'] }]);
    assert.deepEqual(
      run.world.arrived.map(({ address }) => address),
      ['2001:db8::1'],
    );
  });

  it('the text of the host that got furthest is kept, not that of the last one', async () => {
    const names = { ...TWO_HOSTS, 'mx2.x.example': { a: 'server-failure', aaaa: 'server-failure' } } as const;
    const run = await deliver({ names, servers: { '192.0.2.1': { greeting: '554 5.7.1 you are listed' } } }, [
      { to: ['a@x.example'] },
    ]);
    assert.deepEqual(summary(run), ['a@x.example: 4 5.7.1 you are listed']);
  });

  for (const [what, zone, expected] of [
    ['null MX', { mx: [[0, '']] }, '5 x.example accepts no mail (null MX)'],
    ['no such domain', undefined, '5 the domain x.example does not exist'],
    [
      'SERVFAIL at the MX',
      { mx: 'server-failure' },
      '4 the MX lookup for x.example failed: the name server reports a failure',
    ],
    [
      'own name first',
      {
        mx: [
          [5, 'me.example'],
          [10, 'mx.x.example'],
        ],
      },
      '5 the best mail server of x.example is this host: the message would loop',
    ],
    [
      'MX localhost',
      { mx: [[10, 'localhost']] },
      '5 the best mail server of x.example is this host: the message would loop',
    ],
    ['neither MX nor address', {}, '5 x.example has neither a mail server nor an address'],
  ] as const) {
    it(`${what}: ${expected.startsWith('5') ? 'refused for good' : 'tried again'}, nobody contacted`, async () => {
      const run = await deliver({ names: zone === undefined ? {} : { 'x.example': zone }, servers: {} }, [
        { to: ['a@x.example'] },
      ]);
      assert.deepEqual(summary(run), [`a@x.example: ${expected}`]);
      assert.equal(run.world.connections, 0);
    });
  }

  it('a domain without MX is reached at its own address (R005)', async () => {
    const run = await deliver({ names: { 'x.example': { a: ['192.0.2.9'] } }, servers: { '*': {} } }, [
      { to: ['a@x.example'] },
    ]);
    assert.deepEqual(
      run.world.arrived.map(({ address }) => address),
      ['192.0.2.9'],
    );
  });

  it('broken STARTTLS is tried again after a while: a watcher stays for months', async () => {
    const ehlo = FRIENDLY_EHLO.replace('250-PIPELINING', '250-STARTTLS');
    const pause = { rcpt: { '*': [{ say: '250 ok', after: '3m' }, '250 ok'] } };
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '192.0.2.1': { ehlo, tlsBroken: true, ...pause } } },
      mailsTo('u%@x.example', 2),
      rulesWith({ destination: 1, messages: 1 }),
    );
    assert.equal(run.world.arrived.length, 2);
    assert.equal(run.commands.filter((line) => line === 'STARTTLS').length, 2);
  });

  it('broken STARTTLS is followed by clear text at the same address, once for the whole run', async () => {
    const ehlo = '250-mx\n250 STARTTLS';
    const servers = { '192.0.2.1': { ehlo, tlsBroken: true } };
    const run = await deliver(
      { names: TWO_HOSTS, servers },
      mailsTo('u%@x.example', 5),
      rulesWith({ destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 5);
    assert.equal(run.world.connections, 2);
  });

  it('broken STARTTLS is remembered by sessions that waited for their start, too', async () => {
    const servers = { '192.0.2.1': { ehlo: '250-mx\n250 STARTTLS', tlsBroken: true } };
    const names: WorldScript['names'] = {
      '*': { mx: [[10, 'mx.shared.example']] },
      'mx.shared.example': { a: ['192.0.2.1'] },
    };
    const messages = Array.from({ length: 5 }, (_, n) => ({ to: [`u@d${n}.example`] }));
    const run = await deliver({ names, servers }, messages, rulesWith({ rate: 10 }));
    assert.equal(run.world.arrived.length, 5);
    assert.equal(run.commands.filter((line) => line === 'STARTTLS').length, 1);
  });
});

describe('an extension that a host offers and refuses', () => {
  const chunking = '250-mx\n250-PIPELINING\n250 CHUNKING';
  const run = (server: ServerScript, count = 5) =>
    deliver(
      { names: TWO_HOSTS, servers: { '192.0.2.1': server } },
      mailsTo('u%@x.example', count),
      rulesWith({ destination: 1 }),
    );
  const said = ({ commands }: Delivered, verb: string) =>
    commands.filter((line) => line.startsWith(verb)).length;

  it('is left out for this message and all that follow (R148)', async () => {
    const refused = await run({ ehlo: chunking, bdat: '502 5.5.1 not implemented' });
    assert.equal(refused.world.arrived.length, 5);
    assert.equal(refused.world.connections, 2);
    assert.equal(said(refused, 'BDAT'), 1);
    assert.equal(said(refused, 'DATA'), 5);
  });

  it('is left out after silence, too, and the message arrives in the same run (R148)', async () => {
    const dot = ['250 ok', { end: 'silence' }, '250 ok'] as const;
    const silent = await run({ ehlo: chunking, dot }, 3);
    assert.deepEqual(
      silent.world.arrived.map(({ recipients }) => recipients[0]),
      ['u0@x.example', 'u1@x.example', 'u2@x.example'],
    );
    assert.equal(said(silent, 'DATA'), 2);
  });

  it('is left out when it is a parameter of MAIL, one parameter at a time (R148)', async () => {
    const mail = ['555 5.5.4 unsupported parameter', '250 ok'];
    const refused = await run({ ehlo: '250-mx\n250-SIZE 100000\n250 8BITMIME', mail }, 2);
    assert.equal(refused.world.arrived.length, 2);
    assert.deepEqual(
      refused.commands.filter((line) => line.startsWith('MAIL')),
      ['MAIL FROM:<me@me.example> SIZE=21', ...Array(2).fill('MAIL FROM:<me@me.example>')],
    );
  });

  it('is left out when commands sent together get lost (R148)', async () => {
    const rcpt = { '*': ['503 5.5.1 MAIL first', '250 ok'] };
    const refused = await run({ ehlo: '250-mx\n250 PIPELINING', rcpt }, 1);
    assert.equal(refused.world.arrived.length, 1);
    assert.deepEqual(refused.rows.filter((row) => row === 'extension-refused').length, 1);
  });

  it('a server that closes the connection at EHLO is told HELO on a new one (R304)', async () => {
    const old = await run({ ehlo: 'close' }, 2);
    assert.equal(old.world.arrived.length, 2);
    assert.deepEqual([said(old, 'EHLO'), said(old, 'HELO'), old.world.connections], [1, 1, 2]);
  });

  it('and a refusal that remains without it is the last word', async () => {
    const refused = await run({ ehlo: '250-mx\n250 SIZE', mail: '501 go away' }, 1);
    assert.deepEqual(summary(refused), ['u0@x.example: 5 go away']);
    assert.equal(refused.world.connections, 2);
  });
});

describe('a reply that is read otherwise than by its class', () => {
  const first = (server: ServerScript, second: ServerScript = {}) =>
    deliver(
      { names: TWO_HOSTS, servers: { '192.0.2.1': server, '192.0.2.2': second } },
      mailsTo('a@x.example', 1),
    );

  const aboutHost: { readonly [name: string]: ServerScript } = {
    'no storage at MAIL': { mail: '452 4.3.1 Insufficient system storage' },
    'a local error at MAIL': { mail: '451 local error' },
    '4.7.0 at MAIL': { mail: '450 4.7.0 not you, not now' },
    'a broken configuration at RCPT': { rcpt: { '*': '451 4.3.5 Server configuration problem' } },
    'trouble at DATA': { data: '451 4.3.0 try again' },
    'a password wanted': { mail: '530 5.7.0 authentication required' },
    'a lost command': { ehlo: '250 mx', rcpt: { '*': '503 5.5.1 MAIL first' } },
    'a size that only this host refuses': { mail: '552 5.3.4 too large' },
  };
  for (const [name, server] of Object.entries(aboutHost))
    it(`the next host is tried after ${name} (R152)`, async () => {
      const run = await first(server);
      assert.deepEqual(
        run.world.arrived.map(({ address }) => address),
        ['192.0.2.2'],
      );
    });

  it('and status 4 remains when none is left', async () => {
    const full = { mail: '452 4.3.1 Insufficient system storage' };
    assert.deepEqual(summary(await first(full, full)), ['a@x.example: 4 4.3.1 Insufficient system storage']);
  });

  it('a host that takes no mail is final only when every host says so (R149)', async () => {
    const none = { greeting: '521 takes no mail' };
    assert.deepEqual(summary(await first(none, none)), ['a@x.example: 5 takes no mail']);
    assert.deepEqual(summary(await first(none, { connect: 'refused' })), ['a@x.example: 4 takes no mail']);
  });

  it('five recipients reach a server that takes two and says 552 to the third (R149)', async () => {
    const rcpt = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((user, index) => {
        const transactions = Math.floor(index / 2);
        return [`${user}@x.example`, [...Array(transactions).fill('552 Too many recipients'), '250 ok']];
      }),
    );
    const to = Object.keys(rcpt);
    const run = await deliver({ names: TWO_HOSTS, servers: { '192.0.2.1': { rcpt } } }, [{ to }]);
    assert.deepEqual(
      run.world.arrived.map(({ recipients }) => recipients.length),
      [2, 2, 1],
    );
    assert.equal(run.world.connections, 1);
  });
});

describe('an MX of a stranger that leads back to this machine', () => {
  const rules = rulesWith();
  const loops = { addresses: ['192.0.2.7'], ports: [25] };
  const careful = { ...rules, routing: { ...rules.routing, loops } };

  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '0.0.0.0', '192.0.2.7'])
    it(`is not contacted at ${address}, and what comes behind it neither`, async () => {
      const names: WorldScript['names'] = {
        'x.example': {
          mx: [
            [10, 'mx1.x.example'],
            [20, 'mx2.x.example'],
          ],
        },
        'mx1.x.example': address.includes(':') ? { aaaa: [address] } : { a: [address] },
        'mx2.x.example': { a: ['192.0.2.2'] },
      };
      const run = await deliver({ names, servers: { '*': {} } }, [{ to: ['u@x.example'] }], careful);
      assert.equal(run.world.connections, 0);
      assert.deepEqual(summary(run), [
        `u@x.example: 5 mx1.x.example is this machine itself (${address}): the message would loop`,
      ]);
    });

  it('is contacted at another port, where only a test would be', async () => {
    const names: WorldScript['names'] = { 'x.example': { mx: [[10, 'mx']] }, mx: { a: ['127.0.0.1'] } };
    const elsewhere = { ...careful, routing: { ...careful.routing, mxPort: 2526 } };
    const run = await deliver({ names, servers: { '*': {} } }, [{ to: ['u@x.example'] }], elsewhere);
    assert.equal(run.world.arrived.length, 1);
  });
});

describe('recipients and messages', () => {
  it('a refused recipient never costs another its delivery, and outcomes stay with their recipients (R082)', async () => {
    const servers = {
      '*': { rcpt: { 'b@x.example': '550 5.1.1 no b', 'c@x.example': '450 4.2.1 c is busy' } },
    };
    const run = await deliver({ names: TWO_HOSTS, servers }, [
      { to: ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example'] },
    ]);
    assert.deepEqual(summary(run), [
      'a@x.example: 2 2.0.0 queued',
      'b@x.example: 5 5.1.1 no b',
      'c@x.example: 4 4.2.1 c is busy',
      'd@x.example: 2 2.0.0 queued',
    ]);
    assert.deepEqual(
      run.world.arrived.map(({ recipients }) => recipients),
      [['a@x.example', 'd@x.example']],
    );
  });

  it('recipients beyond the transaction limit follow in the next one', async () => {
    const to = Array.from({ length: 250 }, (_, n) => `u${n}@x.example`);
    const run = await deliver({ names: TWO_HOSTS, servers: { '*': {} } }, [{ to }]);
    assert.deepEqual(
      run.world.arrived.map(({ recipients }) => recipients.length),
      [100, 100, 50],
    );
    assert.equal(run.world.connections, 1);
    assert.equal(new Set(run.outcomes.map(({ address }) => address)).size, 250);
  });

  it('one session carries many messages, the next envelope behind each', async () => {
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': {} } },
      mailsTo('u%@x.example', 50),
      rulesWith({ destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 50);
    assert.equal(run.world.connections, 1);
    assert.ok(run.rows.filter((row) => row === 'next-pipelined').length >= 48);
  });

  it('what a server does not take is refused behind another message, too (RFC 1870, 6152, 6531)', async () => {
    const ehlo = '250-mx\n250-PIPELINING\n250 SIZE 1000';
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': { ehlo } } },
      [
        { to: ['plain@x.example'] },
        { to: ['eight@x.example'], text: 'Subject: x\r\n\r\nh\xe9\r\n' },
        { to: ['large@x.example'], text: `Subject: x\r\n\r\n${'x\r\n'.repeat(500)}\r\n` },
        { to: ['utf8@x.example'], sender: 'm\xc3\xa9@me.example' },
        { to: ['last@x.example'] },
      ],
      rulesWith({ destination: 1 }),
    );
    assert.deepEqual(
      run.outcomes.map(({ address, outcome }) => `${address} ${outcome.enhanced}`),
      [
        'plain@x.example 2.0.0',
        'eight@x.example 2.0.0',
        'large@x.example 5.3.4',
        'utf8@x.example 5.6.7',
        'last@x.example 2.0.0',
      ],
    );
    // The second host was asked whether it takes what the first does not.
    assert.deepEqual(
      run.world.arrived.map(({ body }) => /[\x80-\xff]/.test(body)),
      [false, false, false],
    );
  });

  const small = { ehlo: '250-mx\n250-PIPELINING\n250 SIZE 10' };
  const able = { ehlo: '250-mx\n250-SMTPUTF8\n250 8BITMIME' };
  for (const [name, message] of [
    ['size', {}],
    ['SMTPUTF8', { sender: 'm\xc3\xa9@me.example' }],
  ] as const)
    it(`what one host lacks another may have: ${name} (R153)`, async () => {
      const servers = { '192.0.2.1': small, '192.0.2.2': able };
      const run = await deliver({ names: TWO_HOSTS, servers }, [{ to: ['a@x.example'], ...message }]);
      assert.deepEqual(
        run.world.arrived.map(({ address }) => address),
        ['192.0.2.2'],
      );
    });

  it('what one host lacks is final only when every host lacks it (R153)', async () => {
    const lacking = async (second: ServerScript): Promise<readonly string[]> => {
      const servers = { '192.0.2.1': small, '192.0.2.2': second };
      const run = await deliver({ names: TWO_HOSTS, servers }, [{ to: ['a@x.example'] }]);
      return run.outcomes.map(({ outcome }) => outcome.enhanced);
    };
    assert.deepEqual(await lacking(small), ['5.3.4']);
    assert.deepEqual(await lacking({ connect: 'refused' }), ['4.3.4']);
  });

  const signed =
    'Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n';
  const lacks: readonly (readonly [
    string,
    ServerScript,
    { readonly text?: string; readonly sender?: string },
    string,
  ])[] = [
    ['SIZE', { ehlo: '250-mx\n250 SIZE 10' }, {}, '5.3.4'],
    ['8BITMIME', { ehlo: '250-mx\n250 PIPELINING' }, { text: signed }, '5.6.3'],
  ];
  for (const [name, script, message, enhanced] of lacks)
    it(`every host gets the chance to refuse the recipients before the lack of ${name} is final (R224)`, async () => {
      const to = ['a@x.example', 'b@x.example'];
      const offered = async (rcpt: string): Promise<readonly string[]> => {
        const servers = { '*': { ...script, rcpt: { '*': rcpt } } };
        const run = await deliver({ names: TWO_HOSTS, servers }, [{ to, ...message }]);
        assert.deepEqual(run.world.arrived, []);
        assert.equal(run.commands.filter((line) => /^(?:DATA|BDAT)/.test(line)).length, 0);
        return run.outcomes.map(({ outcome }) => `${outcome.kind} ${outcome.enhanced}`);
      };
      assert.deepEqual(await offered('250 ok'), Array(2).fill(`failed ${enhanced}`));
      assert.deepEqual(await offered('550 5.1.1 no such user'), Array(2).fill('failed 5.1.1'));
      assert.deepEqual(await offered('450 4.2.1 later'), Array(2).fill('failed 4.2.1'));
    });

  it('SMTPUTF8 that is offered and refused is a lack as well (R153)', async () => {
    const servers = { '*': { ehlo: '250-mx\n250-SMTPUTF8\n250 8BITMIME', mail: '555 5.5.4 SMTPUTF8?' } };
    const run = await deliver({ names: TWO_HOSTS, servers }, [
      { to: ['a@x.example'], sender: 'm\xc3\xa9@me.example' },
    ]);
    assert.deepEqual(
      run.outcomes.map(({ outcome }) => outcome.enhanced),
      ['5.6.7'],
    );
  });

  it('a refusal of what one message needs is not remembered against the next one (R272)', async () => {
    const mail = ['555 5.5.4 SMTPUTF8?', '250 ok'];
    const servers = { '*': { ehlo: '250-mx\n250-SMTPUTF8\n250 8BITMIME', mail } };
    const run = await deliver(
      { names: { 'x.example': { a: ['192.0.2.1'] } }, servers },
      [1, 2].map(() => ({ to: ['a@x.example'], sender: 'm\xc3\xa9@me.example' })),
    );
    assert.equal(run.world.arrived.length, 1);
    assert.equal(run.commands.filter((line) => line.startsWith('MAIL')).length, 2);
  });

  it('what a server lacks that offers nothing at all is not final (R153)', async () => {
    const servers = { '*': { ehlo: '250 Hello, pleased to meet you' } };
    const run = await deliver({ names: TWO_HOSTS, servers }, [
      { to: ['a@x.example'], sender: 'm\xc3\xa9@me.example' },
    ]);
    assert.deepEqual(
      run.outcomes.map(({ outcome }) => outcome.enhanced),
      ['4.6.7'],
    );
  });

  it('a server that takes three messages a session gets three, and the mail arrives', async () => {
    const ehlo = `250-mx\n250-PIPELINING\n250 LIMITS MAILMAX=3`;
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': { ehlo } } },
      mailsTo('u%@x.example', 10),
      rulesWith({ destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 10);
    assert.equal(run.world.connections, 4);
  });

  it('a server that closes after each message costs the following ones nothing', async () => {
    const servers = { '192.0.2.1': { dot: '250 queued then close' } };
    const run = await deliver(
      { names: TWO_HOSTS, servers },
      mailsTo('u%@x.example', 10),
      rulesWith({ destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 10);
    assert.equal(summary(run).filter((line) => line.includes(': 2 ')).length, 10);
    assert.equal(new Set(run.world.arrived.map(({ recipients }) => recipients[0])).size, 10);
  });

  it('a message that cannot be read is not sent, the others are', async () => {
    const broken = {
      scope: 'message',
      stage: 'payload',
      permanent: false,
      code: null,
      enhanced: '4.3.0',
      text: 'it is missing',
      peer: null,
      maybeDelivered: false,
    } as const;
    const messages = [{ to: ['a@x.example'] }, { to: ['b@x.example'], broken }, { to: ['c@x.example'] }];
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': {} } },
      messages,
      rulesWith({ destination: 1 }),
    );
    assert.deepEqual(summary(run), [
      'a@x.example: 2 2.0.0 queued',
      'b@x.example: 4 it is missing',
      'c@x.example: 2 2.0.0 queued',
    ]);
  });
});

const many = (domains: number): WorldScript['names'] =>
  Object.fromEntries(
    Array.from({ length: domains }, (_, n) => [`d${n}.example`, { mx: [[10, `mx.d${n}.example`]] }]),
  );
const hosts = (domains: number): WorldScript['names'] =>
  Object.fromEntries(
    Array.from({ length: domains }, (_, n) => [`mx.d${n}.example`, { a: [`10.0.${n >> 8}.${n & 255}`] }]),
  );

describe('delivery status notifications (RFC 3461)', () => {
  for (const [sender, rcpt] of [
    ['', 'RCPT TO:<a@x.example> NOTIFY=NEVER'],
    ['me@me.example', 'RCPT TO:<a@x.example>'],
  ] as const) {
    it(`${sender === '' ? 'are asked off for the null sender' : 'are left to the receiver otherwise'}`, async () => {
      const servers = { '*': { ehlo: '250-mx\n250-PIPELINING\n250 DSN' } };
      const run = await deliver({ names: TWO_HOSTS, servers }, [{ to: ['a@x.example'], sender }]);
      assert.deepEqual(
        run.commands.filter((line) => line.startsWith('RCPT')),
        [rcpt],
      );
    });
  }
});

/** Twenty hosts like this one, and one that answers, which share five sessions. */
function besideSilent(server: ServerScript): ReturnType<typeof deliver> {
  const silent = Array.from({ length: 20 }, (_, n) => `s${n}.example`);
  const names = {
    ...Object.fromEntries(silent.map((name, n) => [name, { a: [`192.0.2.${100 + n}`] }])),
    ...many(1),
    ...hosts(1),
  };
  const servers = {
    ...Object.fromEntries(silent.map((_, n) => [`192.0.2.${100 + n}`, server])),
    '*': {},
  };
  return deliver(
    { names, servers },
    [...silent.map((name) => ({ to: [`u@${name}`] })), { to: ['u@d0.example'] }],
    rulesWith({ sessions: 5 }),
  );
}

describe('limits', () => {
  it('hold for all sessions together', async () => {
    const run = await deliver(
      { names: { ...many(60), ...hosts(60) }, servers: { '*': {} } },
      Array.from({ length: 300 }, (_, n) => ({ to: [`u@d${n % 60}.example`] })),
      rulesWith({ sessions: 7 }),
    );
    assert.equal(run.world.arrived.length, 300);
    assert.equal(run.world.mostOpen, 7);
  });

  it('hold for one destination', async () => {
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': {} } },
      mailsTo('u%@x.example', 200),
      rulesWith({ destination: 4 }),
    );
    assert.equal(run.world.arrived.length, 200);
    assert.equal(run.world.mostOpen, 4);
  });

  it('hold for one host that many destinations share, and its sessions are handed on', async () => {
    const names = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`d${n}.example`, { mx: [[10, 'mx.shared.example']] as const }]),
    );
    const run = await deliver(
      { names: { ...names, 'mx.shared.example': { a: ['192.0.2.7'] } }, servers: { '*': {} } },
      Array.from({ length: 90 }, (_, n) => ({ to: [`u${n}@d${n % 30}.example`] })),
      rulesWith({ host: 3 }),
    );
    assert.equal(run.world.arrived.length, 90);
    assert.equal(run.world.mostOpen, 3);
  });

  it('hold for one host while sessions wait for their start', async () => {
    const names = Object.fromEntries(
      Array.from({ length: 10 }, (_, n) => [`d${n}.example`, { mx: [[10, 'mx.shared.example']] as const }]),
    );
    const run = await deliver(
      {
        names: { ...names, 'mx.shared.example': { a: ['192.0.2.7'] } },
        servers: { '*': { dot: { say: '250 2.0.0 queued', after: '30s' } } },
      },
      Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] })),
      rulesWith({ host: 2, rate: 10 }),
    );
    assert.equal(run.world.arrived.length, 10);
    assert.equal(run.world.mostOpen, 2);
  });

  it('a host that failed while sessions waited for their start is not tried by each of them', async () => {
    const names = Object.fromEntries(
      Array.from({ length: 10 }, (_, n) => [`d${n}.example`, { mx: [[10, 'mx.shared.example']] as const }]),
    );
    const run = await deliver(
      {
        names: { ...names, 'mx.shared.example': { a: ['192.0.2.7'] } },
        servers: { '192.0.2.7': { connect: 'refused' } },
      },
      Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] })),
      rulesWith({ rate: 10 }),
    );
    assert.equal(run.outcomes.length, 10);
    assert.equal(run.world.connections, 1);
  });

  for (const dot of ['reset', '250 queued then close'] as const) {
    it(`an attempt that waits for its host is never sent along with another one (${dot})`, async () => {
      const rules = rulesWith({ destination: 1, host: 1, messages: 2 });
      const run = await deliver(
        { names: TWO_HOSTS, servers: { '*': { dot: [dot, '250 2.0.0 queued'] } } },
        [{ to: ['a@x.example', 'b@x.example', 'c@x.example'] }, { to: ['d@x.example'] }],
        { ...rules, policyFor: (...host) => ({ ...rules.policyFor(...host), recipients: 2 }) },
      );
      assert.deepEqual(run.outcomes.map(({ address }) => address).sort(), [
        'a@x.example',
        'b@x.example',
        'c@x.example',
        'd@x.example',
      ]);
    });
  }

  it('whoever waited for a host and goes elsewhere lets the next one have its turn', async () => {
    const names = {
      'a.example': {
        mx: [
          [10, 'mx.shared.example'],
          [20, 'mx.other.example'],
        ] as const,
      },
      'c.example': { mx: [[10, 'mx.shared.example']] as const },
      'mx.shared.example': { a: ['192.0.2.1'] },
      'mx.other.example': { a: ['192.0.2.2'] },
    };
    const shared = { dot: ['silence', '250 2.0.0 queued'], greeting: ['220 mx', 'close'] };
    const run = await deliver(
      { names, servers: { '192.0.2.1': shared, '*': {} } },
      [...mailsTo('u%@c.example', 2), ...mailsTo('u%@a.example', 2)],
      rulesWith({ sessions: 2, destination: 1, host: 1, rate: 2 }),
    );
    assert.deepEqual(run.outcomes.map(({ address, outcome }) => `${address} ${outcome.kind}`).sort(), [
      'u0@a.example delivered',
      'u0@c.example failed',
      'u1@a.example delivered',
      'u1@c.example failed',
    ]);
  });

  it('a destination that failed at host level is not tried again for each of its jobs', async () => {
    const run = await deliver(
      {
        names: TWO_HOSTS,
        servers: { '192.0.2.1': { connect: 'refused' }, '192.0.2.2': { greeting: '554 no' } },
      },
      mailsTo('u%@x.example', 200),
    );
    assert.equal(run.outcomes.length, 200);
    assert.equal(run.world.connections, 2);
  });

  it('a server that turns further sessions away goes on with those it has', async () => {
    const greeting = ['220 mx', '220 mx', '421 4.7.0 too many connections from you'];
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '192.0.2.1': { greeting }, '192.0.2.2': { connect: 'refused' } } },
      mailsTo('u%@x.example', 200),
    );
    const failed = run.outcomes.filter(({ outcome }) => outcome.kind === 'failed');
    assert.equal(run.outcomes.length, 200);
    assert.ok(failed.length <= 10, `${failed.length} of 200 were put off`);
    assert.ok(run.world.connections <= 10, `${run.world.connections} connections`);
  });

  for (const host of [1, 2, 10]) {
    it(`few messages wait for a host that takes ${host} sessions, the others are not even read`, async () => {
      const run = await deliver(
        { names: TWO_HOSTS, servers: { '*': {} } },
        mailsTo('u%@x.example', 300),
        rulesWith({ host }),
      );
      assert.equal(run.world.arrived.length, 300);
      assert.equal(new Set(run.outcomes.map(({ address }) => address)).size, 300);
      assert.ok(run.world.mostOpen <= host);
      // Ten that wait, ten that find out that they have to, those on the wire, and the next one of each session.
      assert.ok(run.mostLoaded <= 20 + 2 * host, `${run.mostLoaded} messages were read`);
    });
  }

  /** `count` domains, each with an MX of its own name; all of them have this address. */
  const oneAddress = (count: number): WorldScript['names'] =>
    Object.fromEntries(
      Array.from({ length: count }, (_, n) => [
        [`d${n}.dead.example`, { mx: [[10, `mx${n}.dead.example`]] as const }],
        [`mx${n}.dead.example`, { a: ['192.0.2.66'] }],
      ]).flat(),
    );

  const deadMail = (count: number): readonly TestMessage[] =>
    Array.from({ length: count }, (_, n) => ({ to: [`u@d${n}.dead.example`] }));

  it('count a host by its address, whatever names lead there', async () => {
    const run = await deliver(
      { names: oneAddress(40), servers: { '*': { rcpt: { '*': { say: '250 ok', after: '5s' } } } } },
      deadMail(40),
      rulesWith({ sessions: 50, host: 4, destination: 4 }),
    );
    assert.equal(run.world.arrived.length, 40);
    assert.ok(run.world.mostOpen <= 4, `${run.world.mostOpen} sessions`);
  });

  it('a silent address with many names takes two sessions, and nobody waits for it', async () => {
    const names = { ...oneAddress(40), ...many(10), ...hosts(10) };
    const run = await deliver(
      { names, servers: { '192.0.2.66': { greeting: 'silence' }, '*': {} } },
      [...deadMail(40), ...Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] }))],
      rulesWith({ sessions: 5 }),
    );
    const delivered = run.outcomes.filter(({ outcome }) => outcome.kind === 'delivered');
    assert.equal(delivered.length, 10);
    assert.ok(delivered.every(({ at }) => at < 1000));
    assert.equal(run.outcomes.length, 50);
  });

  it('silent hosts that hold all sessions are cut off while others wait, and that is said', async () => {
    const run = await besideSilent({ greeting: 'silence' });
    const good = run.outcomes.find(({ address }) => address === 'u@d0.example');
    // Four rounds of five silent hosts, half a minute each, where one round of greetings took five minutes.
    assert.ok(good?.outcome.kind === 'delivered' && good.at <= 121_000, `after ${good?.at} ms`);
    // The last of them waits for as many rounds as others are before it.
    assert.deepEqual(run.warnings, [
      '5 of 5, 16 waiting for 30002 ms',
      '5 of 5, 11 waiting for 60004 ms',
      '5 of 5, 6 waiting for 90006 ms',
      '5 of 5, 1 waiting for 120008 ms',
    ]);
    const [first] = run.outcomes;
    assert.match(first?.outcome.text ?? '', /^kept others waiting for more than 30 seconds/);
  });

  for (const [where, server] of Object.entries({
    'after MAIL': { mail: 'silence' },
    'after RCPT': { rcpt: { '*': 'silence' } },
    'after DATA': { data: 'silence' },
    'after the message': { dot: 'silence' },
  } as const)) {
    it(`an address that is silent ${where} takes two sessions, whatever names lead there (R264)`, async () => {
      const names = { ...oneAddress(40), ...many(10), ...hosts(10) };
      const run = await deliver(
        { names, servers: { '192.0.2.66': server, '*': {} } },
        [...deadMail(40), ...Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] }))],
        rulesWith({ sessions: 5 }),
      );
      const delivered = run.outcomes.filter(({ outcome }) => outcome.kind === 'delivered');
      assert.equal(delivered.length, 10);
      assert.ok(
        delivered.every(({ at }) => at < 2000),
        `the last after ${delivered.at(-1)?.at} ms`,
      );
    });
  }

  for (const [where, server, rounds] of [
    ['MAIL', { mail: 'silence' }, 4],
    ['RCPT', { rcpt: { '*': 'silence' } }, 4],
    ['DATA', { data: 'silence' }, 4],
  ] as const) {
    it(`hosts that are silent after ${where} hold others up for half a minute each time (R264)`, async () => {
      const run = await besideSilent(server);
      const good = run.outcomes.find(({ address }) => address === 'u@d0.example');
      assert.ok(good?.outcome.kind === 'delivered' && good.at <= rounds * 31_000, `after ${good?.at} ms`);
      assert.match(run.outcomes[0]?.outcome.text ?? '', /^kept others waiting for more than 30 seconds/);
    });
  }

  it('hosts that do not answer whole messages are waited for, and that is said (R264)', async () => {
    const slow = Array.from({ length: 5 }, (_, n) => `s${n}.example`);
    const names = {
      ...Object.fromEntries(slow.map((name, n) => [name, { a: [`192.0.2.${100 + n}`] }])),
      ...many(1),
      ...hosts(1),
    };
    const said: string[] = [];
    const run = await deliver(
      {
        names,
        servers: {
          ...Object.fromEntries(
            slow.map((_, n) => [`192.0.2.${100 + n}`, { dot: { say: '250 ok', after: '50s' } }]),
          ),
          '*': {},
        },
      },
      [...slow.map((name) => ({ to: [`u@${name}`] })), { to: ['u@d0.example'] }],
      rulesWith({ sessions: 5 }),
      undefined,
      { silent: ({ cut, slow, waited }) => said.push(`${cut} cut, ${slow} slow, ${waited}`) },
    );
    assert.equal(run.world.arrived.length, 6);
    assert.match(said.join('; '), /^0 cut, 5 slow, 30\d{3}$/);
  });

  it('a silent address is known by the first that met it, whatever names lead there (R264)', async () => {
    const run = await deliver(
      { names: oneAddress(40), servers: { '192.0.2.66': { connect: 'silence' } } },
      deadMail(40),
    );
    assert.equal(run.outcomes.length, 40);
    assert.ok(run.clock.monotonic() <= 31_000, `${run.clock.monotonic()} ms`);
    assert.ok(
      run.outcomes.every(
        ({ address, outcome }) =>
          outcome.kind === 'failed' && outcome.peer?.host === `mx${/\d+/.exec(address)}.dead.example`,
      ),
    );
  });

  it('an address mapped into IPv6 is the same address (R264)', async () => {
    const names = {
      'a.example': { a: ['192.0.2.66'] },
      'b.example': { aaaa: ['::ffff:192.0.2.66'] },
      'c.example': { aaaa: ['::ffff:c000:242'] },
    };
    const run = await deliver(
      { names, servers: { '*': { dot: { say: '250 ok', after: '5s' } } } },
      ['a', 'b', 'c'].map((name) => ({ to: [`u@${name}.example`] })),
      rulesWith({ host: 1, destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 3);
    assert.equal(run.world.mostOpen, 1);
  });

  it('a silent destination never starves the others', async () => {
    const names = {
      ...many(40),
      ...hosts(40),
      'slow.example': { mx: [[1, 'mx.slow.example']] as const },
      'mx.slow.example': { a: ['192.0.2.66'] },
    };
    const messages = [
      ...mailsTo('u%@slow.example', 100),
      ...Array.from({ length: 120 }, (_, n) => ({ to: [`u${n}@d${n % 40}.example`] })),
    ];
    const run = await deliver(
      { names, servers: { '192.0.2.66': { greeting: 'silence' }, '*': {} } },
      messages,
      rulesWith({ sessions: 4 }),
    );
    const last = Math.max(
      ...run.outcomes.filter(({ outcome }) => outcome.kind === 'delivered').map(({ at }) => at),
    );
    assert.equal(run.world.arrived.length, 120);
    assert.ok(last < 60_000, `the last delivery came after ${last} ms`);
  });

  it('a huge destination never starves the others', async () => {
    const names = { ...many(10), ...hosts(10), ...TWO_HOSTS };
    const messages = [
      ...mailsTo('u%@x.example', 2000),
      ...Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] })),
    ];
    const run = await deliver(
      { names, servers: { '*': {} } },
      messages,
      rulesWith({ sessions: 4, destination: 4 }),
    );
    const small = run.outcomes.filter(({ address }) => !address.endsWith('@x.example')).map(({ at }) => at);
    const all = run.outcomes.map(({ at }) => at);
    assert.equal(run.world.arrived.length, 2010);
    assert.ok(
      Math.max(...small) < Math.max(...all) / 2,
      `small ones until ${Math.max(...small)} of ${Math.max(...all)} ms`,
    );
  });

  it('start no more sessions a second than allowed', async () => {
    const run = await deliver(
      { names: { ...many(10), ...hosts(10) }, servers: { '*': {} } },
      Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] })),
      rulesWith({ rate: 2 }),
    );
    assert.equal(run.world.arrived.length, 10);
    assert.ok(run.clock.monotonic() >= 4500, `${run.clock.monotonic()} ms`);
  });

  it('a delivery whose envelope travelled behind another message has a deadline, too', async () => {
    const rcpt = { 'u1@x.example': { say: '250 ok', after: '4m' } };
    const rules = rulesWith({ destination: 1 });
    const run = await deliver({ names: TWO_HOSTS, servers: { '*': { rcpt } } }, mailsTo('u%@x.example', 2), {
      ...rules,
      deadlines: { ...rules.deadlines, delivery: 60_000 },
    });
    assert.match(summary(run)[1] ?? '', /^u1@x\.example: 4 was cut off because the time for this delivery/);
  });

  it('the whole delivery has a deadline, and it says so', async () => {
    const servers = { '*': { greeting: '220 mx', ehlo: FRIENDLY_EHLO, dot: 'silence' } };
    const rules = { ...rulesWith(), deadlines: { ...rulesWith().deadlines, delivery: 1000 } };
    const run = await deliver({ names: TWO_HOSTS, servers }, [{ to: ['a@x.example'] }], rules);
    assert.match(
      summary(run)[0] ?? '',
      /^a@x\.example: 4 was cut off because the time for this delivery was over/,
    );
    assert.equal(run.outcomes[0]?.outcome.kind === 'failed' && run.outcomes[0].outcome.maybeDelivered, true);
  });
});

describe('stopping', () => {
  it('lets transactions in progress end and leaves the rest as it was', async () => {
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': {} } },
      mailsTo('u%@x.example', 100),
      rulesWith({ destination: 1 }),
      (scheduler, clock) => {
        clock.after(40, () => scheduler.stop());
      },
    );
    assert.ok(run.outcomes.length > 0 && run.outcomes.length < 100, `${run.outcomes.length} outcomes`);
    assert.equal(run.world.arrived.length, run.outcomes.length);
    assert.equal(run.clock.pending, 0, 'no timer is left');
  });

  it('waits for no session that was to start later', async () => {
    const run = await deliver(
      { names: { ...many(10), ...hosts(10) }, servers: { '*': {} } },
      Array.from({ length: 10 }, (_, n) => ({ to: [`u@d${n}.example`] })),
      rulesWith({ rate: 1 }),
      (scheduler, clock) => {
        clock.after(1500, () => scheduler.stop());
      },
    );
    assert.equal(run.world.arrived.length, 2);
    assert.equal(run.clock.pending, 0, 'no timer is left');
  });

  it('cuts off what does not end within the grace time', async () => {
    const run = await deliver(
      { names: TWO_HOSTS, servers: { '*': { dot: 'silence' } } },
      [{ to: ['a@x.example'] }],
      rulesWith(),
      (scheduler, clock) => {
        clock.after(40, () => scheduler.stop());
      },
    );
    assert.ok(run.clock.monotonic() < 11_000);
    const [said, ...others] = summary(run);
    assert.deepEqual(others, []);
    assert.match(said ?? '', /was cut off because spoolroom was told to stop while we were waiting for/);
  });
});

it('thousands of destinations with the same full host are worked on one after the other, not within each other (R258)', async () => {
  const count = size(3000, 8000);
  const run = await deliver(
    { names: { '*': { a: ['192.0.2.1'] } }, servers: { '*': {} } },
    Array.from({ length: count }, (_, n) => ({ to: [`u@d${n}.example`] })),
    rulesWith({ sessions: 50, host: 20 }),
  );
  assert.equal(run.outcomes.length, count);
  assert.ok(run.outcomes.every(({ outcome }) => outcome.kind === 'delivered'));
});

it('a domain with a thousand hosts, and hosts with hundreds of addresses, make us contact a few of them (R293)', async () => {
  const mx = Array.from({ length: 1000 }, (_, n) => [n, `mx${n}.x.example`] as const);
  const a = Array.from({ length: 200 }, (_, n) => `192.0.2.${n}`);
  const names = { 'x.example': { mx }, ...Object.fromEntries(mx.map(([, name]) => [name, { a }])) };
  let refused = 0;
  const script: WorldScript = { names, servers: { '*': { connect: 'refused' } } };
  const run = await deliver(script, [{ to: ['a@x.example'] }], rulesWith(), () => {}, {
    observe: (_, event) => {
      if (event.what === 'delivery' && event.event.type === 'host-failed') refused++;
    },
  });
  assert.equal(run.outcomes.length, 1);
  assert.equal(run.world.lookups.filter((name) => /mx\d+/.test(name)).length, 2 * MOST_HOSTS);
  assert.equal(refused, MOST_HOSTS * MOST_ADDRESSES);
});
