import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import { applyLimits, readOpenOrders } from "./account.ts";
import type { BlockRfqs } from "./block-rfqs.ts";
import type { RequestBudget } from "./credits.ts";
import type { Fills } from "./fills.ts";
import { type JsonRecord, numberOf } from "./json.ts";
import { accountChannels, fetchTrades, type LogonCall, settlementOf, subscribe } from "./logon.ts";
import type { Protection } from "./protection.ts";
import type { Term } from "./term.ts";

/** An older reading of the venue's clock counts as long as two clocks are apart by no more than a few milliseconds after it. */
const CLOCK_US_MAX = 60e6;

export interface OpeningOptions {
  readonly clock: Clock;
  readonly budget: RequestBudget;
  readonly indexes: readonly string[];
  readonly cancelOnDisconnect: "connection" | "account";
  readonly blockRfqs: BlockRfqs | null;
  readonly protection: Protection;
  readonly fills: Fills;
  readonly term: Term;
  readonly onPortfolio: (value: unknown) => void;
}

/**
 * The steps from a login to a session that may quote. One that stands by takes the second of them alone, which changes nothing at
 * the venue, and the others when it is to lead.
 */
export class Opening {
  /** Venue's clock less ours, µs. */
  clockOffsetUs = 0;
  readonly #options: OpeningOptions;
  #clockAtUs = Number.NEGATIVE_INFINITY;

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  /** What an earlier connection left, of this process or another, is cancelled. */
  async clear(call: LogonCall): Promise<void> {
    const { cancelOnDisconnect, blockRfqs } = this.#options;
    await Promise.all([
      call("private/enable_cancel_on_disconnect", { scope: cancelOnDisconnect }),
      call("private/cancel_all", {}),
      blockRfqs?.clear(call),
    ]);
  }

  /** Reads the account and hears of what happens to it from here on. */
  async listen(call: LogonCall): Promise<void> {
    const { budget, indexes, fills, onPortfolio } = this.#options;
    const venueMs = await this.askTime(call);
    const summaries = await Promise.all(
      this.#currencies.map((currency) => call("private/get_account_summary", { currency, extended: true })),
    );
    for (const summary of summaries) {
      applyLimits(summary, budget);
      onPortfolio(summary);
    }
    await subscribe(call, accountChannels(indexes));
    fills.listenFrom(venueMs);
  }

  /** Protection, trades that happened while nobody listened, and a look whether nothing is open. @throws KeelError when something is */
  async settle(call: LogonCall): Promise<void> {
    const { clock, blockRfqs, protection } = this.#options;
    const [rows] = await Promise.all([
      call("private/get_open_orders", {}),
      this.#missedTrades(call),
      protection.configure(call).then(() => protection.ask(call, this.clockOffsetUs, () => clock.wallUs())),
      blockRfqs === null ? null : subscribe(call, blockRfqs.channels),
    ]);
    const open = readOpenOrders(rows);
    if (open.length === 0) return;
    throw new KeelError(
      "deribit-open",
      `deribit: ${open.length} orders are open after everything was cancelled`,
    );
  }

  /** Reads the venue's clock. @returns its time, ms */
  async askTime(call: LogonCall): Promise<number> {
    const { clock, term } = this.#options;
    const askedUs = clock.wallUs();
    const venueMs = numberOf(await call("public/get_time", {}));
    if (Number.isNaN(venueMs)) throw new KeelError("deribit-clock", "deribit: public/get_time gave no time");
    const nowUs = clock.monotonicNs() / 1_000;
    this.clockOffsetUs = venueMs * 1_000 - (askedUs + clock.wallUs()) / 2;
    // The venue read its clock before its answer came: what is found is never too much, and the answer that took least is closest.
    const atLeastUs = venueMs * 1_000 - nowUs;
    if (!(atLeastUs < term.venueLessMonotonicUs) || nowUs - this.#clockAtUs > CLOCK_US_MAX) {
      term.venueLessMonotonicUs = atLeastUs;
      this.#clockAtUs = nowUs;
    }
    return venueMs;
  }

  get #currencies(): readonly string[] {
    return [...new Set(this.#options.indexes.map((index) => settlementOf(index)))];
  }

  async #missedTrades(call: LogonCall): Promise<void> {
    const { clock, fills, term } = this.#options;
    if (!fills.mayHaveMissed) return;
    const venueMs = (clock.monotonicNs() / 1_000 + term.venueLessMonotonicUs) / 1_000;
    const onTrade = (trade: JsonRecord): void => fills.onMissed(trade, clock.wallUs());
    await fetchTrades(call, this.#currencies, fills.sinceMs, Math.ceil(venueMs), onTrade);
  }
}
