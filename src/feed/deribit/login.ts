import { createHmac } from "node:crypto";
import { Secret } from "../../core/secret.ts";

export interface DeribitCredentials {
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** `signature` never sends the secret itself. */
  readonly grant: "signature" | "credentials";
}

/** Share of a token's life after which a new one is asked for. */
const REFRESH_AT = 0.8;
/** Tokens that are said to live longer are refreshed as if they lived so long; the venue's live 15 minutes. */
const LONGEST_LIFE_SECONDS = 86_400;

/**
 * HMAC-SHA256 of `timestamp`, `nonce` and `data` with a line feed between, in hex.
 * Source: Deribit API, "Authentication", client signature over WebSocket.
 */
export function clientSignature(secret: Secret, timestampMs: number, nonce: string, data: string): string {
  return createHmac("sha256", secret.reveal()).update(`${timestampMs}\n${nonce}\n${data}`).digest("hex");
}

/**
 * The authentication of one connection: what to ask `public/auth` for, and when. Only here are secret and tokens seen, and what
 * {@link params} returns must go to the socket and nowhere else.
 */
export class Login {
  readonly #credentials: DeribitCredentials;
  readonly #nonce: () => string;
  #refreshToken: Secret | null = null;
  #accessToken: Secret | null = null;
  /** When to ask for the next token, µs; `Infinity` while there is none. */
  refreshUs = Number.POSITIVE_INFINITY;
  /** When the present token dies. */
  expiresUs = Number.NEGATIVE_INFINITY;

  constructor(credentials: DeribitCredentials, nonce: () => string = randomNonce) {
    this.#credentials = credentials;
    this.#nonce = nonce;
  }

  /** Parameters of `public/auth`: with the refresh token where there is one that lives. */
  params(timeUs: number): Readonly<Record<string, unknown>> {
    if (this.#refreshToken !== null && timeUs < this.expiresUs) {
      return { grant_type: "refresh_token", refresh_token: this.#refreshToken.reveal() };
    }
    const { clientId, clientSecret, grant } = this.#credentials;
    if (grant === "credentials") {
      return { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret.reveal() };
    }
    const timestamp = Math.floor(timeUs / 1_000);
    const nonce = this.#nonce();
    const signature = clientSignature(clientSecret, timestamp, nonce, "");
    return { grant_type: "client_signature", client_id: clientId, timestamp, nonce, data: "", signature };
  }

  /** Takes the result of `public/auth`. @returns false when it is no grant. */
  granted(result: unknown, timeUs: number): boolean {
    if (typeof result !== "object" || result === null) return false;
    const grant = result as Readonly<Record<string, unknown>>;
    const { access_token: access, refresh_token: refresh, expires_in: seconds } = grant;
    if (typeof access !== "string" || typeof refresh !== "string") return false;
    if (typeof seconds !== "number" || !(seconds > 0)) return false;
    const lifeUs = Math.min(seconds, LONGEST_LIFE_SECONDS) * 1e6;
    this.#accessToken = new Secret(access);
    this.#refreshToken = new Secret(refresh);
    this.refreshUs = timeUs + lifeUs * REFRESH_AT;
    this.expiresUs = timeUs + lifeUs;
    return true;
  }

  /** A refresh is under way: none is due until its answer. */
  asked(): void {
    this.refreshUs = Number.POSITIVE_INFINITY;
  }

  /** Tokens are of one connection: the next begins with the credentials. */
  forget(): void {
    this.#refreshToken = null;
    this.#accessToken = null;
    this.refreshUs = Number.POSITIVE_INFINITY;
    this.expiresUs = Number.NEGATIVE_INFINITY;
  }

  /** Text of the venue without anything secret that it may have repeated. */
  redact(text: string): string {
    let clean = text;
    for (const secret of [this.#credentials.clientSecret, this.#accessToken, this.#refreshToken]) {
      const value = secret?.reveal() ?? "";
      if (value.length >= 4) clean = clean.replaceAll(value, "[secret]");
    }
    return clean;
  }
}

function randomNonce(): string {
  return crypto.randomUUID().slice(0, 8);
}
