/** Puts beside a job what was known of it in the queue where it was: requests, what its sender asked for and was told. Done again, it changes nothing. */

import type { DsnStore, JobKey, Notified } from '../../dsn-store.ts';
import type { Carried } from '../../moving/carried.ts';
import { type RequestDeps, replaceRequest } from '../requests/requests.ts';
import { writeDsnRequest } from './dsn-requests.ts';

/** The payload is there by now. Resolves when everything is durable. */
export async function carryNotes(
  deps: RequestDeps,
  notes: DsnStore,
  key: JobKey,
  { request, dsn, told, firstAttempt }: Carried,
): Promise<void> {
  if (dsn !== null) await writeDsnRequest(deps, key.msgid, key.submitted ?? 0, dsn);
  const known = new Set((await notes.notified(key)).map(nameOf));
  const news = told.filter((notified) => !known.has(nameOf(notified)));
  if (news.length > 0) await notes.recordNotified(key, news);
  if (firstAttempt !== null) await notes.recordFirstAttempt(key, firstAttempt);
  if (request === null) return;
  await replaceRequest(deps, request.what, key, request);
  await deps.disk.syncDirectory(deps.layout.requests);
}

function nameOf({ address, what }: Notified): string {
  return `${what} ${address}`;
}
