/**
 * Selects jobs, and records of the history, by the same words. All that is given has to hold; what is said of recipients has
 * to hold for one and the same. Pure: words and candidates in, answers out.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { didYouMean } from '../../platform/suggest.ts';
import { duration } from '../../settings/kinds.ts';
import { addressTest, domainTest } from './address.ts';
import { isWithin, type NumberRange, numbersIn } from './numbers.ts';

/** What is selected by. The names are those of the options. */
export interface SelectionWords {
  /** without an option: numbers, and where `texts` are allowed anything that an address or a Message-ID has */
  readonly words: readonly string[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly domain?: string | undefined;
  readonly older?: string | undefined;
  readonly answer?: string | undefined;
  readonly status?: string | undefined;
  readonly relay?: string | undefined;
  readonly 'message-id'?: string | undefined;
  readonly all?: boolean | undefined;
}

export interface SelectionRules {
  /** words for `status` */
  readonly statuses: readonly string[];
  /** whether words that are no numbers are looked for in addresses and Message-IDs */
  readonly texts: boolean;
}

/** What there is to select. Text for people. */
export interface Candidate {
  readonly job: MessageNumber;
  /** null: not known */
  readonly sender: string | null;
  readonly messageId: string | null;
  /** Unix seconds; null: not known */
  readonly submitted: number | null;
  readonly recipients: Iterable<CandidateRecipient>;
}

export interface CandidateRecipient {
  readonly address: string;
  readonly statuses: readonly string[];
  /** the last reply; '' when there was none */
  readonly answer: string;
  /** name and address of the server; '' when there was none */
  readonly relay: string;
}

export interface Selection {
  /** numbers that were named one by one: each has to exist */
  readonly named: readonly MessageNumber[];
  /** nothing was given, not even `--all` */
  readonly isEmpty: boolean;
  /** only numbers were given */
  readonly isNumbers: boolean;
  /** for people: ` from alice@, older than 3d`; '' for everything */
  readonly text: string;
  /** of numbers, one of which has to hold the candidate's; none: all */
  readonly ranges: readonly NumberRange[];
  /** that has to be made for it; absent: any or none */
  readonly request?: 'hold';
  /** pieces of text that a candidate must have somewhere, where that is known; in any case of letters */
  readonly needles: readonly string[];
  /** @param now Unix seconds */
  matches(candidate: Candidate, now: number): boolean;
}

export interface SelectionProblem {
  readonly kind: 'problem';
  /** a full sentence */
  readonly text: string;
}

type CandidateTest = (candidate: Candidate, now: number) => boolean;
type RecipientTest = (recipient: CandidateRecipient) => boolean;

interface Condition {
  readonly text: string;
  readonly needle?: string;
  readonly request?: 'hold';
  readonly candidate?: CandidateTest;
  readonly recipient?: RecipientTest;
}

type OptionName = 'from' | 'to' | 'domain' | 'older' | 'answer' | 'status' | 'relay' | 'message-id';

/** A sentence: the value cannot be used. */
type Reading = (value: string, rules: SelectionRules) => Condition | string;

const OPTIONS: { readonly [name in OptionName]: Reading } = {
  from: (value) => {
    const test = addressTest(value);
    if (test === null) return notAddress('from', value);
    return { text: `from ${value}`, ...needleOf(value), candidate: ({ sender }) => test(sender ?? '\0') };
  },
  to: (value) => {
    const test = addressTest(value);
    if (test === null) return notAddress('to', value);
    return { text: `to ${value}`, ...needleOf(value), recipient: ({ address }) => test(address) };
  },
  domain: (value) => {
    const test = domainTest(value);
    if (test === null) return `--domain: ${value} is not a domain.`;
    return {
      text: `to the domain ${value}`,
      ...needleOf(value),
      recipient: ({ address }) => test(address),
    };
  },
  older: (value) => {
    const read = duration.read(value);
    if (!read.ok) return `--older: ${value} ${read.problem}.`;
    const seconds = read.value / 1000;
    return {
      text: `older than ${value}`,
      candidate: ({ submitted }, now) => submitted !== null && now - submitted > seconds,
    };
  },
  answer: (value) => {
    const test = includes(value);
    return {
      text: `with the answer ${value}`,
      ...needleOf(value),
      recipient: ({ answer }) => test(answer),
    };
  },
  status: (value, { statuses }) => {
    if (!statuses.includes(value))
      return `--status: ${value} is not one of ${statuses.join(', ')}${didYouMean(value, statuses)}.`;
    return {
      text: `that are ${value}`,
      ...(value === 'held' ? { request: 'hold' } : {}),
      recipient: (recipient) => recipient.statuses.includes(value),
    };
  },
  relay: (value) => {
    const test = includes(value);
    return { text: `through ${value}`, ...needleOf(value), recipient: ({ relay }) => test(relay) };
  },
  'message-id': (value) => {
    const test = includes(value);
    return {
      text: `with the Message-ID ${value}`,
      ...needleOf(value),
      candidate: ({ messageId }) => test(messageId ?? ''),
    };
  },
};

export const SELECTION_OPTIONS = Object.keys(OPTIONS) as readonly OptionName[];

export function parseSelection(given: SelectionWords, rules: SelectionRules): Selection | SelectionProblem {
  const ranges: NumberRange[] = [];
  const conditions: Condition[] = [];
  for (const word of given.words) {
    const numbers = numbersIn(word);
    if (numbers !== null) ranges.push(...numbers);
    else if (rules.texts) conditions.push(anywhere(word));
    else return { kind: 'problem', text: `${word} is not a job number.` };
  }
  for (const name of SELECTION_OPTIONS) {
    const value = given[name];
    if (value === undefined) continue;
    const read = OPTIONS[name](value, rules);
    if (typeof read === 'string') return { kind: 'problem', text: read };
    conditions.push(read);
  }
  return selectionOf(ranges, conditions, given.all === true);
}

function selectionOf(
  ranges: readonly NumberRange[],
  conditions: readonly Condition[],
  all: boolean,
): Selection {
  const tests = conditions.flatMap(({ candidate }) => candidate ?? []);
  const recipientTests = conditions.flatMap(({ recipient }) => recipient ?? []);
  const texts = conditions.map(({ text }) => text);
  const request = conditions.find((each) => each.request !== undefined)?.request;
  return {
    named: ranges.flatMap(({ from, to }) => (from === to ? [from] : [])),
    isEmpty: ranges.length === 0 && conditions.length === 0 && !all,
    isNumbers: ranges.length > 0 && conditions.length === 0,
    text: texts.length === 0 ? '' : ` ${texts.join(', ')}`,
    ranges,
    ...(request === undefined ? {} : { request }),
    needles: conditions.flatMap(({ needle }) => needle ?? []),
    matches: (candidate, now) =>
      (ranges.length === 0 || isWithin(ranges, candidate.job)) &&
      tests.every((test) => test(candidate, now)) &&
      (recipientTests.length === 0 || someRecipient(candidate, recipientTests)),
  };
}

function someRecipient({ recipients }: Candidate, tests: readonly RecipientTest[]): boolean {
  for (const recipient of recipients) if (tests.every((test) => test(recipient))) return true;
  return false;
}

/** Sender, a recipient, or the Message-ID. */
function anywhere(word: string): Condition {
  const test = (/[@.]/.test(word) ? addressTest(word) : null) ?? includes(word);
  const inId = includes(word);
  return {
    text: `with ${word}`,
    ...needleOf(word),
    candidate: ({ sender, messageId, recipients }) => {
      if (test(sender ?? '') || inId(messageId ?? '')) return true;
      for (const { address } of recipients) if (test(address)) return true;
      return false;
    },
  };
}

function includes(part: string): (text: string) => boolean {
  const wanted = part.toLowerCase();
  return (text) => text.toLowerCase().includes(wanted);
}

function notAddress(option: string, value: string): string {
  return `--${option}: ${value} is neither an address nor a domain (bob@example.com, bob@, example.com).`;
}

/** Names of domains have two forms, and `<>` may be written in two ways: these are not looked for as they are. */
function needleOf(word: string): { readonly needle?: string } {
  const needle = word.replace(/^@/, '');
  return /^[!-~]+( [!-~]+)*$/.test(needle) && needle !== '<>' && !/xn--/i.test(needle) ? { needle } : {};
}
