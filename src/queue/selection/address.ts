/** Whether an address is meant by a word: `bob@example.com`, `bob@`, `@example.com`, `example.com`, `<>`. Pure. */
import { bytesOf } from '../../platform/bytes.ts';
import { recipientAddress } from '../../routing/address.ts';

export type AddressTest = (address: string) => boolean;

const NULL_SENDER = '<>';

/** Addresses are read as those in lists are; case does not count. Null: the word can be no part of an address. */
export function addressTest(word: string): AddressTest | null {
  if (word === NULL_SENDER) return (address) => address === NULL_SENDER || address === '';
  const at = word.lastIndexOf('@');
  if (at > 0 && at === word.length - 1) return partTest('local', `${word}x.example`);
  if (at > 0) return partTest('command', word);
  return partTest('domain', `x@${word.slice(at + 1)}`);
}

/** The domain, or one below it. */
export function domainTest(word: string): AddressTest | null {
  const wanted = partOf('domain', `x@${word.replace(/^@/, '')}`);
  if (wanted === null) return null;
  return (address) => {
    const domain = partOf('domain', address);
    return domain !== null && (domain === wanted || domain.endsWith(`.${wanted}`));
  };
}

function partTest(part: 'local' | 'domain' | 'command', like: string): AddressTest | null {
  const wanted = partOf(part, like);
  return wanted === null ? null : (address) => partOf(part, address) === wanted;
}

/** In lower case. Null: it is no address. */
function partOf(part: 'local' | 'domain' | 'command', address: string): string | null {
  const read = recipientAddress(bytesOf(address));
  return read.kind === 'address' ? read[part].toLowerCase() : null;
}
