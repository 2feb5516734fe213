/**
 * Requests, and the end of a process that had claims, wake the processes that deliver. New mail is told of by whoever put it there,
 * after its commit: transactions that notify commit one after the other.
 */
export const NOTICES = `
CREATE OR REPLACE FUNCTION spoolroom.ask(
  controls bigint[], new_request text, who text, at_second bigint, given double precision
) RETURNS void LANGUAGE plpgsql AS $$
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
  PERFORM pg_notify('spoolroom', 'due');
END
$$;

CREATE OR REPLACE FUNCTION spoolroom.end_workers(ended bigint[], given double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  left_over bigint[];
BEGIN
  DELETE FROM spoolroom.worker WHERE epoch = ANY (ended);
  left_over := ARRAY(SELECT id FROM spoolroom.message WHERE claim = ANY (ended) ORDER BY id FOR UPDATE);
  IF cardinality(left_over) > 0 THEN
    PERFORM spoolroom.put_back(left_over, given);
    PERFORM pg_notify('spoolroom', 'due');
  END IF;
END
$$;
`;
