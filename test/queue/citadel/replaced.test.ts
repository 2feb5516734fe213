/** The state directory of a live room is moved or replaced while the program works with it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { SpoolReplacedError } from '../../../src/platform/system-errors.ts';
import { listsIn, liveScene, MAIL, newList, openLive, openProven, shown } from '../../support/live-room.ts';

for (const what of ['an empty directory', 'a copy of it', 'nothing'] as const) {
  test(`a live room in whose state directory's place ${what} lies sends nothing more (R236)`, async (t) => {
    const scene = await liveScene(t);
    const { double, options } = scene;
    const payload = double.postMail(MAIL);
    double.post(newList(payload, 'b@example.com', 'c@example.com'));
    const room = await openProven(scene);
    const [[control = 0] = []] = await shown(room);
    assert.ok(control > 0);
    const sent = (index: number, address: string) =>
      room.record(control, [{ index, address, status: 2, text: 'ok' }], 1);
    await sent(0, 'b@example.com');
    const { state } = options;
    fs.renameSync(state, `${state}.old`);
    if (what === 'an empty directory') fs.mkdirSync(state);
    if (what === 'a copy of it') fs.cpSync(`${state}.old`, state, { recursive: true });
    const before = { lists: listsIn(double), files: fs.existsSync(state) ? fs.readdirSync(state) : null };
    await assert.rejects(room.scan(), SpoolReplacedError);
    await assert.rejects(room.scan(), (error: Error) =>
      error.message.startsWith(`${state} is not the directory`),
    );
    await sent(1, 'c@example.com');
    await assert.rejects(room.finish(control), SpoolReplacedError);
    await assert.rejects(room.close(), SpoolReplacedError);
    assert.deepEqual(
      { lists: listsIn(double), files: fs.existsSync(state) ? fs.readdirSync(state) : null },
      before,
    );
    fs.rmSync(state, { recursive: true, force: true });
    fs.renameSync(`${state}.old`, state);
    const again = await openLive(scene);
    assert.ok(
      (await shown(again)).every(([, , status]) => status !== 0),
      'what was delivered is in its journal',
    );
    await again.close();
  });
}
