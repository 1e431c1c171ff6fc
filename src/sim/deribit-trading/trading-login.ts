import { createHmac, timingSafeEqual } from "node:crypto";
import { type RpcAnswer, rpcError } from "../protocol/json-rpc.ts";
import type { SimAccount } from "./account.ts";
import { TRADING_ERROR } from "./trading-error.ts";

/** How far a signature's timestamp may be from the venue's clock. */
const SIGNATURE_WINDOW_US = 60e6;

/** What one connection may do. */
export interface Connection {
  account: SimAccount | null;
  /** Local time. */
  expiresUs: number;
  cancelOnDisconnect: boolean;
  readonly channels: Set<string>;
}

/** Gives tokens for credentials, signatures and refresh tokens. */
export class TokenOffice {
  readonly #accounts: ReadonlyMap<string, SimAccount>;
  readonly #lifeSeconds: number;
  readonly #refresh = new Map<string, SimAccount>();
  readonly #usedNonces = new Set<string>();
  #next = 1;
  /** Refused refreshes and logins, for rehearsals of a token that was withdrawn. */
  refuseNext = 0;

  constructor(accounts: ReadonlyMap<string, SimAccount>, lifeSeconds: number) {
    this.#accounts = accounts;
    this.#lifeSeconds = lifeSeconds;
  }

  auth(connection: Connection, params: Readonly<Record<string, unknown>>, timeUs: number): RpcAnswer {
    const account = this.#account(params, timeUs);
    if (this.refuseNext > 0 || account === undefined) {
      this.refuseNext = Math.max(0, this.refuseNext - 1);
      return { error: rpcError(TRADING_ERROR.invalidCredentials, "invalid_credentials") };
    }
    connection.account = account;
    connection.expiresUs = timeUs + this.#lifeSeconds * 1e6;
    connection.cancelOnDisconnect ||= account.cancelOnDisconnect;
    const serial = this.#next;
    this.#next += 1;
    const refresh = `refresh-${account.clientId}-${serial}`;
    this.#refresh.set(refresh, account);
    const [oldest] = this.#refresh.keys();
    if (this.#refresh.size > 1_024 && oldest !== undefined) this.#refresh.delete(oldest);
    return {
      result: {
        access_token: `access-${account.clientId}-${serial}`,
        refresh_token: refresh,
        expires_in: this.#lifeSeconds,
        scope: "connection account:read_write trade:read_write",
        token_type: "bearer",
      },
    };
  }

  #account(params: Readonly<Record<string, unknown>>, timeUs: number): SimAccount | undefined {
    const { grant_type: grant, client_id: clientId, refresh_token: token } = params;
    if (grant === "refresh_token") {
      const account = typeof token === "string" ? this.#refresh.get(token) : undefined;
      if (typeof token === "string") this.#refresh.delete(token);
      return account;
    }
    const account = typeof clientId === "string" ? this.#accounts.get(clientId) : undefined;
    if (account === undefined) return undefined;
    if (grant === "client_credentials")
      return params.client_secret === account.clientSecret ? account : undefined;
    if (grant !== "client_signature") return undefined;
    const { timestamp, nonce, data = "", signature } = params;
    if (typeof timestamp !== "number" || typeof nonce !== "string" || typeof signature !== "string")
      return undefined;
    const key = `${account.clientId} ${timestamp} ${nonce}`;
    if (Math.abs(timestamp * 1_000 - timeUs) > SIGNATURE_WINDOW_US || this.#usedNonces.has(key))
      return undefined;
    const expected = createHmac("sha256", account.clientSecret)
      .update([timestamp, nonce, data].join("\n"))
      .digest();
    const given = Buffer.from(signature, "hex");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    if (this.#usedNonces.size > 4_096) this.#usedNonces.clear();
    this.#usedNonces.add(key);
    return account;
  }
}
