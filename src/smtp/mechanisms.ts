/**
 * The ways to authenticate that we know (RFC 4954), the strongest first. Data; printed into techdoc/delivery-states.md.
 */

export interface MechanismFacts {
  readonly name: string;
  /** what `password` of the credentials is */
  readonly credentials: 'password' | 'token';
  /** the server never sees the password, so nobody who poses as it does */
  readonly hidesPassword: boolean;
  /** AUTH carries the first response (RFC 4954 4); else the server speaks first */
  readonly initialResponse: boolean;
  readonly why: string;
}

export const MECHANISMS = [
  {
    name: 'SCRAM-SHA-256',
    credentials: 'password',
    hidesPassword: true,
    initialResponse: true,
    why: 'RFC 7677: the server proves that it knows the password, too',
  },
  {
    name: 'SCRAM-SHA-1',
    credentials: 'password',
    hidesPassword: true,
    initialResponse: true,
    why: 'RFC 5802: the same with SHA-1',
  },
  {
    name: 'CRAM-MD5',
    credentials: 'password',
    hidesPassword: true,
    initialResponse: false,
    why: 'RFC 2195: answers a challenge; a server that keeps passwords as hashes cannot do it and says 535',
  },
  {
    name: 'PLAIN',
    credentials: 'password',
    hidesPassword: false,
    initialResponse: true,
    why: 'RFC 4616: the password itself; works however the server keeps it',
  },
  {
    name: 'LOGIN',
    credentials: 'password',
    hidesPassword: false,
    initialResponse: false,
    why: 'the same in two steps, for old servers',
  },
  {
    name: 'OAUTHBEARER',
    credentials: 'token',
    hidesPassword: false,
    initialResponse: true,
    why: 'RFC 7628: a token',
  },
  {
    name: 'XOAUTH2',
    credentials: 'token',
    hidesPassword: false,
    initialResponse: true,
    why: 'the form of it from before the RFC',
  },
] as const satisfies readonly MechanismFacts[];

export type Mechanism = (typeof MECHANISMS)[number]['name'];
