/**
 * Postfix, in a folder of its own and on a loopback port: what its smtpd accepts is put on hold. It is the reference of the
 * intake's fuzzing and a yardstick of the benchmark. Needs root, as Postfix does.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

export interface Postfix {
  /** of its smtpd */
  readonly port: number;
  /** has `etc`, `queue`, `data` and the file `log` */
  readonly root: string;
  /** process id of its master */
  readonly master: number;
  close(): void;
}

function settings(root: string): readonly string[] {
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
    'mailbox_size_limit = 0',
    'smtpd_client_restrictions = static:HOLD',
    'smtpd_client_connection_count_limit = 0',
  ];
}

function services(port: number): readonly string[] {
  return [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'flush unix n - n 1000? 0 flush',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache',
    'proxymap unix - - n - - proxymap',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'smtp unix - - n - - smtp',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
}

export async function freePort(): Promise<number> {
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
export function postfixVersion(): string | null {
  const found = spawnSync('postconf', ['-h', 'mail_version'], { encoding: 'utf8' });
  return found.error !== undefined || process.getuid?.() !== 0 ? null : found.stdout.trim();
}

/** In a new folder below `folder`, with `main` as further lines of main.cf. */
export async function startPostfix(folder: string, main: readonly string[]): Promise<Postfix> {
  const root = fs.mkdtempSync(path.join(folder, 'spoolroom-postfix-'));
  const port = await freePort();
  fs.chmodSync(root, 0o755);
  for (const name of ['etc', 'queue', 'data']) fs.mkdirSync(`${root}/${name}`);
  execFileSync('chown', ['postfix', `${root}/data`]);
  fs.writeFileSync(`${root}/etc/main.cf`, `${[...settings(root), ...main].join('\n')}\n`);
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
    if (await answers(port)) {
      const master = Number(fs.readFileSync(`${root}/queue/pid/master.pid`, 'utf8'));
      return { port, root, master, close };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  close();
  throw new Error(`Postfix does not answer on port ${port}`);
}
