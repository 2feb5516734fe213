/** The statements of src/queue/postgres, by a part of their text, and what each does to the model. */
import type { Row } from '../../../src/queue/postgres/database/database.ts';
import type { Answer, Columns, ModelDatabase, ModelJob, Outcome, Values } from './model-database.ts';

function rowsOf(columns: Columns): Outcome[] {
  const [controls = [], addresses = [], nths = [], statuses = [], texts = [], ats = []] = columns;
  return controls.map((control, at) => ({
    control,
    address: addresses[at] as unknown as Buffer,
    nth: nths[at] as unknown as number,
    status: statuses[at] as unknown as number,
    text: texts[at] as unknown as Buffer,
    at: ats[at] as unknown as number,
  }));
}

function jobRow({ control, message, list }: ModelJob): Row {
  const nothing = { request: null, asked_by: null, asked_at: null, dsn: null, told: [], first_attempt: null };
  return { control, message, list, ...nothing };
}

/** Where there is nothing to purge, to wait for, or to tell. */
export const WITHOUT_EFFECT =
  /LISTEN|spoolroom\.purge|FROM spoolroom\.message WHERE id = \$1 FOR UPDATE|problem IS NOT NULL/;

type Perform = (database: ModelDatabase, ...values: Values) => Answer;

const one = (value: unknown): number => value as number;
const many = (value: unknown): readonly number[] => value as readonly number[];
const columns = (values: Values): Columns => values as Columns;

/** Jobs and outcomes, by one control number or several. */
const among =
  (given: unknown) =>
  ({ control }: { readonly control: number }): boolean =>
    Array.isArray(given) ? given.includes(control) : given === control;

/** By a part of the text that no earlier one has. */
export const STATEMENTS: readonly (readonly [string, Perform])[] = [
  [
    'AS is_list',
    (db, id) => {
      const bytes = db.messages.get(one(id))?.bytes ?? null;
      return [{ is_list: false, size: bytes?.length ?? null, bytes }];
    },
  ],
  [
    'spoolroom.enter(',
    (db, name, boot, _, __, seconds) => [{ epoch: db.enter(`${name} ${boot}`, one(seconds)) }],
  ],
  ['spoolroom.renew(', (db, epoch, seconds) => [{ alive: db.renew(one(epoch), one(seconds)) }]],
  [
    'spoolroom.share(',
    (db, epoch, request, seconds, ...rest) => db.share(one(epoch), one(request), one(seconds), columns(rest)),
  ],
  ['LEFT JOIN spoolroom.throttled', (db) => [{ now: db.now() * 1000, name: null, value: null }]],
  ['spoolroom.reap(', (db) => db.reap()],
  ['spoolroom.claim(', (db, epoch, most, _, unwanted) => [db.claim(one(epoch), one(most), many(unwanted))]],
  [
    'id = ANY ($1) AND claim = $2',
    (db, ids, epoch) => db.putBack(many(ids).filter((id) => db.messages.get(id)?.claim === epoch)),
  ],
  [
    'claim = $1 AND id <> ALL ($2)',
    (db, epoch, known) =>
      db.putBack(
        [...db.messages].flatMap(([id, { claim }]) =>
          claim === epoch && !many(known).includes(id) ? [id] : [],
        ),
      ),
  ],
  [
    'spoolroom.record(',
    (db, epoch, ...rest) => {
      const isMine = (control: number): boolean => db.isMine(control, one(epoch));
      db.upsert(rowsOf(columns(rest)).filter(({ control }) => isMine(control)));
      return [{ mine: many(rest[0]).filter(isMine) }];
    },
  ],
  ['spoolroom.fold(', (db, epoch, ...rest) => [{ written: db.fold(one(epoch), columns(rest)) }]],
  [
    'spoolroom.finish(',
    (db, epoch, controls, hashes) => [
      { over: db.finish(one(epoch), many(controls), hashes as readonly string[]) },
    ],
  ],
  ['INSERT INTO spoolroom.outcome', (db, ...rest) => db.upsert(rowsOf(columns(rest)))],
  [
    'WHERE message = ANY ($1)',
    (db, ids) => [...db.jobs.values()].filter(({ message }) => many(ids).includes(message)).map(jobRow),
  ],
  ['FROM spoolroom.job WHERE control', (db, given) => [...db.jobs.values()].filter(among(given)).map(jobRow)],
  [
    'FROM spoolroom.outcome WHERE control',
    (db, given) => [...db.outcomes.values()].filter(among(given)).map((row) => ({ ...row })),
  ],
];
