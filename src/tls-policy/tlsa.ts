/** Which TLSA records SMTP can use, and the names they are asked for (RFC 7672, RFC 7671). Pure. */
import type { TlsaRecord } from '#net-stream-utils';

/** Bytes in hex digits of a SHA-256 and a SHA-512. */
const DIGESTS: { readonly [matchingType: number]: number } = { 1: 64, 2: 128 };

/** RFC 7672 3.1.3: PKIX-TA and PKIX-EE cannot be used, since no list of CAs is agreed on; unknown parameters neither. */
function isUsable({ usage, selector, matchingType, data }: TlsaRecord): boolean {
  if ((usage !== 2 && usage !== 3) || (selector !== 0 && selector !== 1)) return false;
  return matchingType === 0 ? data !== '' : data.length === DIGESTS[matchingType];
}

/** Of several digests of the same kind only the strongest counts (RFC 7671 9); whole data always does. */
export function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const usable = records.filter(isUsable);
  return usable.filter(
    (record) =>
      record.matchingType === 0 ||
      !usable.some(
        (other) =>
          other.usage === record.usage &&
          other.selector === record.selector &&
          other.matchingType > record.matchingType,
      ),
  );
}

/** `3 1 1 0123...`, as zone files have it. */
export function tlsaText({ usage, selector, matchingType, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matchingType} ${data}`;
}

/** The other way round; null: it is not one. */
export function tlsaFromText(text: string): TlsaRecord | null {
  const [, usage, selector, matchingType, data = ''] =
    /^(\d{1,3}) +(\d{1,3}) +(\d{1,3}) +([0-9A-Fa-f ]+)$/.exec(text) ?? [];
  if (usage === undefined) return null;
  return {
    usage: Number(usage),
    selector: Number(selector),
    matchingType: Number(matchingType),
    data: data.replaceAll(' ', '').toLowerCase(),
  };
}
