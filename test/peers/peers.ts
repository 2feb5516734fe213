/**
 * Foreign mail servers, started directly for peers/run.ts: on loopback and a high port, with a configuration of their own in
 * a temporary folder, TLS and AUTH required where possible, and all mail kept in one Maildir. They need root, because they
 * drop their privileges themselves.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { certificates } from '../support/certificates.ts';

export const DOMAIN = 'peer.example';
export const LOGIN = { user: 'queue', password: 'correct horse' } as const;
export const LIMIT = 50_000_000;

/** uid of nobody */
const NOBODY = 65_534;

export interface Site {
  readonly directory: string;
  /** where the mail arrives, as Maildir */
  readonly mailbox: string;
  readonly port: number;
}

export interface Peer {
  readonly name: string;
  /** if it is missing the peer is left out */
  readonly program: string;
  /** the Debian package it comes from */
  readonly package: string;
  /** whether it requires TLS and AUTH, or accepts mail in clear from anybody */
  readonly secure: boolean;
  version(): string;
  /** Resolves to a function that stops it. It may not listen yet. */
  start(site: Site): Promise<() => void>;
}

export function isInstalled(peer: Peer): boolean {
  return existsSync(peer.program);
}

function lines(...text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}

function write(site: Site, name: string, text: string, mode = 0o644): string {
  const path = join(site.directory, name);
  writeFileSync(path, text, { mode });
  return path;
}

/** The mailbox, which `owner` fills, and the certificate. */
function prepare(site: Site, owner: string): { readonly certificate: string; readonly key: string } {
  chmodSync(site.directory, 0o755);
  for (const folder of ['', 'new', 'cur', 'tmp']) {
    mkdirSync(join(site.mailbox, folder), { recursive: true });
  }
  execFileSync('chown', ['-R', `${owner}:`, site.mailbox]);
  const { cert, key } = certificates.mail;
  return {
    certificate: write(site, 'mail.crt', cert),
    key: write(site, 'mail.key', key, 0o600),
  };
}

function firstLine(program: string, ...words: readonly string[]): string {
  return execFileSync(program, words, { encoding: 'utf8' }).split('\n', 1)[0] ?? '';
}

