/**
 * Reads payloads. Called through the room by the deliveries. A missing, empty or unreadable payload is a value with a
 * sentence (C21: the C module sent an empty mail instead); a delivery list is never handed out as mail.
 */

import type { MessageNumber } from '../../delivery-list/job.ts';
import { storedControl } from '../../message/stored.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Disk } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { PayloadResult } from '../queue.ts';
import type { SpoolIndex } from './spool-index.ts';

/** Up to this many bytes a payload is handed out whole. */
const WHOLE = 262_144;

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function unreadable(number: MessageNumber, why: string): PayloadResult {
  return { kind: 'unreadable', reason: `the message ${number} in the spool cannot be read: ${why}` };
}

export function readPayload(
  disk: Disk,
  layout: StateLayout,
  shelf: SpoolIndex,
  number: MessageNumber,
): PayloadResult {
  const path = layout.message(number);
  try {
    const { status, bytes } = disk.read(path, WHOLE + 1);
    if (status.kind !== 'file') return unreadable(number, 'it is not a file');
    if (bytes.length === 0) return { kind: 'empty', reason: `the message ${number} in the spool is empty` };
    if (storedControl(bytes) !== null) {
      shelf.refresh(number);
      return unreadable(number, 'it is a delivery list, not a mail');
    }
    shelf.put(number, { kind: 'payload', status });
    if (bytes.length > WHOLE) {
      return { kind: 'found', message: { size: status.size, bytes: null, stream: () => disk.stream(path) } };
    }
    return { kind: 'found', message: { size: bytes.length, bytes, stream: () => once(bytes) } };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    if (errorCode(error) !== 'ENOENT') return unreadable(number, describeError(error));
    return { kind: 'missing', reason: `the message ${number} is not in the spool any more` };
  }
}
