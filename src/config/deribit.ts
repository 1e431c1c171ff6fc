import type { ConfigProblem } from "../config.ts";
import type { CoinbaseKey } from "../feed/coinbase/feed-login.ts";
import type { DeribitCredentials } from "../feed/deribit/login.ts";
import type { BudgetOptions } from "../gateway/deribit/credits.ts";
import type { MmpLimits } from "../gateway/deribit/venue.ts";
import { readSecret } from "./secrets.ts";
import type { NamedValues } from "./variables.ts";

/** Quotes and orders at Deribit. */
export interface DeribitConfig {
  readonly url: string;
  readonly credentials: DeribitCredentials;
  readonly indexes: readonly string[];
  readonly quoting: "mass" | "orders";
  readonly name: string;
  readonly mmp: MmpLimits | null;
  readonly cancelOnDisconnect: "connection" | "account";
  readonly budget: BudgetOptions;
  readonly timeoutMs: number;
  readonly heartbeatSeconds: number;
  /** Block RFQs are answered. */
  readonly blockRfqs: boolean;
}

/** Keys for market data that asks for a login. */
export interface FeedKeys {
  readonly deribit: DeribitCredentials | null;
  readonly coinbase: CoinbaseKey | null;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Burst of orders, in seconds' worth, as the venue's lowest tiers have it. */
const BURST_SECONDS = 4;

/** @returns the gateway's configuration (undefined unless it is chosen) and the keys of feeds. What is wrong is added to `problems` */
export function readDeribit(
  env: Env,
  values: NamedValues,
  problems: ConfigProblem[],
): { readonly gateway: DeribitConfig | undefined; readonly feedKeys: FeedKeys } {
  const chosen = values.KEEL_GATEWAY === "deribit";
  const clientSecret = readSecret(env, "KEEL_DERIBIT_CLIENT_SECRET_FILE", problems);
  const clientId = values.KEEL_DERIBIT_CLIENT_ID;
  const wanted = chosen
    ? "KEEL_GATEWAY is deribit"
    : values.KEEL_DERIBIT_FEED_LOGIN
      ? "KEEL_DERIBIT_FEED_LOGIN is on"
      : null;
  if (wanted !== null && clientId === undefined) {
    problems.push({
      name: "KEEL_DERIBIT_CLIENT_ID",
      found: null,
      expected: `a client id, because ${wanted}`,
    });
  }
  if (wanted !== null && clientSecret === undefined) {
    const expected = `a file with the secret, because ${wanted}`;
    problems.push({ name: "KEEL_DERIBIT_CLIENT_SECRET_FILE", found: null, expected });
  }
  if (chosen && values.KEEL_FIX_HOST !== undefined) {
    problems.push({ name: "KEEL_GATEWAY", found: "deribit", expected: "fix, because KEEL_FIX_HOST is set" });
  }
  if (
    chosen &&
    values.KEEL_DERIBIT_MMP &&
    values.KEEL_DERIBIT_MMP_DELTA >= values.KEEL_DERIBIT_MMP_QUANTITY
  ) {
    const expected = "a number below KEEL_DERIBIT_MMP_QUANTITY";
    problems.push({ name: "KEEL_DERIBIT_MMP_DELTA", found: String(values.KEEL_DERIBIT_MMP_DELTA), expected });
  }
  const coinbase = readCoinbase(env, values, problems);
  if (clientId === undefined || clientSecret === undefined) {
    return { gateway: undefined, feedKeys: { deribit: null, coinbase } };
  }
  const signing = { clientId, clientSecret, grant: "signature" } as const;
  return {
    gateway: chosen ? gateway(values, { ...signing, grant: values.KEEL_DERIBIT_LOGIN }) : undefined,
    feedKeys: { deribit: values.KEEL_DERIBIT_FEED_LOGIN ? signing : null, coinbase },
  };
}

function gateway(values: NamedValues, credentials: DeribitCredentials): DeribitConfig {
  const perSecond = values.KEEL_DERIBIT_ORDERS_PER_SECOND;
  const massQuotes = values.KEEL_DERIBIT_MASS_QUOTES_PER_SECOND;
  const quotes = values.KEEL_DERIBIT_QUOTES_PER_SECOND;
  return {
    url: values.KEEL_DERIBIT_URL,
    credentials,
    indexes: values.KEEL_DERIBIT_INDEXES,
    quoting: values.KEEL_DERIBIT_QUOTING,
    name: values.KEEL_DERIBIT_NAME,
    mmp: values.KEEL_DERIBIT_MMP
      ? {
          intervalSeconds: values.KEEL_DERIBIT_MMP_INTERVAL_SECONDS,
          frozenSeconds: values.KEEL_DERIBIT_MMP_FROZEN_SECONDS,
          quantityLimit: values.KEEL_DERIBIT_MMP_QUANTITY,
          deltaLimit: values.KEEL_DERIBIT_MMP_DELTA,
          vegaLimit: values.KEEL_DERIBIT_MMP_VEGA,
          maxQuoteQuantity: values.KEEL_DERIBIT_MMP_QUOTE_QUANTITY,
        }
      : null,
    cancelOnDisconnect: values.KEEL_DERIBIT_CANCEL_ON_DISCONNECT,
    budget: {
      trading: { burst: BURST_SECONDS * perSecond, perSecond },
      massQuotes: { burst: massQuotes, perSecond: massQuotes },
      quotes: { burst: quotes, perSecond: quotes },
    },
    timeoutMs: values.KEEL_DERIBIT_TIMEOUT_MS,
    heartbeatSeconds: values.KEEL_DERIBIT_HEARTBEAT_SECONDS,
    blockRfqs: values.KEEL_DERIBIT_BLOCK_RFQ,
  };
}

function readCoinbase(env: Env, values: NamedValues, problems: ConfigProblem[]): FeedKeys["coinbase"] {
  const key = values.KEEL_COINBASE_KEY;
  const secret = readSecret(env, "KEEL_COINBASE_SECRET_FILE", problems);
  const passphrase = readSecret(env, "KEEL_COINBASE_PASSPHRASE_FILE", problems);
  if (key === undefined) return null;
  if (secret === undefined || passphrase === undefined) {
    const name = secret === undefined ? "KEEL_COINBASE_SECRET_FILE" : "KEEL_COINBASE_PASSPHRASE_FILE";
    problems.push({ name, found: null, expected: "a file, because KEEL_COINBASE_KEY is set" });
    return null;
  }
  return { key, secret, passphrase };
}
