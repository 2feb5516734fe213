/** opendkim's tables: whose key signs for whom (opendkim.conf(5)). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyNamesFor, parseKeyTable, parseSigningTable } from '../../src/dkim/tables.ts';

test('a signing table without wildcards: the most particular pattern, whatever the order', () => {
  const text =
    '* any\n.example.org sub\nuser@example.org user\nexample.org host\nuser@.example.org usersub\nuser@* useranywhere\n';
  const { rules } = parseSigningTable(text, 'st', false);
  for (const [address, key] of [
    ['user@example.org', 'user'],
    ['USER@Example.ORG', 'user'],
    ['x@example.org', 'host'],
    ['user@a.example.org', 'usersub'],
    ['x@a.example.org', 'sub'],
    ['user@example.net', 'useranywhere'],
    ['x@example.net', 'any'],
  ] as const)
    assert.deepEqual(keyNamesFor(rules, address), [key], address);
});

test('a signing table with wildcards: the first pattern in the file', () => {
  const { rules } = parseSigningTable(
    '*@a.example first\n*@*.example second\n*@a.example third\n',
    'st',
    true,
  );
  assert.deepEqual(keyNamesFor(rules, 'x@a.example'), ['first', 'third']);
  assert.deepEqual(keyNamesFor(rules, 'x@b.example'), ['second']);
  assert.deepEqual(keyNamesFor(rules, 'x@example'), []);
});

test('a key table, its comments, and lines that are not of it', () => {
  const { keys, problems } = parseKeyTable(
    '# keys\nk %:sel:/etc/k.private # ours\n\nbad example.org\n',
    'kt',
  );
  assert.deepEqual(
    [...keys],
    [['k', { domain: '%', selector: 'sel', path: '/etc/k.private', source: 'kt, line 2' }]],
  );
  assert.deepEqual(problems, [{ source: 'kt, line 4', reason: 'needs NAME DOMAIN:SELECTOR:PATH' }]);
});
