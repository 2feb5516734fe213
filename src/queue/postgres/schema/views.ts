/**
 * The queue for people who prefer psql: text as UTF-8 where it is, times as such, words in place of digits. They read lists as the
 * program does, roughly: what decides deliveries is read by the program alone.
 */
export const VIEWS = `
-- Bytes as text: UTF-8 where they are that, otherwise Latin-1.
CREATE FUNCTION spoolroom.readable(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF position('\\x00'::bytea IN bytes) > 0 THEN RETURN encode(bytes, 'escape'); END IF;
  RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  RETURN convert_from(bytes, 'LATIN1');
END
$$;

-- A field of a list: of several lines the last one counts. Null: there is none.
CREATE FUNCTION spoolroom.field(list bytea, keyword text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT spoolroom.readable(decode(
    substring(encode(list, 'escape') FROM '(?i).*\\n' || keyword || '\\|([^|\\r\\n]*)'), 'escape'))
$$;

CREATE FUNCTION spoolroom.time_of(seconds text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN seconds ~ '^[0-9]{1,11}$' AND seconds !~ '^0+$' THEN to_timestamp(seconds::bigint) END
$$;

-- Each recipient of each job, with outcomes that are not in its list yet.
CREATE VIEW spoolroom.recipient AS
SELECT read.control AS job, read.number, spoolroom.readable(read.address) AS recipient,
  CASE coalesce(outcome.status, read.status)
    WHEN 0 THEN 'new' WHEN 2 THEN 'delivered' WHEN 3 THEN 'deferred' WHEN 4 THEN 'deferred' WHEN 5 THEN 'refused' ELSE 'other' END AS status,
  coalesce(spoolroom.readable(outcome.text), read.answer) AS answer,
  lower(substring(spoolroom.readable(read.address) FROM '@([^@<>]*)>?[^@]*$')) AS destination
FROM (
  SELECT control, number, decode(fields[2], 'escape') AS address,
    CASE WHEN fields[3] ~ '^[0-9]{1,4}$' THEN fields[3]::integer ELSE 0 END AS status,
    spoolroom.readable(decode(coalesce(fields[4], ''), 'escape')) AS answer,
    row_number() OVER (PARTITION BY control, fields[2] ORDER BY number) - 1 AS nth
  FROM spoolroom.job
    CROSS JOIN LATERAL regexp_split_to_table(encode(list, 'escape'), '\\r?\\n') WITH ORDINALITY AS line (text, number)
    CROSS JOIN LATERAL string_to_array(text, '|') AS fields
  WHERE problem IS NULL AND text ~* '^remote\\|'
) AS read
LEFT JOIN spoolroom.outcome USING (control, address, nth);

-- Each job. next_attempt: null where it is due, held, or being delivered.
CREATE VIEW spoolroom.queue AS
SELECT job.control AS job, job.message AS mail,
  CASE
    WHEN job.problem IS NOT NULL THEN 'unreadable'
    WHEN job.request = 'remove' THEN 'removed'
    WHEN message.claim IS NOT NULL THEN 'delivering'
    WHEN message.due IS NULL THEN 'held'
    WHEN message.due <= extract(epoch FROM now()) THEN 'due'
    ELSE 'waiting' END AS state,
  coalesce(spoolroom.field(list, 'envelope_from'), spoolroom.field(list, 'bounceto')) AS sender,
  pending.recipients, pending.count AS pending,
  spoolroom.time_of(spoolroom.field(list, 'submitted')) AS submitted,
  spoolroom.time_of(spoolroom.field(list, 'attempted')) AS attempted,
  CASE WHEN message.claim IS NULL AND message.due > 0 THEN to_timestamp(message.due) END AS next_attempt,
  coalesce(job.problem, pending.answer) AS answer, message.size, worker.host || ' ' || worker.pid AS process,
  job.request, CASE WHEN job.request IS NOT NULL THEN job.asked_by END AS asked_by,
  CASE WHEN job.request IS NOT NULL THEN to_timestamp(job.asked_at) END AS asked
FROM spoolroom.job
LEFT JOIN spoolroom.message ON message.id = job.message
LEFT JOIN spoolroom.worker ON worker.epoch = message.claim
LEFT JOIN LATERAL (
  SELECT count(*) AS count, string_agg(recipient, ', ' ORDER BY number) AS recipients, max(nullif(answer, '')) AS answer
  FROM spoolroom.recipient WHERE recipient.job = job.control AND status IN ('new', 'deferred')
) AS pending ON true;

-- Where mail waits to go: pending recipients by domain. answer: the one that most of them got last.
CREATE VIEW spoolroom.waiting_by_destination AS
SELECT destination, count(*) AS recipients, count(DISTINCT queue.job) AS jobs,
  count(DISTINCT queue.job) FILTER (WHERE state = 'held') AS held, min(submitted) AS oldest, min(next_attempt) AS next_attempt,
  mode() WITHIN GROUP (ORDER BY nullif(recipient.answer, '')) AS answer
FROM spoolroom.recipient JOIN spoolroom.queue ON queue.job = recipient.job
WHERE recipient.status IN ('new', 'deferred') AND state NOT IN ('removed', 'unreadable')
GROUP BY destination;

-- Who delivers, and what each has in hand.
CREATE VIEW spoolroom.process AS
SELECT host, pid, started, lease_until, lease_until > clock_timestamp() AS alive,
  (SELECT count(*) FROM spoolroom.message WHERE claim = epoch) AS messages
FROM spoolroom.worker;
`;
