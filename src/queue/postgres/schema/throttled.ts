/** Groups of hosts that asked us to send less: what is known of each, and when something may be offered to it again. */
export const THROTTLED = `
CREATE TABLE spoolroom.throttled (
  name text PRIMARY KEY,
  until timestamptz NOT NULL,
  value json NOT NULL
);
`;
