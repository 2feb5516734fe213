/**
 * Limits that hold for all processes together. Each process has a share of the sessions at a place (a host, or the hosts of an
 * entry of the settings), under its lease: when that ends, others may have them. Shares change under a lock on the place, so that
 * their sum is never more than the limit; what a process says to have open is a fact and stands.
 *
 * A process that waits with less than an equal share, or without any, goes before those that have more, the longest waiting of
 * them first. Where its turn is, is a time for messages or sessions that are spread evenly.
 */
export const LIMITS = `
ALTER TABLE spoolroom.worker ADD asked bigint NOT NULL DEFAULT 0;

CREATE TABLE spoolroom.share (
  place text NOT NULL,
  worker bigint NOT NULL REFERENCES spoolroom.worker ON DELETE CASCADE,
  held integer NOT NULL,
  wanted integer NOT NULL,
  since double precision,
  heed_until double precision NOT NULL,
  PRIMARY KEY (place, worker)
);
CREATE INDEX share_worker ON spoolroom.share (worker);

CREATE TABLE spoolroom.turn (
  name text PRIMARY KEY,
  next double precision NOT NULL
);

ALTER TABLE spoolroom.share SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE spoolroom.turn SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- For so many seconds others heed that it waits. What me may have at places: no less than keeps, which it has and says that it uses; needs are what it would use now, aheads what it
-- would take besides. granted is null where the lease has ended, or a later request was there before.
CREATE FUNCTION spoolroom.share(
  me bigint, request bigint, seconds double precision, places text[], limits integer[], keeps integer[], needs integer[], aheads integer[],
  OUT granted integer[], OUT contested boolean[]
) LANGUAGE plpgsql AS $$
DECLARE
  asked record;
  others record;
  mine spoolroom.share;
  fair integer;
  isLow boolean;
  grants integer;
  holds integer;
  at_time double precision;
BEGIN
  UPDATE spoolroom.worker SET asked = request
    WHERE epoch = me AND lease_until > clock_timestamp() AND worker.asked < request;
  IF NOT FOUND THEN RETURN; END IF;
  granted := array_fill(0, ARRAY[cardinality(places)]);
  contested := array_fill(false, ARRAY[cardinality(places)]);
  FOR asked IN
    SELECT * FROM unnest(places, limits, keeps, needs, aheads) WITH ORDINALITY AS each (place, most, keep, need, ahead, nth)
      ORDER BY hashtextextended('spoolroom share ' || place, 0)
  LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('spoolroom share ' || asked.place, 0));
    at_time := extract(epoch FROM clock_timestamp());
    SELECT * INTO mine FROM spoolroom.share WHERE place = asked.place AND worker = me;
    SELECT coalesce(sum(held), 0)::integer AS held, (count(*) FILTER (WHERE wanted > 0))::integer AS wanting,
        coalesce(bool_or(wanted > held), false) AS waiting
      INTO others FROM spoolroom.share JOIN spoolroom.worker ON epoch = worker
      WHERE place = asked.place AND worker <> me AND lease_until > clock_timestamp();
    fair := asked.most / greatest(1, others.wanting + CASE WHEN asked.need > 0 THEN 1 ELSE 0 END);
    isLow := greatest(asked.keep, coalesce(mine.held, 0)) < greatest(1, fair);
    grants := greatest(0, least(asked.ahead, asked.most - others.held));
    IF EXISTS (
      SELECT FROM spoolroom.share JOIN spoolroom.worker ON epoch = worker
        WHERE place = asked.place AND worker <> me AND lease_until > clock_timestamp()
          AND wanted > held AND held < greatest(1, fair) AND heed_until > at_time
          AND (NOT isLow OR since < coalesce(mine.since, at_time))
    ) THEN grants := least(grants, fair); END IF;
    holds := greatest(asked.keep, grants);
    IF others.waiting AND holds < coalesce(mine.held, 0) OR asked.need > grants AND mine.since IS NULL THEN
      PERFORM pg_notify('spoolroom', 'limits ' || me || ' ' || asked.place);
    END IF;
    IF holds = 0 AND asked.need = 0 THEN
      DELETE FROM spoolroom.share WHERE place = asked.place AND worker = me;
    ELSE
      INSERT INTO spoolroom.share AS known VALUES (asked.place, me, holds, asked.need, CASE
          WHEN asked.need <= grants THEN NULL
          WHEN mine.since IS NULL OR holds < mine.held THEN at_time
          ELSE mine.since END, at_time + seconds)
        ON CONFLICT (place, worker) DO UPDATE
          SET held = excluded.held, wanted = excluded.wanted, since = excluded.since, heed_until = excluded.heed_until
          WHERE excluded.since IS NOT NULL
            OR (known.held, known.wanted, known.since) IS DISTINCT FROM (excluded.held, excluded.wanted, excluded.since);
    END IF;
    granted[asked.nth] := grants;
    contested[asked.nth] := others.waiting;
  END LOOP;
END
$$;

-- Milliseconds until the turns that are taken: for each name one in so many milliseconds, as given with it.
CREATE FUNCTION spoolroom.turns(names text[], betweens double precision[]) RETURNS double precision[] LANGUAGE plpgsql AS $$
DECLARE
  asked record;
  at_time double precision := extract(epoch FROM clock_timestamp()) * 1000;
  after double precision;
  delays double precision[] := array_fill(0::double precision, ARRAY[cardinality(names)]);
BEGIN
  FOR asked IN SELECT * FROM unnest(names, betweens) WITH ORDINALITY AS each (name, between, nth) ORDER BY name, nth LOOP
    INSERT INTO spoolroom.turn AS known VALUES (asked.name, at_time + asked.between)
      ON CONFLICT (name) DO UPDATE SET next = greatest(known.next, at_time) + asked.between
      RETURNING next - asked.between INTO after;
    delays[asked.nth] := greatest(0, after - at_time);
  END LOOP;
  RETURN delays;
END
$$;

CREATE OR REPLACE FUNCTION spoolroom.end_workers(ended bigint[], given double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  left_over bigint[];
BEGIN
  IF EXISTS (SELECT FROM spoolroom.share WHERE worker = ANY (ended)) THEN PERFORM pg_notify('spoolroom', 'limits'); END IF;
  DELETE FROM spoolroom.worker WHERE epoch = ANY (ended);
  left_over := ARRAY(SELECT id FROM spoolroom.message WHERE claim = ANY (ended) ORDER BY id FOR UPDATE);
  IF cardinality(left_over) > 0 THEN
    PERFORM spoolroom.put_back(left_over, given);
    PERFORM pg_notify('spoolroom', 'due');
  END IF;
END
$$;
`;
