import { createHmac } from "node:crypto";
import type { Secret } from "../../core/secret.ts";
import { isObject, parseJson } from "../decoder.ts";
import type { LoginWord, VenueLogin } from "../venue-login.ts";

export interface CoinbaseKey {
  readonly key: string;
  /** Base64, as the venue gives it out. */
  readonly secret: Secret;
  readonly passphrase: Secret;
}

/** Channels that the venue gives to those who sign only. Source: Coinbase Exchange, "WebSocket Authentication". */
const SIGNED_CHANNELS: ReadonlySet<unknown> = new Set(["full", "level2", "level3", "user", "rfq_matches"]);

/**
 * HMAC-SHA256 of the time and of `GET /users/self/verify` with the decoded secret, in base64.
 * Source: Coinbase Exchange, "WebSocket Authentication".
 */
function coinbaseSignature(secret: Secret, timestampSeconds: string): string {
  return createHmac("sha256", Buffer.from(secret.reveal(), "base64"))
    .update(`${timestampSeconds}GET/users/self/verify`)
    .digest("base64");
}

/** Signs the subscriptions that need it; the connection itself has no login. */
export class CoinbaseFeedLogin implements VenueLogin {
  readonly dueMs = Number.POSITIVE_INFINITY;
  readonly #key: CoinbaseKey;

  constructor(key: CoinbaseKey) {
    this.#key = key;
  }

  hello(): null {
    return null;
  }

  refresh(): string {
    return "";
  }

  onFrame(): LoginWord {
    return "pass";
  }

  outgoing(text: string, timeMs: number): string {
    const message = parseJson(text);
    if (!isObject(message) || message.type !== "subscribe" || !Array.isArray(message.channels)) return text;
    const names = message.channels.map((channel: unknown) => (isObject(channel) ? channel.name : channel));
    if (!names.some((name) => SIGNED_CHANNELS.has(name))) return text;
    const timestamp = String(Math.floor(timeMs / 1_000));
    const { key, secret, passphrase } = this.#key;
    const signature = coinbaseSignature(secret, timestamp);
    return JSON.stringify({ ...message, signature, key, passphrase: passphrase.reveal(), timestamp });
  }
}
