/**
 * Large receivers: their names for people, how long to leave them alone at least, and what is known of their answers about
 * rate and reputation, each with the page that says so. Data; printed into techdoc/throttling.md and shown by `explain`.
 */

interface KnownAnswer {
  readonly text: RegExp;
  readonly advice: string;
  readonly source: string;
}

interface Receiver {
  readonly name: string;
  /** ends of the names of its MX hosts */
  readonly hosts: readonly string[];
  /** minutes for which it is left alone after its first refusal; absent: as any other host */
  readonly pause?: number;
  /** the first that fits counts */
  readonly answers: readonly KnownAnswer[];
}

export const RECEIVERS: readonly Receiver[] = [
  {
    name: 'Gmail',
    hosts: ['google.com', 'googlemail.com'],
    pause: 30,
    answers: [
      {
        text: /SPF domain|DKIM domain/i,
        advice:
          'Gmail finds too much unwanted mail from this domain: look for senders that send bulk mail in its name.',
        source: 'https://support.google.com/mail/answer/81126',
      },
      {
        text: /URL/i,
        advice: 'Gmail finds too much unwanted mail with a link of this message: look at what it links to.',
        source: 'https://support.google.com/mail/answer/81126',
      },
      {
        text: /4\.7\.28|unusual rate/i,
        advice:
          'Gmail finds too much unwanted mail from this address: stop bulk mail and forwarded spam, and see that SPF, DKIM and ' +
          'the reverse name are right (`spoolroom dkim check`).',
        source: 'https://support.google.com/mail/answer/81126',
      },
      {
        text: /./,
        advice:
          'Gmail takes mail from this address only slowly; nothing needs to be done if it does not last.',
        source: 'https://support.google.com/mail/answer/81126',
      },
    ],
  },
  {
    name: 'Microsoft',
    hosts: ['outlook.com', 'mx.microsoft'],
    pause: 30,
    answers: [
      {
        text: /4\.7\.65\d|S3114|S775|IP reputation|RP-00\d/i,
        advice:
          "The reputation of this address is low at Microsoft. Enrol it at Microsoft's SNDS, and ask for mitigation at sender.office.com if it lasts.",
        source: 'https://learn.microsoft.com/en-us/answers/questions/5910730/temporary-rate-limiting',
      },
      {
        text: /4\.7\.500|server busy/i,
        advice:
          'Exchange Online slows down addresses from which it has not seen much mail; it passes by itself.',
        source:
          'https://techcommunity.microsoft.com/t5/exchange/office365-throttling-inbound-messages-s77719/td-p/2352675',
      },
    ],
  },
  {
    name: 'Yahoo',
    hosts: ['yahoodns.net', 'yahoo.co.jp'],
    pause: 120,
    answers: [
      {
        text: /\[(?:TSS?|IPTS)\d\d\]|user complaints|unexpected volume/i,
        advice:
          'Yahoo users complain about mail from this address, or its volume is unusual. Yahoo asks to wait for four hours; ' +
          'look for bulk mail and forwarded spam.',
        source: 'https://senders.yahooinc.com/smtp-error-codes/',
      },
    ],
  },
  {
    name: 'Apple',
    hosts: ['icloud.com'],
    pause: 15,
    answers: [
      {
        text: /./,
        advice:
          'iCloud judges the reputation of address and domain, and has no list of exceptions; its page says what it expects.',
        source: 'https://support.apple.com/en-us/102322',
      },
    ],
  },
  {
    name: 'GMX and WEB.DE',
    hosts: ['gmx.net', 'web.de'],
    pause: 60,
    answers: [
      {
        text: /too many messages|rate limit|policy/i,
        advice:
          'Too many messages in a short time; they ask to send again after a few hours, and more slowly.',
        source: 'https://postmaster.web.de/error-messages',
      },
      {
        text: /too many connections/i,
        advice: 'Lower limit.host: they count the sessions of an address.',
        source: 'https://postmaster.web.de/error-messages',
      },
    ],
  },
  {
    name: 'T-Online',
    hosts: ['t-online.de'],
    answers: [
      {
        text: /./,
        advice:
          'T-Online says on its postmaster page what it expects of mail servers, and how to write to it.',
        source: 'https://postmaster.t-online.de/index.en.html',
      },
    ],
  },
  {
    name: 'Orange',
    hosts: ['orange.fr', 'wanadoo.fr'],
    pause: 60,
    answers: [
      {
        text: /connexions|connections|OFR\w*104/i,
        advice: 'Orange takes three sessions at once from an address: set limit.host to 3 or less.',
        source: 'https://www.postmastery.com/orange-postmaster-smtp-error-codes-ofr/',
      },
      {
        text: /./,
        advice:
          'Orange judges the reputation of an address; it tells at postmaster.orange.fr what it expects.',
        source: 'https://postmaster.orange.fr',
      },
    ],
  },
  {
    name: 'Proofpoint',
    hosts: ['pphosted.com'],
    answers: [
      {
        text: /./,
        advice: 'The reputation of this address is low at Proofpoint: look it up at ipcheck.proofpoint.com.',
        source: 'https://ipcheck.proofpoint.com',
      },
    ],
  },
  {
    name: 'Mimecast',
    hosts: ['mimecast.com', 'mimecast.co.za', 'mimecast-offshore.com'],
    pause: 30,
    answers: [
      {
        text: /./,
        advice:
          'Mimecast is busy, or the reputation of this address is low; the administrator of the recipients can let it pass.',
        source:
          'https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691-Policies-Mimecast-SMTP-Error-Codes',
      },
    ],
  },
];

function receiverOf(host: string): Receiver | null {
  const name = host.toLowerCase();
  const fits = (end: string): boolean => name === end || name.endsWith(`.${end}`);
  return RECEIVERS.find(({ hosts }) => hosts.some(fits)) ?? null;
}

/** `Gmail`, or the group itself. */
export function receiverName(group: string): string {
  return receiverOf(group)?.name ?? group;
}

/** Milliseconds; undefined: as for any other host. */
export function firstPauseOf(group: string): number | undefined {
  const pause = receiverOf(group)?.pause;
  return pause === undefined ? undefined : pause * 60_000;
}

/** What helps, and the page that says so; null: nothing is known of this answer. */
export function adviceFor(
  group: string,
  text: string,
): { readonly advice: string; readonly source: string } | null {
  return receiverOf(group)?.answers.find((known) => known.text.test(text)) ?? null;
}
