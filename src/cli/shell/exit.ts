/** Exit codes, after sysexits(3). Stable: cron jobs and scripts rely on them. Documented in the README. */
export const EXIT = {
  ok: 0,
  /** `--check` found a difference, `check` found trouble */
  difference: 1,
  /** the command line is wrong */
  usage: 64,
  /** input that cannot be read as what it should be */
  data: 65,
  /** an input file or the spool directory does not exist */
  noInput: 66,
  /** something we depend on does not answer */
  unavailable: 69,
  /** a bug */
  software: 70,
  /** a file could not be made */
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
