/**
 * Passwords of the web view: a line `USER:scrypt$COST$SALT$HASH` for each user. COST is the base-2 logarithm of scrypt's N; r is 8
 * and p is 1 (RFC 7914). Salt and hash are base64url.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** 32 MB and about a tenth of a second for each password. */
const COST = 15;
const BLOCK = 8;
const SALT = 16;
const HASH = 32;
const COSTS = { least: 14, most: 20 };

/** By name, the line behind it. */
export type Users = ReadonlyMap<string, string>;

const LINE = /^(?<user>[^:\s]{1,64}):(?<line>scrypt\$(?<cost>\d{2})\$[\w-]{22}\$[\w-]{43})$/;

const derive: (password: string, salt: Buffer, length: number, options: object) => Promise<Buffer> =
  promisify(scrypt);

function hashOf(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  const N = 2 ** cost;
  return derive(password.normalize('NFC'), salt, HASH, { N, r: BLOCK, p: 1, maxmem: 256 * N * BLOCK });
}

/** What stands behind the name. */
export async function passwordLine(password: string): Promise<string> {
  const salt = randomBytes(SALT);
  const hash = await hashOf(password, salt, COST);
  return `scrypt$${COST}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/** For a name that does not exist, so that the time does not tell. */
const NOBODY = `scrypt$${COST}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Null: the name or the password is wrong. */
export async function userLine(users: Users, user: string, password: string): Promise<string | null> {
  const line = users.get(user) ?? NOBODY;
  const [, cost = '', salt = '', hash = ''] = line.split('$');
  const given = await hashOf(password, Buffer.from(salt, 'base64url'), Number(cost));
  const isRight = timingSafeEqual(given, Buffer.from(hash, 'base64url'));
  return isRight && users.has(user) ? line : null;
}

/** The lines of a password file; a clause about what is wrong in it. */
export function usersIn(text: string): Users | string {
  const users = new Map<string, string>();
  for (const [at, written] of text.split(/\r?\n/).entries()) {
    if (written === '') continue;
    const { user = '', line = '', cost = '' } = LINE.exec(written)?.groups ?? {};
    if (user === '') return `line ${at + 1} is not USER:HASH, as spoolroom web password writes it`;
    if (Number(cost) < COSTS.least || Number(cost) > COSTS.most)
      return `the cost in line ${at + 1} is not from ${COSTS.least} to ${COSTS.most}`;
    users.set(user, line);
  }
  return users.size === 0 ? 'it names no users' : users;
}

export function isUserName(name: string): boolean {
  return /^[^:\s\p{C}]{1,64}$/u.test(name);
}

/** The file with this user's line new or in place of the one before. */
export function withUser(text: string, user: string, line: string): string {
  const others = text.split(/\r?\n/).filter((each) => each !== '' && !each.startsWith(`${user}:`));
  return `${[...others, `${user}:${line}`].join('\n')}\n`;
}
