import { DERIBIT_TESTNET_URL } from "../gateway/deribit/venue.ts";
import { indexList, webSocketUrl } from "./deribit-types.ts";
import { flag, integerIn, numberIn, oneOf, secretFile, word } from "./types.ts";
import { variable } from "./variable.ts";

/** Where quotes go by Deribit's API, and the keys of venues whose market data asks for a login. */
export const DERIBIT_VARIABLES = {
  KEEL_GATEWAY: variable(
    oneOf("fix", "deribit"),
    "fix",
    "Where quotes and orders go: a FIX counterparty, or Deribit by its own API",
  ),
  KEEL_DERIBIT_URL: variable(
    webSocketUrl,
    DERIBIT_TESTNET_URL,
    "Deribit's API, the test venue unless told otherwise; `wss://www.deribit.com/ws/api/v2` is the real one",
  ),
  KEEL_DERIBIT_CLIENT_ID: variable(word("text without spaces"), null, "Client id of the API key"),
  KEEL_DERIBIT_CLIENT_SECRET_FILE: variable(secretFile, null, "File with the API key's secret"),
  KEEL_DERIBIT_LOGIN: variable(
    oneOf("signature", "credentials"),
    "signature",
    "How the gateway logs in: with a signature, or by sending the secret itself",
  ),
  KEEL_DERIBIT_INDEXES: variable(
    indexList,
    "btc_usd",
    "Indexes whose instruments are quoted there, by the venue's names",
  ),
  KEEL_DERIBIT_QUOTING: variable(
    oneOf("mass", "orders"),
    "mass",
    "Mass quotes, which the venue must have approved, or an order for each side of a quote",
  ),
  KEEL_DERIBIT_NAME: variable(
    word("text without spaces"),
    "keel",
    "Begins the names of market-maker protection groups and the labels of orders; another one for each desk of an account",
  ),
  KEEL_DERIBIT_CANCEL_ON_DISCONNECT: variable(
    oneOf("connection", "account"),
    "connection",
    "What the venue cancels for when a connection breaks: orders of that connection, or it begins every connection of the account so",
  ),
  KEEL_DERIBIT_MMP: variable(
    flag,
    "on",
    "Sets the venue's market-maker protection at every login; off = it is left as it is",
  ),
  KEEL_DERIBIT_MMP_INTERVAL_SECONDS: variable(
    integerIn(1, 3_600),
    "5",
    "Window of the venue's protection",
    "s",
  ),
  KEEL_DERIBIT_MMP_FROZEN_SECONDS: variable(
    integerIn(0, 86_400),
    "5",
    "How long quotes are frozen once it is set off; 0 = until it is reset at the venue",
    "s",
  ),
  KEEL_DERIBIT_MMP_QUANTITY: variable(
    numberIn({ min: 0.1, max: 100_000 }),
    "25",
    "Coins traded within the window that set it off; a single quote must be smaller",
    "coins",
  ),
  KEEL_DERIBIT_MMP_DELTA: variable(
    numberIn({ min: 0.01, max: 100_000 }),
    "10",
    "Net delta traded within the window that sets it off; below KEEL_DERIBIT_MMP_QUANTITY",
    "coins",
  ),
  KEEL_DERIBIT_MMP_VEGA: variable(
    numberIn({ min: 0, max: 1e9 }),
    "0",
    "Net vega traded within the window that sets it off; 0 = none",
    "USD",
  ),
  KEEL_DERIBIT_MMP_QUOTE_QUANTITY: variable(
    numberIn({ min: 0, max: 100_000 }),
    "0",
    "Most that may be open per side and instrument (`max_quote_quantity`); 0 = the venue is not told",
    "coins",
  ),
  KEEL_DERIBIT_ORDERS_PER_SECOND: variable(
    integerIn(1, 10_000),
    "5",
    "Orders, edits and cancels in the long run, with a burst of four seconds' worth; the venue's lower limits go before",
  ),
  KEEL_DERIBIT_MASS_QUOTES_PER_SECOND: variable(
    integerIn(1, 1_000),
    "10",
    "Mass quotes; what does not fit waits, the newest quote of each instrument",
  ),
  KEEL_DERIBIT_QUOTES_PER_SECOND: variable(integerIn(2, 100_000), "500", "Sides within mass quotes"),
  KEEL_DERIBIT_BLOCK_RFQ: variable(
    flag,
    "off",
    "Answers the venue's block RFQs, with quotes that live for `KEEL_RFQ_QUOTE_LIFE_MS`; the key needs the scope `block_rfq:read_write`",
  ),
  KEEL_DERIBIT_TIMEOUT_MS: variable(
    integerIn(100, 120_000),
    "5000",
    "A request without an answer for so long is of unknown outcome",
    "ms",
  ),
  KEEL_DERIBIT_HEARTBEAT_SECONDS: variable(
    integerIn(10, 600),
    "10",
    "Interval of the venue's heartbeats",
    "s",
  ),
  KEEL_DERIBIT_FEED_LOGIN: variable(
    flag,
    "off",
    "The deribit feed logs in with the same key, by signature, and so gets raw channels",
  ),
  KEEL_COINBASE_KEY: variable(
    word("text without spaces"),
    null,
    "API key with which the coinbase feed signs its subscriptions; the channel of orders needs it",
  ),
  KEEL_COINBASE_SECRET_FILE: variable(secretFile, null, "File with its secret (base64)"),
  KEEL_COINBASE_PASSPHRASE_FILE: variable(secretFile, null, "File with its passphrase"),
} as const;
