/** What `spoolroom move` has taken in and not yet removed where it was: a move that is begun again neither loses nor repeats it. */
export const MOVES = `
CREATE TABLE spoolroom.moved (
  source text NOT NULL,
  control bigint NOT NULL,
  content text NOT NULL,
  payload bigint NOT NULL,
  fingerprint text,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (source, control, content)
);
`;
