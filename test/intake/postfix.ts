/** Postfix as a reference for the intake: set up to judge as strictly. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { postfixVersion, startPostfix } from '../support/postfix.ts';

export interface Reference {
  readonly port: number;
  readonly version: string;
  close(): void;
}

/** Null: it is not installed, or we are not root. */
export async function startReference(size: number): Promise<Reference | null> {
  const version = postfixVersion();
  if (version === null) return null;
  const postfix = await startPostfix(fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), [
    `message_size_limit = ${size}`,
    'default_process_limit = 200',
    'smtputf8_enable = yes',
    'smtpd_helo_required = yes',
    'strict_rfc821_envelopes = yes',
    'smtpd_recipient_restrictions = reject_non_fqdn_sender, reject_non_fqdn_recipient',
    'smtpd_relay_restrictions = permit_mynetworks, reject',
    'smtpd_forbid_bare_newline = normalize',
    'smtpd_forbid_bare_newline_exclusions =',
    'smtpd_error_sleep_time = 0',
  ]);
  return { ...postfix, version };
}
