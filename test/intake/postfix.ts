/**
 * Postfix as a reference: its smtpd over a throw-away queue, on a loopback port, set up to judge as strictly as the intake. What
 * it accepts is put on hold; nothing is delivered. Needs root, as Postfix does.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Reference {
  readonly port: number;
  readonly version: string;
  close(): void;
}

function main(root: string, size: number): readonly string[] {
  return [
    'compatibility_level = 3.6',
    `queue_directory = ${root}/queue`,
    `data_directory = ${root}/data`,
    `maillog_file = ${root}/log`,
    `maillog_file_prefixes = ${root}`,
    'myhostname = queue.example',
    'mydestination =',
    'alias_maps =',
    'inet_interfaces = 127.0.0.1',
    'inet_protocols = ipv4',
    'mynetworks = 127.0.0.0/8',
    `message_size_limit = ${size}`,
    'mailbox_size_limit = 0',
    'default_process_limit = 200',
    'smtputf8_enable = yes',
    'smtpd_client_restrictions = static:HOLD',
    'smtpd_helo_required = yes',
    'strict_rfc821_envelopes = yes',
    'smtpd_recipient_restrictions = reject_non_fqdn_sender, reject_non_fqdn_recipient',
    'smtpd_relay_restrictions = permit_mynetworks, reject',
    'smtpd_forbid_bare_newline = normalize',
    'smtpd_forbid_bare_newline_exclusions =',
    'smtpd_error_sleep_time = 0',
    'smtpd_client_connection_count_limit = 0',
  ];
}

function services(port: number): readonly string[] {
  return [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'anvil unix - - n - 1 anvil',
    'proxymap unix - - n - - proxymap',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'smtp unix - - n - - smtp',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('data', () => resolve(true)).once('error', () => resolve(false));
    socket.once('data', () => socket.destroy());
  });
}

/** Null: it is not installed, or we are not root. */
export async function startPostfix(size: number): Promise<Reference | null> {
  const found = spawnSync('postconf', ['-h', 'mail_version'], { encoding: 'utf8' });
  if (found.error !== undefined || process.getuid?.() !== 0) return null;
  const root = fs.mkdtempSync(
    path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spoolroom-postfix-'),
  );
  const port = await freePort();
  fs.chmodSync(root, 0o755);
  for (const folder of ['etc', 'queue', 'data']) fs.mkdirSync(`${root}/${folder}`);
  execFileSync('chown', ['postfix', `${root}/data`]);
  fs.writeFileSync(`${root}/etc/main.cf`, `${main(root, size).join('\n')}\n`);
  fs.writeFileSync(`${root}/etc/master.cf`, `${services(port).join('\n')}\n`);
  const postfix = (word: string): void => {
    execFileSync('postfix', ['-c', `${root}/etc`, word], { stdio: 'ignore' });
  };
  const close = (): void => {
    postfix('stop');
    fs.rmSync(root, { recursive: true, force: true });
  };
  postfix('start');
  for (let wait = 0; wait < 100; wait++) {
    if (await answers(port)) return { port, version: found.stdout.trim(), close };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  close();
  throw new Error(`Postfix does not answer on port ${port}`);
}
