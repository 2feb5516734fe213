/**
 * What the database itself says of second copies, exactly: when each claim was given, and when each delivery was recorded, in the
 * transactions that did so. Whoever was given a message after its delivery to somebody was recorded must not deliver it to them again.
 * Times are those of the machine, whatever is done to the database's clock.
 */
import type { Statements } from '../../src/queue/postgres/database/database.ts';
import type { Arrival } from './sink.ts';

export const LEDGER = `
CREATE SCHEMA ledger;
CREATE FUNCTION ledger.now() RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT extract(epoch FROM pg_catalog.clock_timestamp()) * 1000
$$;
CREATE TABLE ledger.entered (epoch bigint PRIMARY KEY, pid integer NOT NULL);
CREATE TABLE ledger.claimed (message bigint NOT NULL, epoch bigint NOT NULL, at double precision DEFAULT ledger.now());
CREATE TABLE ledger.delivered (message bigint NOT NULL, address bytea NOT NULL, at double precision DEFAULT ledger.now());

CREATE FUNCTION ledger.enter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO ledger.entered VALUES (NEW.epoch, NEW.pid); RETURN NULL; END $$;
CREATE FUNCTION ledger.claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO ledger.claimed VALUES (NEW.id, NEW.claim); RETURN NULL; END $$;
CREATE FUNCTION ledger.deliver() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger.delivered SELECT message, NEW.address FROM spoolroom.job WHERE control = NEW.control;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger AFTER INSERT ON spoolroom.worker FOR EACH ROW EXECUTE FUNCTION ledger.enter();
CREATE TRIGGER ledger AFTER UPDATE OF claim ON spoolroom.message FOR EACH ROW
  WHEN (NEW.claim IS NOT NULL AND NEW.claim IS DISTINCT FROM OLD.claim) EXECUTE FUNCTION ledger.claim();
CREATE TRIGGER ledger AFTER INSERT OR UPDATE ON spoolroom.outcome FOR EACH ROW
  WHEN (NEW.status = 2) EXECUTE FUNCTION ledger.deliver();
`;

/** Copies that came from who was given the message after the delivery of another one was recorded; as lines for people. */
export async function afterRecord(
  database: Statements,
  copies: readonly Arrival[],
  nameOf: (pid: number) => string,
): Promise<readonly string[]> {
  const rows = await database.query(
    `SELECT convert_from(address, 'UTF8') AS recipient, entered.pid, claimed.at AS claimed, delivered.at AS delivered
      FROM (SELECT message, address, min(at) AS at FROM ledger.delivered GROUP BY message, address) AS delivered
      JOIN ledger.claimed ON claimed.message = delivered.message AND claimed.at > delivered.at
      JOIN ledger.entered USING (epoch)
      WHERE address = ANY ($1)`,
    [copies.map(({ recipient }) => Buffer.from(recipient))],
  );
  return copies.flatMap(({ recipient, worker, wall }) =>
    rows
      .filter(
        (row) =>
          row.recipient === recipient && nameOf(row.pid as number) === worker && Number(row.claimed) < wall,
      )
      .map(
        (row) => `${recipient} from ${worker} at ${wall}: delivered ${row.delivered}, claimed ${row.claimed}`,
      ),
  );
}
