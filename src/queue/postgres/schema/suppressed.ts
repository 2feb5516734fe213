/** Addresses to which nothing is sent for a time, for all machines together: those with hard bounces, and those put there by hand. */
export const SUPPRESSED = `
CREATE TABLE spoolroom.suppressed (
  address bytea PRIMARY KEY,
  since bigint NOT NULL,
  until bigint NOT NULL,
  bounces integer NOT NULL,
  why bytea NOT NULL
);
CREATE INDEX suppressed_until ON spoolroom.suppressed (until);

-- One more hard bounce, unless the address is suppressed already.
CREATE FUNCTION spoolroom.bounced(to_address bytea, at_second bigint, new_until bigint, enough integer, reply bytea)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO spoolroom.suppressed AS known VALUES (to_address, at_second, new_until, 1, reply)
    ON CONFLICT (address) DO UPDATE SET since = excluded.since, until = excluded.until, why = excluded.why,
      bounces = CASE WHEN known.until <= at_second THEN 1 ELSE known.bounces + 1 END
      WHERE known.until <= at_second OR known.bounces > 0 AND known.bounces < enough
$$;
`;
