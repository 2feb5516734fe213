/**
 * A database that was restored from a dump, or copied, has processes and claims of the one from which it came. Whoever enters, or
 * renews a lease, first ends these: nobody has a lease in a copy that was taken elsewhere. Numbers and epochs go on a million
 * higher, because the other one has given more of them since. A standby that is promoted is no copy.
 */
export const COPIES = `
CREATE TABLE spoolroom.place (identity text NOT NULL);

CREATE FUNCTION spoolroom.here() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat_ws('/', system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()),
    'spoolroom.worker'::regclass::oid)
  FROM pg_control_system()
$$;

CREATE FUNCTION spoolroom.settle(given double precision) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM spoolroom.place WHERE identity = spoolroom.here()) THEN RETURN; END IF;
  LOCK TABLE spoolroom.place IN EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM spoolroom.place WHERE identity = spoolroom.here()) THEN RETURN; END IF;
  IF EXISTS (SELECT FROM spoolroom.place) THEN
    DELETE FROM spoolroom.worker;
    PERFORM spoolroom.put_back(ARRAY(SELECT id FROM spoolroom.message WHERE claim IS NOT NULL ORDER BY id FOR UPDATE), given);
    PERFORM setval('spoolroom.number', (SELECT last_value FROM spoolroom.number) + 1000000);
    PERFORM setval('spoolroom.worker_epoch_seq', (SELECT last_value FROM spoolroom.worker_epoch_seq) + 1000000);
    DELETE FROM spoolroom.place;
  END IF;
  INSERT INTO spoolroom.place VALUES (spoolroom.here());
END
$$;

CREATE OR REPLACE FUNCTION spoolroom.enter(
  new_name text, new_boot text, new_host text, new_pid integer, seconds double precision, given double precision
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  mine bigint;
BEGIN
  PERFORM spoolroom.settle(given);
  PERFORM spoolroom.end_workers(
    ARRAY(SELECT epoch FROM spoolroom.worker WHERE name = new_name AND boot = new_boot AND boot <> '' FOR UPDATE), given);
  INSERT INTO spoolroom.worker (name, boot, host, pid, lease_until)
    VALUES (new_name, new_boot, new_host, new_pid, clock_timestamp() + make_interval(secs => seconds))
    RETURNING epoch INTO mine;
  RETURN mine;
END
$$;

CREATE OR REPLACE FUNCTION spoolroom.renew(me bigint, seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM spoolroom.settle(NULL);
  UPDATE spoolroom.worker SET lease_until = clock_timestamp() + make_interval(secs => seconds)
    WHERE epoch = me AND lease_until > clock_timestamp();
  RETURN FOUND;
END
$$;
`;
