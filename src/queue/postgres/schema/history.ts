/** What became of messages, for all machines together: a row is a record as the files of a spool have it, a line of JSON. */
export const HISTORY = `
CREATE TABLE spoolroom.history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  event text NOT NULL,
  job bigint NOT NULL,
  mail bigint NOT NULL,
  recipients integer NOT NULL,
  machine text NOT NULL,
  line text NOT NULL
);
CREATE INDEX history_at ON spoolroom.history (at);
CREATE INDEX history_job ON spoolroom.history (job);
CREATE INDEX history_mail ON spoolroom.history (mail);
`;
