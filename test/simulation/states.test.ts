import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openJournal } from '../../src/queue/journal.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { illegalStates } from './states.ts';

const OWNER = { mode: 0o660, uid: 0, gid: 0 };

test('a message that is deleted before its list is in a state that the table does not name', async () => {
  const disk = new MemoryDisk(() => 0);
  const layout = layoutOf('/spool');
  for (const folder of ['/spool', layout.state, layout.temporary]) disk.mkdir(folder, OWNER);
  const id = disk.create(layout.id, OWNER);
  id.write(Buffer.from('this-spool\n'));
  const temporaryName = (): string => `${layout.temporary}/1.1.x`;
  const journal = openJournal(
    { disk, layout, temporaryName, owner: OWNER, spool: 'this-spool', held: () => true },
    [],
  );
  await journal.append({ record: 'finish', control: 2, msgid: 1, payload: null, recipients: ['a@b'] });
  const lists = new Map([[2, 1]]);
  assert.deepEqual(illegalStates(disk, '/spool', lists, new Set([1])), []);
  assert.deepEqual(illegalStates(disk, '/spool', lists, new Set()), [
    'job 2 of message 1 is in an illegal state: -C finish',
  ]);
});