/** As much of Dovecot's authentication protocol as Postfix needs for PLAIN and LOGIN's first round. */
async function authenticationServer(): Promise<{ readonly port: number; close(): void }> {
  const right = Buffer.from(`\0${LOGIN.user}\0${LOGIN.password}`).toString('base64');
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n');
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('utf8').split('\n')) {
        const [word, id, , ...rest] = line.split('\t');
        if (word !== 'AUTH') continue;
        const answer = rest.includes(`resp=${right}`) ? `OK\t${id}\tuser=${LOGIN.user}` : `FAIL\t${id}`;
        socket.write(`${answer}\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return { port: address.port, close: () => server.close() };
}

const postfix: Peer = {
  name: 'Postfix',
  program: '/usr/sbin/postfix',
  package: 'postfix',
  secure: true,
  version: () => firstLine('/usr/sbin/postconf', '-d', 'mail_version').replace(/^.* /, ''),
  async start(site) {
    const { certificate, key } = prepare(site, 'nobody');
    const auth = await authenticationServer();
    for (const folder of ['queue', 'data']) mkdirSync(join(site.directory, folder));
    execFileSync('chown', ['postfix', join(site.directory, 'data')]);
    write(
      site,
      'main.cf',
      lines(
        'compatibility_level = 3.6',
        `queue_directory = ${site.directory}/queue`,
        `data_directory = ${site.directory}/data`,
        'command_directory = /usr/sbin',
        'daemon_directory = /usr/lib/postfix/sbin',
        'mail_owner = postfix',
        'setgid_group = postdrop',
        `myhostname = ${DOMAIN}`,
        'mydestination =',
        'mynetworks =',
        'inet_interfaces = 127.0.0.1',
        'inet_protocols = ipv4',
        'alias_maps =',
        `message_size_limit = ${LIMIT}`,
        'virtual_mailbox_limit = 0',
        `virtual_mailbox_domains = ${DOMAIN}`,
        `virtual_mailbox_base = ${site.mailbox}`,
        'virtual_mailbox_maps = static:/',
        `virtual_uid_maps = static:${NOBODY}`,
        `virtual_gid_maps = static:${NOBODY}`,
        'smtpd_tls_security_level = encrypt',
        `smtpd_tls_cert_file = ${certificate}`,
        `smtpd_tls_key_file = ${key}`,
        'smtpd_sasl_auth_enable = yes',
        'smtpd_sasl_type = dovecot',
        `smtpd_sasl_path = inet:127.0.0.1:${auth.port}`,
        'smtpd_relay_restrictions = permit_sasl_authenticated, reject',
        'smtpd_recipient_restrictions = permit_sasl_authenticated, reject',
        `maillog_file = ${site.directory}/log`,
        `maillog_file_prefixes = ${site.directory}`,
      ),
    );
    const service = (name: string, command: string, most = '-'): string =>
      `${name} unix - - n - ${most} ${command}`;
    write(
      site,
      'master.cf',
      lines(
        `127.0.0.1:${site.port} inet n - n - - smtpd`,
        'postlog unix-dgram n - n - 1 postlogd',
        'qmgr unix n - n 300 1 qmgr',
        'pickup unix n - n 60 1 pickup',
        'cleanup unix n - n - 0 cleanup',
        'tlsmgr unix - - n 1000? 1 tlsmgr',
        'showq unix n - n - - showq',
        'flush unix n - n 1000? 0 flush',
        service('rewrite', 'trivial-rewrite'),
        service('bounce', 'bounce'),
        service('defer', 'bounce'),
        service('trace', 'bounce'),
        service('verify', 'verify', '1'),
        service('proxymap', 'proxymap'),
        service('error', 'error'),
        service('retry', 'error'),
        service('smtp', 'smtp'),
        service('anvil', 'anvil', '1'),
        service('scache', 'scache', '1'),
        'virtual unix - n n - - virtual',
      ),
    );
    execFileSync('/usr/sbin/postfix', ['-c', site.directory, 'start'], { stdio: 'ignore' });
    return () => {
      execFileSync('/usr/sbin/postfix', ['-c', site.directory, 'stop'], { stdio: 'ignore' });
      auth.close();
    };
  },
};

/** One that stays in the foreground and is ended by a signal. */
function foreground(program: string, words: readonly string[]): () => void {
  const child = spawn(program, words, { stdio: 'ignore' });
  return () => {
    child.kill();
  };
}

/** With a configuration of our own it gives up the right to become anybody else. */
const EXIM_USER = 'Debian-exim';

const exim: Peer = {
  name: 'Exim',
  program: '/usr/sbin/exim4',
  package: 'exim4-daemon-light',
  secure: true,
  version: () => firstLine('/usr/sbin/exim4', '-bV').replace(/^Exim version (\S+).*$/, '$1'),
  async start(site) {
    const { certificate, key } = prepare(site, EXIM_USER);
    chmodSync(key, 0o644);
    const spool = join(site.directory, 'spool');
    mkdirSync(spool);
    execFileSync('chown', [EXIM_USER, spool]);
    const configuration = write(
      site,
      'exim.conf',
      lines(
        `primary_hostname = ${DOMAIN}`,
        `spool_directory = ${spool}`,
        `log_file_path = ${spool}/%slog`,
        `message_size_limit = ${LIMIT}`,
        'keep_environment =',
        'tls_advertise_hosts = *',
        `tls_certificate = ${certificate}`,
        `tls_privatekey = ${key}`,
        'auth_advertise_hosts = *',
        'acl_smtp_rcpt = rcpt',
        'acl_smtp_data = accepted',
        'begin acl',
        'rcpt:',
        '  accept authenticated = *',
        '  deny',
        'accepted:',
        '  accept',
        'begin routers',
        'all:',
        '  driver = accept',
        '  transport = keep',
        'begin transports',
        'keep:',
        '  driver = appendfile',
        `  directory = ${site.mailbox}`,
        '  maildir_format',
        `  user = ${EXIM_USER}`,
        'begin authenticators',
        'plain:',
        '  driver = plaintext',
        '  public_name = PLAIN',
        '  server_prompts = :',
        `  server_condition = \${if and{{eq{$auth2}{${LOGIN.user}}}{eq{$auth3}{${LOGIN.password}}}}}`,
        '  server_set_id = $auth2',
      ),
    );
    return foreground('/usr/sbin/exim4', ['-C', configuration, '-bdf', '-oX', `127.0.0.1.${site.port}`]);
  },
};

/** Without TLS, and so without AUTH: its key process breaks every handshake with the OpenSSL of Debian 12. */
const openSmtpd: Peer = {
  name: 'OpenSMTPD',
  program: '/usr/sbin/smtpd',
  package: 'opensmtpd',
  secure: false,
  version: () => firstLine('/usr/bin/dpkg-query', '-W', 'opensmtpd').replace(/^.*\t/, ''),
  async start(site) {
    prepare(site, 'nobody');
    const configuration = write(
      site,
      'smtpd.conf',
      lines(
        `smtp max-message-size ${LIMIT}`,
        `listen on 127.0.0.1 port ${site.port} hostname ${DOMAIN}`,
        `action keep maildir "${site.mailbox}" virtual { "@" = nobody }`,
        `match from any for domain "${DOMAIN}" action keep`,
      ),
    );
    return foreground('/usr/sbin/smtpd', ['-d', '-f', configuration]);
  },
};

export const PEERS: readonly Peer[] = [postfix, exim, openSmtpd];
