/**
 * Claims, in SQL. A worker is one process from start to end; what it claimed is its own until it gives it back or its lease has
 * ended by the clock of the database. Lanes are served in turn: one that was served goes behind all that wait.
 *
 * A lane's turn never lies beyond the due time of what is in it: whoever makes a message due holds the lane's lock, shared, until
 * it commits; whoever puts a turn off holds it alone and has looked again. So no statement waits for another here but on rows.
 */
export const CLAIMS = `
CREATE FUNCTION spoolroom.lane_lock(lane_name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('spoolroom ' || lane_name, 0)
$$;

-- Unix seconds by the clock of the database, unless the caller has one of its own (the setting now).
CREATE FUNCTION spoolroom.moment(given double precision) RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(given, extract(epoch FROM clock_timestamp()))
$$;

-- When a message is due by its jobs: the last of them decides, a hold holds all, a retry is for all.
CREATE FUNCTION spoolroom.due_of(msgid bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT CASE
    WHEN count(*) = 0 OR bool_or(request IN ('hold', 'remove')) THEN NULL
    WHEN bool_or(request IN ('retry', 'give-up')) THEN 0
    ELSE max(due) END
  FROM spoolroom.job WHERE message = msgid
$$;

CREATE FUNCTION spoolroom.wake(lane_name text, at_time double precision) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(spoolroom.lane_lock(lane_name));
  IF NOT EXISTS (SELECT FROM spoolroom.lane WHERE name = lane_name AND turn <= at_time) THEN
    INSERT INTO spoolroom.lane AS known VALUES (lane_name, at_time)
      ON CONFLICT (name) DO UPDATE SET turn = least(known.turn, excluded.turn);
  END IF;
END
$$;

-- Messages are nobody's any more, and due as their jobs say.
CREATE FUNCTION spoolroom.put_back(ids bigint[], given double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  freed record;
BEGIN
  FOR freed IN
    WITH back AS (
      UPDATE spoolroom.message SET claim = NULL, due = spoolroom.due_of(id) WHERE id = ANY (ids) RETURNING lane, due
    )
    SELECT lane, min(due) AS due FROM back WHERE due IS NOT NULL GROUP BY lane ORDER BY lane
  LOOP
    PERFORM spoolroom.wake(freed.lane, greatest(freed.due, spoolroom.moment(given)));
  END LOOP;
END
$$;

CREATE FUNCTION spoolroom.end_workers(ended bigint[], given double precision) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM spoolroom.worker WHERE epoch = ANY (ended);
  PERFORM spoolroom.put_back(
    ARRAY(SELECT id FROM spoolroom.message WHERE claim = ANY (ended) ORDER BY id FOR UPDATE), given);
END
$$;

-- A new worker. One of the same name and the same start of the same machine is dead: the new one holds its lock.
CREATE FUNCTION spoolroom.enter(
  new_name text, new_boot text, new_host text, new_pid integer, seconds double precision, given double precision
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  mine bigint;
BEGIN
  PERFORM spoolroom.end_workers(
    ARRAY(SELECT epoch FROM spoolroom.worker WHERE name = new_name AND boot = new_boot AND boot <> '' FOR UPDATE), given);
  INSERT INTO spoolroom.worker (name, boot, host, pid, lease_until)
    VALUES (new_name, new_boot, new_host, new_pid, clock_timestamp() + make_interval(secs => seconds))
    RETURNING epoch INTO mine;
  RETURN mine;
END
$$;

-- False: the lease has ended, and what was claimed under it is or will be somebody else's.
CREATE FUNCTION spoolroom.renew(me bigint, seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE spoolroom.worker SET lease_until = clock_timestamp() + make_interval(secs => seconds)
    WHERE epoch = me AND lease_until > clock_timestamp();
  RETURN FOUND;
END
$$;

CREATE FUNCTION spoolroom.reap(given double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ended bigint[] := ARRAY(
    SELECT epoch FROM spoolroom.worker WHERE lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED);
BEGIN
  IF cardinality(ended) > 0 THEN PERFORM spoolroom.end_workers(ended, given); END IF;
END
$$;

-- Lanes that were served: their turn is after that of all that wait. Where nothing is due a lane waits for its time, or goes.
CREATE FUNCTION spoolroom.park(lanes text[], at_time double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  idle text[] := ARRAY(
    SELECT name FROM unnest(lanes) AS name WHERE NOT EXISTS (
      SELECT FROM spoolroom.message WHERE lane = name AND claim IS NULL AND due <= at_time));
BEGIN
  idle := ARRAY(SELECT name FROM unnest(idle) AS name WHERE pg_try_advisory_xact_lock(spoolroom.lane_lock(name)));
  -- Nobody makes anything due in these until this is committed, and who did so before is seen by now.
  UPDATE spoolroom.lane SET turn = greatest(at_time, CASE WHEN name = ANY (idle)
      THEN (SELECT min(due) FROM spoolroom.message WHERE lane = name AND claim IS NULL AND due IS NOT NULL) END)
    WHERE name = ANY (lanes);
  DELETE FROM spoolroom.lane WHERE name = ANY (idle)
    AND NOT EXISTS (SELECT FROM spoolroom.message WHERE lane = name AND claim IS NULL AND due IS NOT NULL);
END
$$;

-- At most so many messages, the same share of each lane whose turn it is. Those that are not wanted are still in this process's
-- hands under a claim that it lost. taken is null where the lease has ended; more: something is due still.
CREATE FUNCTION spoolroom.claim(
  me bigint, most integer, given double precision, unwanted bigint[], OUT taken bigint[], OUT more boolean
) LANGUAGE plpgsql AS $$
DECLARE
  at_time double precision := spoolroom.moment(given);
  lanes text[];
BEGIN
  PERFORM FROM spoolroom.worker WHERE epoch = me AND lease_until > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  lanes := ARRAY(SELECT name FROM spoolroom.lane WHERE turn <= at_time ORDER BY turn LIMIT least(most, 200) FOR UPDATE SKIP LOCKED);
  IF cardinality(lanes) > 0 THEN
    WITH found AS MATERIALIZED (
      SELECT next.id FROM unnest(lanes) AS served CROSS JOIN LATERAL (
        SELECT id FROM spoolroom.message
          WHERE lane = served AND claim IS NULL AND due <= at_time AND id <> ALL (unwanted)
          ORDER BY due, id LIMIT most / cardinality(lanes) FOR UPDATE SKIP LOCKED
      ) AS next
    ), claimed AS (
      UPDATE spoolroom.message SET claim = me FROM found WHERE message.id = found.id RETURNING message.id
    )
    SELECT array_agg(id) INTO taken FROM claimed;
    PERFORM spoolroom.park(lanes, at_time);
  END IF;
  taken := coalesce(taken, '{}');
  more := EXISTS (SELECT FROM spoolroom.lane WHERE turn <= at_time);
END
$$;

-- Everything that is nobody's and not held, whatever its time says: for a forced run and for tests.
CREATE FUNCTION spoolroom.claim_all(me bigint, most integer, unwanted bigint[], OUT taken bigint[], OUT more boolean)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM spoolroom.worker WHERE epoch = me AND lease_until > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  WITH found AS (
    SELECT id FROM spoolroom.message WHERE claim IS NULL AND due IS NOT NULL AND id <> ALL (unwanted)
      ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE spoolroom.message SET claim = me FROM found WHERE message.id = found.id RETURNING message.id
  )
  SELECT coalesce(array_agg(id), '{}') INTO taken FROM claimed;
  more := cardinality(taken) >= most;
END
$$;
`;
