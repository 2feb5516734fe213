/** Certificates of our own listeners. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { Settings } from '../../settings/table.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

/** Key and certificates in PEM form, from the file that the setting names; null: it names none. */
export function certificateFrom(
  settings: Settings,
  name: 'intake.certificate' | 'web.certificate',
): { readonly key: string; readonly cert: string } | null | CliError {
  const path = settings[name];
  if (path === null) return null;
  try {
    const pem = readFileSync(path, 'utf8');
    createSecureContext({ key: pem, cert: pem });
    return { key: pem, cert: pem };
  } catch (error) {
    const why =
      errorCode(error) === null
        ? 'it does not hold a private key and its certificates in PEM form'
        : describeError(error);
    return cliError(`setting ${name}: ${path} cannot be used: ${why}.`, EXIT.config);
  }
}
