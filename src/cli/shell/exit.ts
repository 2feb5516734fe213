/** Exit codes, after sysexits(3). Stable: cron jobs and scripts rely on them. Documented in the README. */
export const EXIT = {
  ok: 0,
  /** `replay --check` found a difference, `check` found a problem that stops mail */
  difference: 1,
  /** with `strict`: `check` found nothing that stops mail, but something to be warned of */
  warnings: 2,
  /** the command line is wrong */
  usage: 64,
  /** the input is not in the expected format */
  data: 65,
  /** an input file or the spool directory does not exist */
  noInput: 66,
  /** a server that we depend on does not answer */
  unavailable: 69,
  /** a bug */
  software: 70,
  /** a file could not be created */
  cannotCreate: 73,
  /** reading or writing failed */
  io: 74,
  /** try again later */
  tempFail: 75,
  /** no permission */
  noPermission: 77,
  /** a setting is wrong, or another program is set to work on the same queue */
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
