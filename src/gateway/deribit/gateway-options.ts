import type { Clock } from "../../core/clock.ts";
import type { DeribitCredentials } from "../../feed/deribit/login.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { RfqInput } from "../../rfq/message.ts";
import type { TermFence } from "../wire-fence.ts";
import type { Portfolio } from "./account.ts";
import type { BlockRfqCounters } from "./block-quotes.ts";
import type { BudgetOptions } from "./credits.ts";
import type { QuoteCounters } from "./quote-writer.ts";
import type { RpcClientCounters } from "./rpc-client.ts";
import type { MmpLimits } from "./venue.ts";

export interface DeribitGatewayOptions {
  readonly url: string;
  readonly credentials: DeribitCredentials;
  readonly instruments: InstrumentTable;
  readonly clock: Clock;
  readonly seed: number;
  /** Indexes that are quoted, by the venue's name: `btc_usd`. */
  readonly indexes: readonly string[];
  /** `mass` needs the venue's approval; `orders` sends an order for each side of a quote. */
  readonly quoting: "mass" | "orders";
  /** Levels that are quoted; each has an MMP group. */
  readonly levels: number;
  /** Begins the names of MMP groups (`keel-btc_usd`) and the labels of orders. */
  readonly name: string;
  /** Null: the protection that the account has is left as it is. */
  readonly mmp: MmpLimits | null;
  readonly cancelOnDisconnect: "connection" | "account";
  readonly budget: BudgetOptions;
  readonly timeoutMs: number;
  readonly heartbeatSeconds: number;
  readonly reconnectFirstMs?: number;
  readonly reconnectCapMs?: number;
  /** Told in words of everything that went wrong; without secrets. */
  readonly onProblem?: (text: string, timeUs: number) => void;
  /** Takes what block RFQs say, journals it and hands it to the desk; left out = they are not answered. */
  readonly onRfq?: ((input: RfqInput) => void) | undefined;
  /** One of a pair: it is logged in and listens from the start, and changes anything at the venue only while it leads. */
  readonly pair?: { readonly fence: TermFence };
}

export interface DeribitGatewayCounters extends QuoteCounters {
  executions: number;
  duplicateExecutions: number;
  foreignTrades: number;
  mmpTriggers: number;
  cancels: number;
  recoveries: number;
}

/** The session as the console and `/api` show it. */
export interface DeribitDescription {
  readonly url: string;
  readonly state: "down" | "logging on" | "standing by" | "up" | "recovering";
  readonly portfolios: readonly Portfolio[];
  readonly frozen: Readonly<Record<string, number>>;
  readonly deferredQuotes: number;
  readonly conflatedQuotes: number;
  readonly counters: Readonly<DeribitGatewayCounters>;
  readonly requests: Readonly<RpcClientCounters>;
  /** Null where block RFQs are not answered. */
  readonly blockRfqs:
    | (Readonly<BlockRfqCounters> & { readonly open: number; readonly standing: number })
    | null;
}
