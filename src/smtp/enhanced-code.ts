/**
 * The RFC 3463 code of a failure for which the server gave none: mapped from the reply code (RFC 5248 3.3), or from the stage
 * when there was no reply. The class digit says whether the failure is permanent.
 */
import type { Stage } from './outcome.ts';

/** subject.detail by reply code */
const BY_CODE: { readonly [code: number]: string } = {
  421: '3.2',
  450: '2.1',
  451: '3.0',
  452: '3.1',
  454: '7.0',
  455: '5.4',
  500: '5.2',
  501: '5.4',
  502: '5.1',
  503: '5.1',
  504: '5.4',
  521: '3.2',
  530: '7.0',
  534: '7.9',
  535: '7.8',
  538: '7.11',
  550: '1.1',
  551: '1.6',
  552: '2.2',
  553: '1.3',
  554: '0.0',
  555: '5.4',
  556: '1.10',
  571: '7.1',
};

/** subject.detail by stage, when there was no reply */
const BY_STAGE: { readonly [stage in Stage]?: string } = {
  routing: '4.4',
  lookup: '4.3',
  connect: '4.1',
  handshake: '7.5',
  starttls: '7.5',
  auth: '7.0',
  payload: '3.0',
};

export function mappedEnhancedCode(stage: Stage, code: number | null, permanent: boolean): string {
  const detail = code === null ? (BY_STAGE[stage] ?? '4.2') : (BY_CODE[code] ?? '0.0');
  return `${permanent ? 5 : 4}.${detail}`;
}
