/** opendkim as a milter that signs, with a configuration of its own; null: it is not installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/postfix.ts';

export interface Opendkim {
  readonly pid: number;
  /** as `smtpd_milters` has it */
  readonly milter: string;
  close(): void;
}

/**
 * It takes no file below a folder that others may write, which those for temporary files are: `/run` is root's.
 * @param key PEM
 */
export async function startOpendkim(domain: string, key: string): Promise<Opendkim | null> {
  if (spawnSync('opendkim', ['-V']).error !== undefined || process.getuid?.() !== 0) return null;
  const folder = mkdtempSync('/run/spoolroom-opendkim-');
  const keyFile = join(folder, 'r.private');
  writeFileSync(keyFile, key, { mode: 0o600 });
  const port = await freePort();
  const config = join(folder, 'opendkim.conf');
  const lines = [
    ...['Mode s', 'Syslog no', 'Background no', `Socket inet:${port}@127.0.0.1`],
    ...[`Domain ${domain}`, 'Selector r', `KeyFile ${keyFile}`, 'Canonicalization relaxed/relaxed'],
    'OversignHeaders From,Subject,To,Cc,Date,Reply-To,Message-ID,In-Reply-To,References',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn('opendkim', ['-f', '-x', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (piece) => {
    said += piece;
  });
  const kill = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', kill);
  while (!(await takes(port))) {
    if (child.exitCode !== null) throw new Error(`opendkim ended with ${child.exitCode}: ${said}`);
    await sleep(20);
  }
  const close = (): void => {
    process.off('exit', kill);
    kill();
  };
  return { pid: child.pid ?? 0, milter: `inet:127.0.0.1:${port}`, close };
}

async function takes(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
