/** What is read off a Deribit frame's text without parsing it. */

const CHANNEL_KEY = '"channel":"';
/** The envelope comes first, so a subscription says so within its first characters. */
const ENVELOPE_CHARS = 120;
const INTERVAL_SUFFIX = /\.(?:raw|100ms|agg2)$/;

/** The channel of a notification, e.g. `book.BTC-PERPETUAL.raw`; null for answers, heartbeats and whatever else it is. */
export function channelOf(text: string): string | null {
  const at = text.indexOf(CHANNEL_KEY);
  if (at < 0 || at > ENVELOPE_CHARS || !text.startsWith('{"jsonrpc"')) return null;
  const start = at + CHANNEL_KEY.length;
  const end = text.indexOf('"', start);
  return end < 0 ? null : text.slice(start, end);
}

/** Channels that differ only in their interval carry the same thing: `ticker.BTC-PERPETUAL.100ms` → `ticker.BTC-PERPETUAL`. */
export function withoutInterval(channel: string): string {
  return channel.replace(INTERVAL_SUFFIX, "");
}

/** The same frame under the channel name that the client asked for. */
export function renameChannel(text: string, recorded: string, asked: string): string {
  if (recorded === asked) return text;
  const start = text.indexOf(CHANNEL_KEY) + CHANNEL_KEY.length;
  return text.slice(0, start) + asked + text.slice(start + recorded.length);
}

/** A channel with a whole book and its changes; `book.X.none.10.100ms` (grouped) is something else. */
export function isBookChannel(channel: string): boolean {
  return /^book\.[^.]+(?:\.(?:raw|100ms|agg2))?$/.test(channel);
}

/** The instrument that a channel is about; null for channels about something else, such as `deribit_volatility_index.btc_usd`. */
export function instrumentOf(channel: string): string | null {
  const match =
    /^(?:book|ticker|trades|quote|incremental_ticker)\.([A-Z0-9_]+-[^.]+|[A-Z0-9]+_[A-Z0-9]+)(?:\.|$)/.exec(
      channel,
    );
  return match?.[1] ?? null;
}
