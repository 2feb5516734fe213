/**
 * Foreign mail servers as clients of the intake: they submit the same messages that peers/run.ts delivers to them.
 * Exim sends by BDAT and closes its side after a pipelined QUIT, which few clients do and ours does not.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Client {
  readonly name: string;
  readonly program: string;
  /** Submits one message to the intake at this port; throws when the program fails. */
  submit(directory: string, port: number, sender: string, recipients: readonly string[], text: string): void;
}

function exim(name: string, chunking: boolean): Client {
  return {
    name,
    program: '/usr/sbin/exim4',
    submit(directory, port, sender, recipients, text) {
      const folder = join(directory, `exim-${chunking}`);
      const configuration = join(folder, 'exim.conf');
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o777);
      writeFileSync(
        configuration,
        [
          'primary_hostname = citref.example',
          `spool_directory = ${folder}`,
          `log_file_path = ${folder}/%slog`,
          'message_size_limit = 0',
          'keep_environment =',
          'local_from_check = false',
          'begin routers',
          'all:',
          '  driver = manualroute',
          '  transport = intake',
          '  route_list = * 127.0.0.1',
          '  self = send',
          'begin transports',
          'intake:',
          '  driver = smtp',
          `  port = ${port}`,
          `  hosts_try_chunking = ${chunking ? '*' : ''}`,
          '  allow_localhost',
          '',
        ].join('\n'),
      );
      execFileSync(this.program, ['-C', configuration, '-odf', '-i', '-f', sender, ...recipients], {
        input: Buffer.from(text, 'latin1'),
        stdio: ['pipe', 'ignore', 'ignore'],
      });
    },
  };
}

export const CLIENTS: readonly Client[] = [exim('Exim by BDAT', true), exim('Exim by DATA', false)];
