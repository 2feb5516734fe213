/**
 * Jobs and their outcomes, in SQL. 4 and 5 need the claim that is current; 2 is a fact and is taken from a stale one as well, by
 * `record_late`, while its recipient is open. A final status never changes again. A job ends in one transaction with its outcomes,
 * and with its message when no other job names that.
 */
export const JOBS = `
-- A job and, where it is small, the bytes of its message: one transaction. A larger message has its chunks by now.
CREATE FUNCTION spoolroom.enqueue(
  msgid bigint, msg_size bigint, msg_bytes bytea, new_control bigint, new_list bytea, lane_name text, new_dsn jsonb,
  given double precision
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO spoolroom.message AS known (id, size, lane, due) VALUES (msgid, msg_size, lane_name, 0)
    ON CONFLICT (id) DO UPDATE SET size = excluded.size, lane = excluded.lane, due = excluded.due;
  IF msg_bytes IS NOT NULL THEN INSERT INTO spoolroom.chunk VALUES (msgid, 0, msg_bytes); END IF;
  INSERT INTO spoolroom.job (control, message, list, dsn) VALUES (new_control, msgid, new_list, new_dsn);
  PERFORM spoolroom.wake(lane_name, spoolroom.moment(given));
END
$$;

-- A control message as it is, under its number, from another queue. Its message is there by now, or is missing.
CREATE FUNCTION spoolroom.adopt(
  new_control bigint, msgid bigint, new_list bytea, new_due bigint, lane_name text, why text, new_request text, new_dsn jsonb,
  given double precision
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF msgid IS NOT NULL THEN
    INSERT INTO spoolroom.message (id, lane) VALUES (msgid, lane_name) ON CONFLICT (id) DO NOTHING;
    UPDATE spoolroom.message SET lane = lane_name WHERE id = msgid AND lane = '';
  END IF;
  INSERT INTO spoolroom.job (control, message, list, due, problem, request, asked_by, asked_at, dsn)
    VALUES (new_control, msgid, new_list, new_due, why, new_request, 'import', spoolroom.moment(given), new_dsn);
  PERFORM spoolroom.put_back(ARRAY(SELECT id FROM spoolroom.message WHERE id = msgid AND claim IS NULL FOR UPDATE), given);
  -- It was made by hand, or by a server that counts otherwise: no later number is one of these.
  PERFORM setval('spoolroom.number', greatest((SELECT last_value FROM spoolroom.number), new_control, msgid));
END
$$;

-- The jobs of these whose messages are claimed by me: theirs are recorded. Requests that this attempt carries out are done.
CREATE FUNCTION spoolroom.record(
  me bigint, controls bigint[], addresses bytea[], nths integer[], statuses integer[], texts bytea[], ats bigint[],
  done_requests bigint[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  mine bigint[] := ARRAY(
    SELECT job.control FROM spoolroom.job JOIN spoolroom.message ON message.id = job.message
      WHERE job.control = ANY (controls) AND message.claim = me ORDER BY message.id FOR SHARE OF message);
BEGIN
  INSERT INTO spoolroom.outcome AS known (control, address, nth, status, text, at)
    SELECT * FROM unnest(controls, addresses, nths, statuses, texts, ats) AS new (control, address, nth, status, text, at)
      WHERE new.control = ANY (mine) ORDER BY 1, 2, 3
    ON CONFLICT (control, address, nth)
      DO UPDATE SET status = excluded.status, text = excluded.text, at = excluded.at WHERE known.status = 4;
  UPDATE spoolroom.job SET request = NULL, asked_by = NULL, asked_at = NULL
    WHERE control = ANY (done_requests) AND control = ANY (mine) AND request IN ('retry', 'give-up');
  RETURN mine;
END
$$;

-- Control messages brought up to date, unless somebody else changed them: their outcomes are in them now.
CREATE FUNCTION spoolroom.fold(
  me bigint, controls bigint[], old_hashes text[], lists bytea[], dues bigint[],
  of_controls bigint[], addresses bytea[], nths integer[], statuses integer[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  written bigint[];
BEGIN
  PERFORM FROM spoolroom.message JOIN spoolroom.job ON job.message = message.id
    WHERE job.control = ANY (controls) AND message.claim = me ORDER BY message.id FOR SHARE OF message;
  WITH changed AS (
    UPDATE spoolroom.job SET list = new.list, due = new.due
      FROM unnest(controls, old_hashes, lists, dues) AS new (control, hash, list, due)
      WHERE job.control = new.control AND md5(job.list) = new.hash
        AND EXISTS (SELECT FROM spoolroom.message WHERE message.id = job.message AND message.claim = me)
      RETURNING job.control
  )
  SELECT coalesce(array_agg(control), '{}') INTO written FROM changed;
  DELETE FROM spoolroom.outcome USING unnest(of_controls, addresses, nths, statuses) AS old (control, address, nth, status)
    WHERE outcome.control = old.control AND outcome.address = old.address AND outcome.nth = old.nth
      AND outcome.status = old.status AND old.control = ANY (written);
  RETURN written;
END
$$;

-- Jobs that are over: those that are mine and whose lists are as I know them.
CREATE FUNCTION spoolroom.finish(me bigint, controls bigint[], hashes text[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  messages bigint[] := ARRAY(
    SELECT message.id FROM spoolroom.job JOIN spoolroom.message ON message.id = job.message
      WHERE job.control = ANY (controls) AND message.claim = me ORDER BY message.id FOR UPDATE OF message);
  over bigint[];
BEGIN
  WITH gone AS (
    DELETE FROM spoolroom.job USING unnest(controls, hashes) AS old (control, hash)
      WHERE job.control = old.control AND job.message = ANY (messages) AND md5(job.list) = old.hash
      RETURNING job.control
  )
  SELECT coalesce(array_agg(control), '{}') INTO over FROM gone;
  DELETE FROM spoolroom.message WHERE id = ANY (messages) AND NOT EXISTS (SELECT FROM spoolroom.job WHERE message = id);
  RETURN over;
END
$$;

-- What nobody asks for any more: jobs that were removed long ago, and messages that never got a job because whoever put them there
-- died.
CREATE FUNCTION spoolroom.purge() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  old bigint[] := ARRAY(SELECT control FROM spoolroom.job JOIN spoolroom.message ON message.id = job.message
    WHERE request = 'remove' AND asked_at < extract(epoch FROM clock_timestamp()) - 30 * 86400 AND claim IS NULL
    FOR UPDATE OF message);
  messages bigint[];
BEGIN
  WITH gone AS (DELETE FROM spoolroom.job WHERE control = ANY (old) RETURNING message)
    SELECT array_agg(message) INTO messages FROM gone;
  DELETE FROM spoolroom.message WHERE id = ANY (messages) AND NOT EXISTS (SELECT FROM spoolroom.job WHERE message = id);
  DELETE FROM spoolroom.message WHERE size IS NULL AND begun < clock_timestamp() - interval '1 day'
    AND NOT EXISTS (SELECT FROM spoolroom.job WHERE message = id);
END
$$;

-- A request of an administrator. One that is being delivered is asked when its delivery has ended.
CREATE FUNCTION spoolroom.ask(controls bigint[], new_request text, who text, at_second bigint, given double precision)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  messages bigint[] := ARRAY(
    SELECT id FROM spoolroom.message WHERE id IN (SELECT message FROM spoolroom.job WHERE control = ANY (controls))
      ORDER BY id FOR UPDATE);
BEGIN
  UPDATE spoolroom.job
    SET request = new_request,
      asked_by = CASE WHEN new_request IS NULL THEN NULL ELSE who END,
      asked_at = CASE WHEN new_request IS NULL THEN NULL ELSE at_second END
    WHERE control = ANY (controls) AND NOT (request IS NOT DISTINCT FROM 'hold' AND new_request IS NOT DISTINCT FROM 'retry');
  PERFORM spoolroom.put_back(ARRAY(SELECT id FROM spoolroom.message WHERE id = ANY (messages) AND claim IS NULL), given);
END
$$;
`;
