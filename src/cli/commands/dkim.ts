/**
 * `spoolroom dkim genkey DOMAIN` makes a key and the DNS record that belongs to it; `spoolroom dkim check` looks at what
 * receivers look at. Sends no message.
 */
import { generateKeyPairSync } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from '#net-stream-utils';
import { dkimRecord, zoneLine } from '../../dkim/dns-record.ts';
import type { RecordLookup } from '../../dkim/spf.ts';
import { escapeControl } from '../../output/text.ts';
import { bytesOf } from '../../platform/bytes.ts';
import { ownAddresses } from '../../platform/own-addresses.ts';
import { didYouMean } from '../../platform/suggest.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { recipientAddress } from '../../routing/address.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { Settings } from '../../settings/table.ts';
import { printFindings } from '../check/print.ts';
import { checkSenderDomains } from '../check/sender-domain.ts';
import { clockFor, keyringFrom, loadRules } from '../setup/load-config.ts';
import { type CliError, type Command, cliError, type Invocation } from '../shell/command.ts';
import { EXIT, type ExitCode } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  const action = String(invocation.options.action);
  switch (action) {
    case 'genkey':
      return genkey(invocation);
    case 'check':
      return check(invocation);
    default:
      return cliError(
        `${escapeControl(action)} is not something dkim does: genkey DOMAIN, or check${didYouMean(action, ['genkey', 'check'])}.`,
        EXIT.usage,
      );
  }
};

/** RFC 8301 3.2: at least 2048 bits for signers. */
const BITS = 2048;

function genkey({ options, settings, terminal, commandText }: Invocation): ExitCode | CliError {
  const domain = domainFrom(options.domain, commandText);
  if (typeof domain !== 'string') return domain;
  const selector = typeof options.selector === 'string' ? options.selector : 'spoolroom';
  if (!/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(selector))
    return cliError(
      `${escapeControl(selector)} cannot be a selector: letters, digits, - and dots.`,
      EXIT.usage,
    );
  const type = options.type ?? 'rsa';
  if (type !== 'rsa' && type !== 'ed25519')
    return cliError(`${escapeControl(String(type))} is not a type of key: rsa or ed25519.`, EXIT.usage);
  const key =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: BITS }).privateKey
      : generateKeyPairSync('ed25519').privateKey;
  const folder = typeof options.dir === 'string' ? options.dir : '.';
  const file = path.resolve(folder, `${selector}.${domain}.private`);
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    try {
      writeFileSync(descriptor, key.export({ type: 'pkcs8', format: 'pem' }));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(
      `The key file ${file} cannot be made: ${describeError(error)}. No key was made.`,
      EXIT.cannotCreate,
    );
  }
  const record = dkimRecord(key);
  const setting = `${domain}:${selector}:${file}`;
  terminal.print(
    settings.json
      ? JSON.stringify({ file, name: `${selector}._domainkey.${domain}`, record, setting })
      : [
          `The private key is in ${file}. Only its owner can read it.`,
          '',
          'Publish this record:',
          zoneLine(domain, selector, record),
          '',
          `Sign with it, once the record is there (${commandText('dkim', 'check')}):`,
          `dkim.key ${setting}`,
        ].join('\n'),
  );
  return EXIT.ok;
}

function domainFrom(given: unknown, commandText: CommandText): string | CliError {
  if (typeof given !== 'string')
    return cliError(`No domain given. Name it: ${commandText('dkim', 'genkey', 'DOMAIN')}`, EXIT.usage);
  const address = recipientAddress(`postmaster@${bytesOf(given)}`);
  if (address.kind === 'unusable' || address.domain.startsWith('['))
    return cliError(`${escapeControl(given)} is not a domain.`, EXIT.usage);
  return address.domain.toLowerCase();
}

async function check(invocation: Invocation): Promise<ExitCode | CliError> {
  const { settings, commandText } = invocation;
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const keyring = await keyringFrom(settings);
  if (keyring !== null && 'kind' in keyring) return keyring;
  const keys = keyring?.keys ?? [];
  if (keys.length === 0)
    return cliError(
      `No DKIM key is named in the settings, so nothing is signed. Make one: ${commandText('dkim', 'genkey', 'DOMAIN')}`,
      EXIT.config,
    );
  const local = settings['local-address'];
  const lookup = await recordLookup(settings);
  const findings = await checkSenderDomains({
    keys,
    addresses: local.length > 0 ? local : ownAddresses().addresses,
    hostname: rules.render.fqdn,
    lookup,
    answers: async (host) => answersAt((await lookup.addresses(host)) ?? [], settings),
  });
  return printFindings(findings, invocation);
}

/** What a name server says of a name that has no such record. */
const LACKS: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

async function recordLookup(settings: Settings): Promise<RecordLookup> {
  const { promises } = await import('node:dns');
  const resolver = new promises.Resolver({ timeout: 5000, tries: 2 });
  if (settings.dns.length > 0) resolver.setServers(settings.dns);
  const answer = async <T>(asked: Promise<readonly T[]>): Promise<readonly T[] | null> => {
    try {
      return await asked;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (code === '') throw error;
      return LACKS.has(code) ? [] : null;
    }
  };
  return {
    txt: async (name) =>
      (await answer(resolver.resolveTxt(name)))?.map((strings) => strings.join('')) ?? null,
    addresses: async (name) => {
      const [four, six] = await Promise.all([
        answer(resolver.resolve4(name)),
        answer(resolver.resolve6(name)),
      ]);
      return four === null && six === null ? null : [...(four ?? []), ...(six ?? [])];
    },
    mx: async (name) => {
      const records = await answer(resolver.resolveMx(name));
      if (records === null) return null;
      return [...records].sort((a, b) => a.priority - b.priority).map(({ exchange }) => exchange);
    },
    ptr: async (address) => answer(resolver.reverse(address)),
  };
}

async function answersAt(addresses: readonly string[], settings: Settings): Promise<boolean> {
  for (const address of addresses) if (await opens(address, settings)) return true;
  return false;
}

/** Milliseconds for a connection to our own domain's host. */
const PATIENCE = 10_000;

function opens(address: string, settings: Settings): Promise<boolean> {
  return new Promise((resolve) => {
    const ignore = (): void => {};
    const connection = connect(
      { address, port: settings['mx-port'] },
      {
        connected: () => done(true),
        closed: () => done(false),
        lines: ignore,
        drained: ignore,
        secured: ignore,
      },
    );
    const timer = clockFor(settings).after(PATIENCE, () => done(false));
    function done(answer: boolean): void {
      timer.cancel();
      connection.destroy();
      resolve(answer);
    }
  });
}
