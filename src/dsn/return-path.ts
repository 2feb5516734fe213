/** Where reports to senders go, as the setting `return` has it. */

export type DsnTransportSetting =
  | { readonly kind: 'lmtp'; readonly socket: string }
  /** `host` is a name or an IP literal without brackets */
  | { readonly kind: 'smtp'; readonly host: string; readonly literal: 4 | 6 | null; readonly port: number }
  /** no server takes reports: all of them are kept for the postmaster */
  | { readonly kind: 'room' };

/** A server that takes reports. */
export type ServerSetting = Exclude<DsnTransportSetting, { kind: 'room' }>;

/** Parses the setting `return`: `lmtp:/path`, `smtp://host[:port]` or `room`; null for anything else. */
export function parseDsnTransport(text: string): DsnTransportSetting | null {
  if (text === 'room') return { kind: 'room' };
  const [, socket] = /^lmtp:(?:\/\/)?(\/[^\0]+)$/.exec(text) ?? [];
  if (socket !== undefined) return { kind: 'lmtp', socket };
  const [, six, name = '', digits = '25'] =
    /^smtp:\/\/(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/i.exec(text) ?? [];
  const port = Number(digits);
  if ((six ?? name) === '' || port < 1 || port > 65_535) return null;
  if (six !== undefined) return { kind: 'smtp', host: six, literal: 6, port };
  return { kind: 'smtp', host: name, literal: /^[\d.]+$/.test(name) ? 4 : null, port };
}

/** As in the setting `return`. */
export function describeTransport(setting: ServerSetting): string {
  switch (setting.kind) {
    case 'lmtp':
      return `lmtp:${setting.socket}`;
    case 'smtp':
      return `smtp://${setting.literal === 6 ? `[${setting.host}]` : setting.host}:${setting.port}`;
  }
}
