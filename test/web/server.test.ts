/** The web view as a client meets it over a socket: who is let in, what is refused, what is bounded. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { openWeb, webOptions } from '../../src/cli/web/listener.ts';
import { readSettings } from '../../src/settings/read.ts';
import { shellCommand } from '../../src/settings/shell-words.ts';
import { BOUNDS } from '../../src/web/bounds.ts';
import { temporaryDirectory } from '../support/spool.ts';
import { Client, jobs, PASSWORD, startWeb, USER } from './support.ts';

const BOUNDED = { timeout: 30_000 };

describe('logging in', () => {
  it('is asked for on every page, and leads back to it', BOUNDED, async (t) => {
    const { client } = await startWeb(t, jobs(1));
    for (const target of ['/', '/job/2', '/history', '/destinations', '/tls', '/activity']) {
      const { status, headers } = await client.get(target);
      const back = target === '/' ? '/login' : `/login?target=${encodeURIComponent(target)}`;
      assert.deepEqual([status, headers.location], [303, back]);
    }
    const { status, headers } = await client.logIn(PASSWORD, '/job/2');
    assert.deepEqual([status, headers.location], [303, '/job/2']);
    assert.match(
      headers['set-cookie']?.[0] ?? '',
      /^spoolroom=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    assert.equal((await client.get('/')).status, 200);
  });

  it('is refused with a wrong password, later and later, and logged', BOUNDED, async (t) => {
    const { client, events } = await startWeb(t, {});
    const began = performance.now();
    const { status, headers, body } = await client.logIn('wrong password');
    assert.deepEqual([status, headers['set-cookie']], [401, undefined]);
    assert.match(body, /The user or the password is wrong/);
    assert.ok(performance.now() - began >= 1000);
    const failed = events.find(({ event }) => event === 'login-failed');
    assert.deepEqual(failed?.fields, { address: '127.0.0.1', user: USER, failures: 1, heard: true });
    assert.doesNotMatch(JSON.stringify(events), /wrong password"/);
  });

  it('is refused at once where too many wait, and is possible again later', BOUNDED, async (t) => {
    const { client } = await startWeb(t, {});
    const many = Array.from({ length: BOUNDS.loginsOfOne + 5 }, () => client.logIn('wrong password'));
    const first = await Promise.race(many);
    assert.equal(first.status, 429);
    assert.match(first.body, /Too many logins/);
  });

  it('leads nowhere else', BOUNDED, async (t) => {
    const { client } = await startWeb(t, {});
    for (const target of ['//evil.example', '/\\evil.example', 'https://evil.example/', '/\t/evil.example']) {
      const { headers } = await client.logIn(PASSWORD, target);
      assert.equal(headers.location, '/');
    }
  });

  it('ends with the session, and when the password changes', BOUNDED, async (t) => {
    const { client, users } = await startWeb(t, {});
    await client.logIn();
    const { status, headers } = await client.post('/logout', { csrf: await client.csrf() });
    assert.deepEqual([status, headers.location], [303, '/login']);
    assert.match(headers['set-cookie']?.[0] ?? '', /^spoolroom=; .*Max-Age=0/);
    assert.equal((await client.get('/')).status, 303);
    await client.logIn();
    assert.equal((await client.get('/')).status, 200);
    fs.writeFileSync(users, fs.readFileSync(users, 'utf8').replace(USER, 'somebody'));
    assert.equal((await client.get('/')).status, 303);
  });
});

describe('requests of others', () => {
  it('a form needs the token of its session', BOUNDED, async (t) => {
    const { client } = await startWeb(t, jobs(1));
    await client.logIn();
    const csrf = await client.csrf();
    for (const token of ['', 'x', `${csrf}x`, csrf.slice(1)]) {
      const { status } = await client.post('/jobs', { csrf: token, action: 'hold', scope: 'all', jobs: '2' });
      assert.equal(status, 403);
    }
    const other = new Client((await startWeb(t, {})).web.address);
    await other.logIn();
    assert.equal(
      (await client.post('/jobs', { csrf: await other.csrf(), action: 'hold', job: '2' })).status,
      403,
    );
    assert.equal((await client.post('/jobs', { csrf, action: 'hold', job: '2', target: '/' })).status, 303);
  });

  it('a form of another site is refused, whatever it carries', BOUNDED, async (t) => {
    const { client } = await startWeb(t, jobs(1));
    await client.logIn();
    const form = { csrf: await client.csrf(), action: 'hold', job: '2', target: '/' };
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
      { origin: 'http://localhost:1', host: 'localhost:2' },
    ])
      assert.equal((await client.post('/jobs', form, headers)).status, 403, JSON.stringify(headers));
    const own = { origin: 'http://localhost:8025', host: 'localhost:8025', 'sec-fetch-site': 'same-origin' };
    assert.equal((await client.post('/jobs', form, own)).status, 303);
  });

  it('a name that is not ours gets nothing', BOUNDED, async (t) => {
    const { client } = await startWeb(t, {});
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'queue.test@evil.example',
    ])
      assert.equal((await client.get('/login', { host })).status, 421, host);
    for (const host of ['localhost', 'localhost:9999', '127.0.0.1:8025', '[::1]:1', 'QUEUE.test:8025'])
      assert.equal((await client.get('/login', { host })).status, 200, host);
  });

  it('every answer says what a page may load, and where its forms go', BOUNDED, async (t) => {
    const { client } = await startWeb(t, jobs(1));
    await client.logIn();
    for (const target of ['/', '/login', '/job/2', '/nowhere', '/job/999', '/metrics', '/icon.svg']) {
      const { headers, body } = await client.get(target);
      const csp = String(headers['content-security-policy']);
      for (const rule of [
        "default-src 'none'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
      ])
        assert.ok(csp.includes(rule), `${target}: ${csp}`);
      assert.doesNotMatch(csp, /unsafe|script-src/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.doesNotMatch(body, /<script|<style| style=|javascript:| on\w+=/i);
    }
  });
});

describe('bounds', () => {
  it('a form, a header and a path may have so many bytes', BOUNDED, async (t) => {
    const { client } = await startWeb(t, {});
    await client.logIn();
    const csrf = await client.csrf();
    assert.equal((await client.post('/jobs', { csrf, jobs: '1,'.repeat(BOUNDS.body) })).status, 413);
    assert.equal((await client.get('/', { 'x-long': 'x'.repeat(BOUNDS.header) })).status, 431);
    assert.equal((await client.get(`/?from=${'x'.repeat(BOUNDS.target)}`)).status, 400);
  });

  it('other methods, other forms and other paths are refused', BOUNDED, async (t) => {
    const { client } = await startWeb(t, {});
    await client.logIn();
    assert.equal((await client.ask('PUT', '/')).status, 405);
    assert.equal((await client.ask('DELETE', '/jobs')).status, 405);
    assert.equal((await client.get('/jobs')).status, 405);
    assert.equal(
      (await client.ask('POST', '/jobs', { 'content-type': 'application/json' }, '{}')).status,
      415,
    );
    assert.equal((await client.get('/../etc/passwd')).status, 404);
    assert.equal((await client.get('/job/1x')).status, 404);
    assert.equal((await client.ask('HEAD', '/')).body, '');
  });

  it('what is no HTTP ends the connection, and the next one is served', BOUNDED, async (t) => {
    const { client, web } = await startWeb(t, {});
    const { hostname, port } = new URL(web.address);
    const socket = net.connect(Number(port), hostname);
    const ended = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    socket.write('EHLO evil.example\r\n\r\n');
    await ended;
    assert.equal((await client.get('/login')).status, 200);
  });
});

describe('listening', () => {
  it('on a unix socket, for its group', BOUNDED, async (t) => {
    const socket = path.join(temporaryDirectory(t), 'web.sock');
    const { client, web } = await startWeb(t, jobs(1), { 'web.listen': `unix:${socket}` });
    assert.equal(fs.statSync(socket).mode & 0o777, 0o660);
    await client.logIn();
    assert.match((await client.get('/')).body, /bob0@example\.com/);
    await web.close();
    assert.ok(!fs.existsSync(socket));
  });

  it('behind a proxy: its name, its TLS, its clients', BOUNDED, async (t) => {
    const { client, events } = await startWeb(t, {}, { 'web.origin': 'https://mail.example.org' });
    const proxy = { host: 'mail.example.org', origin: 'https://mail.example.org' };
    const login = await client.post(
      '/login',
      { user: USER, password: PASSWORD },
      { ...proxy, 'x-forwarded-for': 'evil, 192.0.2.7' },
    );
    assert.match(login.headers['set-cookie']?.[0] ?? '', /^__Host-spoolroom=.*; Secure$/);
    assert.equal(events.find(({ event }) => event === 'web-login')?.fields.address, '192.0.2.7');
    const foreign = { ...proxy, origin: 'https://evil.example' };
    assert.equal((await client.post('/login', { user: USER, password: PASSWORD }, foreign)).status, 403);
  });

  it('is refused where passwords could be read on the way, and without users', async (t) => {
    const problem = (given: object): string => {
      const read = readSettings({ spool: temporaryDirectory(t), ...given });
      assert.ok(read.ok);
      const options = webOptions(read.settings);
      return options.kind === 'options' ? '' : options.text;
    };
    assert.match(problem({ 'web.listen': '0.0.0.0:8025' }), /does not listen on 0\.0\.0\.0 without TLS/);
    assert.match(problem({ 'web.listen': 'queue.example:8025' }), /use an IP address/);
    assert.match(problem({}), /has no users.*web password/);
    const users = path.join(temporaryDirectory(t), 'users');
    fs.writeFileSync(users, 'alice:secret\n', { mode: 0o600 });
    assert.match(problem({ 'web.users': users }), /line 1 is not USER:HASH/);
    fs.chmodSync(users, 0o644);
    assert.match(problem({ 'web.users': users }), /other users can read or change it/);
  });

  it('a port that is taken is said', BOUNDED, async (t) => {
    const { web, spool, users } = await startWeb(t, {});
    const read = readSettings({ spool, 'web.users': users, 'web.listen': new URL(web.address).host });
    assert.ok(read.ok);
    const log = { write: () => {}, reopen: async () => {}, close: async () => {} };
    const second = await openWeb(read.settings, { spool, log, commandText: shellCommand, metrics: null });
    assert.ok('kind' in second);
    assert.match(second.text, /another program already listens there/);
  });
});
