/** TLS to a real server: who is refused, and what is said then. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseDatabaseAddress } from '../../../src/queue/postgres/database/address.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';

const CERTIFICATES = fileURLToPath(new URL('../../../fixtures/certificates', import.meta.url));
const ca = `sslrootcert=${CERTIFICATES}/ca.crt`;

describe('TLS to PostgreSQL', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  let port = 0;
  const proxy = net.createServer();

  before(async () => {
    // An address of its own, because the port is that of every server of these tests.
    const host = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}`;
    cluster = await startCluster({ settings: [`listen_addresses = '${host}'`] });
    proxy.on('connection', (near) => {
      const far = net.connect(5432, host);
      near.pipe(far).pipe(near);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const)
        one.on('error', () => other.destroy()).on('close', () => other.destroy());
    });
    await new Promise<void>((listening) => proxy.listen(0, '0.0.0.0', listening));
    port = (proxy.address() as AddressInfo).port;
  });
  after(async () => {
    proxy.close();
    await cluster.remove();
  });

  /** What the server is to say of itself from now on. */
  async function present(name: string): Promise<void> {
    const { uid, gid } = fs.statSync(cluster.folder);
    for (const file of [`${name}.crt`, `${name}.key`, 'self-signed.crt']) {
      const copy = path.join(cluster.folder, file);
      fs.copyFileSync(path.join(CERTIFICATES, file), copy);
      fs.chownSync(copy, uid, gid);
      fs.chmodSync(copy, 0o600);
    }
    const admin = databaseAt(cluster.address('postgres'));
    for (const [setting, value] of [
      ['ssl_cert_file', `${cluster.folder}/${name}.crt`],
      ['ssl_key_file', `${cluster.folder}/${name}.key`],
      ['ssl_ca_file', `${cluster.folder}/self-signed.crt`],
      ['ssl', 'on'],
    ])
      await admin.query(`ALTER SYSTEM SET ${setting} = '${value}'`);
    await admin.query('SELECT pg_reload_conf()');
    await admin.close();
    for (let now: unknown; now !== `${cluster.folder}/${name}.crt`; ) {
      const next = databaseAt(cluster.address('postgres'));
      now = (await next.query("SELECT current_setting('ssl_cert_file') AS file"))[0]?.file;
      await next.close();
    }
  }

  async function connect(host: string, words: string, user?: string): Promise<string> {
    const who = user ?? /\/\/([^@]*)@/.exec(cluster.address('postgres'))?.[1];
    const database = databaseAt(`postgres://${who}@${host}:${port}/postgres?sslmode=verify-full&${words}`);
    try {
      const rows = await database.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      return rows[0]?.ssl === true ? 'connected' : 'without TLS';
    } catch (error) {
      return (error as Error).message;
    } finally {
      await database.close();
    }
  }

  it('refuses a server that has none', async () => {
    assert.match(
      await connect('localhost', ca),
      /it does not offer TLS\. Set ssl = on there, or, where nobody can listen on the way to it, sslmode=disable in the address \(/,
    );
  });

  it('connects where CA, name and time are right, and says what to do where they are not', async () => {
    await present('mail');
    assert.equal(await connect('localhost', ca), 'connected');
    assert.equal(await connect('127.0.0.1', ca), 'connected');
    assert.match(
      await connect('127.0.0.2', ca),
      /its certificate is for other names\. Use one of these in the address, or give the server a certificate for this one \(.*127\.0\.0\.2 is not in/,
    );
    const nobody = /its certificate is signed by nobody who is trusted here\. .*sslrootcert=FILE \(/;
    assert.match(await connect('localhost', ''), nobody);
    assert.match(await connect('localhost', `sslrootcert=${CERTIFICATES}/self-signed.crt`), nobody);
    await present('expired');
    assert.match(
      await connect('localhost', ca),
      /its certificate has expired\. Give the server a new one \(/,
    );
  });

  it('shows a certificate of its own where the server wants one', async () => {
    await present('mail');
    const admin = databaseAt(cluster.address('postgres'));
    await admin.query('CREATE ROLE "mail.example" LOGIN');
    const rules = fs.readFileSync(`${cluster.folder}/data/pg_hba.conf`, 'utf8');
    fs.writeFileSync(`${cluster.folder}/data/pg_hba.conf`, `hostssl all mail.example all cert\n${rules}`);
    await admin.query('SELECT pg_reload_conf()');
    await admin.close();
    const own = `${ca}&sslcert=${CERTIFICATES}/self-signed.crt&sslkey=${CERTIFICATES}/self-signed.key`;
    const wanted = /it wants a certificate of this client\. .*sslcert=FILE and sslkey=FILE \(/;
    assert.match(await connect('localhost', ca, 'mail.example'), wanted);
    assert.equal(await connect('localhost', own, 'mail.example'), 'connected');
  });

  it('refuses an address that does not say enough', () => {
    const why = (words: string): unknown => {
      const parsed = parseDatabaseAddress(`postgres://db.example/x?${words}`);
      return parsed.kind === 'bad' ? parsed.why : parsed.hosts[0]?.ssl;
    };
    assert.deepEqual(why(''), {}, 'TLS to another machine is the default');
    assert.equal(why('sslmode=disable'), false);
    assert.match(String(why('sslmode=allow')), /may go without TLS: say verify-full or disable/);
    assert.match(String(why('sslcert=/x')), /one of sslcert and sslkey: a client certificate needs both/);
    assert.match(
      String(why('sslrootcert=/nonexistent')),
      /sslrootcert \/nonexistent cannot be read: it does not/,
    );
    assert.match(String(why(`sslrootcert=${CERTIFICATES}/README.md`)), /README\.md is not in PEM form/);
  });
});
