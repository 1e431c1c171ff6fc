import type { Clock } from "../../core/clock.ts";
import { KeelError } from "../../core/errors.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { RfqAction, RfqInput, RfqQuote } from "../../rfq/message.ts";
import type { ExecutionDetail } from "../gateway.ts";
import type { DeskTap } from "../tap.ts";
import { BlockQuotes, type BlockRfqCounters, type QuotedRfq } from "./block-quotes.ts";
import {
  type BlockRfq,
  plain,
  readBlockQuotes,
  readBlockRfq,
  readBlockRfqs,
  requestIdOf,
  requestOf,
  takerOf,
} from "./block-rfq-messages.ts";
import { BlockSide } from "./block-side.ts";
import { BlockTrades } from "./block-trades.ts";
import { type JsonRecord, numberOf } from "./json.ts";
import type { LogonCall } from "./logon.ts";
import type { RpcClient } from "./rpc-client.ts";

export interface BlockRfqsOptions {
  readonly instruments: InstrumentTable;
  readonly client: RpcClient;
  readonly clock: Clock;
  /** Begins the labels of quotes. */
  readonly labelPrefix: () => string;
  /** Currencies whose requests are answered: `BTC`. */
  readonly currencies: readonly string[];
  /** Takes what the venue says. It must journal it before the desk sees it. */
  readonly onInput: (input: RfqInput) => void;
  readonly onProblem: (text: string, timeUs: number) => void;
}

/** One request of the venue. */
interface Asked extends QuotedRfq {
  rfq: BlockRfq;
  /** Of the desk's quote in force; empty = there is none. */
  quoteId: string;
  /** When the desk is asked again; Infinity = it has answered, or never will. */
  askAtUs: number;
  askDelayUs: number;
  /** It is over at the venue; when it counts as done away unless a trade of ours has come. Infinity while it is open. */
  overAtUs: number;
  awayPrice: string | null;
  traded: boolean;
}

const ASKED_MAX = 1_024;
const ASK_FIRST_US = 1_000_000;
const ASK_LONGEST_US = 30_000_000;
/** Trades and the end of a request come by different channels, in no promised order. */
const TRADE_WAIT_US = 2_000_000;
/** Refusals of the desk that another second may change. */
const ASK_AGAIN = new Set(["no-market", "exceeds-limit"]);

/**
 * Answers the venue's block RFQs: its requests go to the desk's RFQ room, whose quotes are held against what stands at the venue.
 * The venue trades with a quote without a last look, so each has an end (`expires_at`), the desk takes back what is no longer
 * good, and asks itself anew while the request is open. Trades come as executions of the account, and as one fill here once all
 * legs are there. What has become of a request of unknown outcome is asked by its label before anything else is sent.
 */
export class BlockRfqs implements DeskTap {
  readonly counters: BlockRfqCounters = {
    requests: 0,
    quotesAdded: 0,
    quotesEdited: 0,
    quotesCancelled: 0,
    quotesRefused: 0,
    unknownOutcomes: 0,
    fills: 0,
    doneAway: 0,
    mmpTriggers: 0,
    unreadable: 0,
  };
  readonly #options: BlockRfqsOptions;
  readonly #trades: BlockTrades;
  readonly #asked = new Map<number, Asked>();
  readonly #quotes: BlockQuotes;

  constructor(options: BlockRfqsOptions) {
    this.#options = options;
    this.#trades = new BlockTrades(options.instruments);
    this.#quotes = new BlockQuotes({ ...options, counters: this.counters, asked: this.#asked });
  }

  /** Requests that are open at the venue. */
  get open(): number {
    let count = 0;
    for (const { overAtUs } of this.#asked.values()) if (overAtUs === Number.POSITIVE_INFINITY) count += 1;
    return count;
  }

  /** Quotes that stand at the venue, as far as is known. */
  get standing(): number {
    let count = 0;
    for (const { sides } of this.#asked.values()) for (const side of sides) if (side.venueId > 0) count += 1;
    return count;
  }

  get channels(): string[] {
    return this.#options.currencies.flatMap((currency) => [
      `block_rfq.maker.${currency}`,
      `block_rfq.maker.quotes.${currency}`,
      `block_rfq.trades.${currency}`,
    ]);
  }

  /** Part of the logon, before subscriptions: what an earlier connection left must not stay. */
  async clear(call: LogonCall): Promise<void> {
    await call("private/cancel_all_block_rfq_quotes", {});
    const left: unknown = await call("private/get_block_rfq_quotes", {});
    const open = readBlockQuotes(left ?? []).filter(({ quote_state: state }) => state === "open");
    if (open.length === 0) return;
    throw new KeelError(
      "deribit-open",
      `deribit: ${open.length} block RFQ quotes are open after their cancellation`,
    );
  }

  /** Last part of the logon: requests that were made meanwhile, and those from before that are over. */
  async begin(call: LogonCall, offsetUs: number): Promise<void> {
    this.#quotes.offsetUs = offsetUs;
    const open = readBlockRfqs(await call("private/get_block_rfqs", { state: "open", role: "maker" }));
    const timeUs = this.#options.clock.wallUs();
    this.#quotes.up = true;
    const ids = new Set(open.map(({ block_rfq_id: id }) => id));
    for (const [id, asked] of this.#asked) {
      if (!ids.has(id)) asked.overAtUs = Math.min(asked.overAtUs, timeUs + TRADE_WAIT_US);
    }
    for (const rfq of open) this.#onRfq(rfq, timeUs);
  }

  /** The connection is gone: nothing is known to stand, and the desk's quotes are withdrawn. */
  onLost(reason: string): void {
    const wasUp = this.#quotes.up;
    this.#quotes.onLost();
    for (const asked of this.#asked.values()) {
      for (const side of asked.sides) side.reset();
      if (wasUp && asked.overAtUs === Number.POSITIVE_INFINITY) this.#withdraw(asked, reason);
      asked.quoteId = "";
      asked.askAtUs = Number.POSITIVE_INFINITY;
    }
  }

  /** @returns false for a channel of something else */
  onNotification(channel: string, data: unknown, timeUs: number): boolean {
    if (!channel.startsWith("block_rfq.")) return false;
    try {
      if (channel.startsWith("block_rfq.maker.quotes.")) {
        for (const quote of readBlockQuotes(data)) {
          const { block_rfq_id: id, direction, quote_state: state, block_rfq_quote_id: quoteId } = quote;
          this.#onQuote(id, direction, quoteId, state, quote.quote_state_reason ?? "", timeUs);
        }
      } else if (channel.startsWith("block_rfq.maker.")) this.#onRfq(readBlockRfq(data), timeUs);
      else this.#onPublicTrade(data);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      this.counters.unreadable += 1;
      this.#options.onProblem(error.message, timeUs);
    }
    return true;
  }

  /** What an execution of a block RFQ is booked with; null for another trade. */
  detailOf(trade: JsonRecord): ExecutionDetail | null {
    const id = numberOf(trade.block_rfq_id);
    if (!(id > 0)) return null;
    const asked = this.#asked.get(id);
    if (asked === undefined) return { structureId: id, counterparty: "block-rfq" };
    const { rfq, quoteId } = asked;
    return {
      structureId: id,
      ...(quoteId === "" ? {} : { rfqQuoteId: quoteId }),
      counterparty: takerOf(rfq),
    };
  }

  /** An execution of a block RFQ has been booked. */
  onBooked(trade: JsonRecord): void {
    const asked = this.#asked.get(numberOf(trade.block_rfq_id));
    if (asked === undefined) return;
    asked.traded = true;
    const fill = this.#trades.onTrade(trade, asked.rfq, asked.quoteId);
    if (fill === null) return;
    this.counters.fills += 1;
    for (const side of asked.sides) side.wanted = null;
    asked.quoteId = "";
    asked.askAtUs = Number.POSITIVE_INFINITY;
    this.#options.onInput(fill);
  }

  /** The venue's protection of block RFQ quotes has gone off: it has cancelled them, and takes none until then. */
  onFrozen(untilUs: number): void {
    this.counters.mmpTriggers += 1;
    this.#quotes.frozenUntilUs = untilUs;
    this.#quotes.gone();
  }

  thaw(): void {
    this.#quotes.frozenUntilUs = 0;
  }

  onQuotes(): void {}

  /** Takes an answer of the desk as what is wanted at the venue; sent when the desk's turn is over. */
  onAnswer(action: RfqAction, timeUs: number): void {
    if (action.channel !== "deribit" || action.do === "order-reject") return;
    const asked = this.#asked.get(Number(action.requestId.slice("block-".length)));
    if (asked === undefined) return;
    if (action.do === "quote") this.#want(asked, action);
    else if (action.do === "reject") {
      this.#want(asked, null);
      asked.askAtUs = ASK_AGAIN.has(action.reason) ? timeUs + asked.askDelayUs : Number.POSITIVE_INFINITY;
      asked.askDelayUs = Math.min(2 * asked.askDelayUs, ASK_LONGEST_US);
    } else if (action.do === "status" && action.quoteId === asked.quoteId) {
      this.#want(asked, null);
      asked.askAtUs = timeUs;
    }
  }

  onCancelAll(timeUs: number): void {
    if (this.#quotes.up) void this.cancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    if (!this.#quotes.up) return;
    for (const [id, asked] of this.#asked) {
      if (timeUs >= asked.overAtUs) {
        this.#asked.delete(id);
        if (!asked.traded) this.#end(asked);
      } else if (timeUs >= asked.askAtUs && asked.overAtUs === Number.POSITIVE_INFINITY)
        this.#ask(asked, true);
    }
    this.#quotes.flush(timeUs);
  }

  close(): void {}

  /** Cancels every quote; resolves when the venue has answered. The connection is cut where it stays unknown. */
  cancelAll(timeUs: number): Promise<void> {
    return this.#quotes.cancelAll(timeUs);
  }

  #onRfq(rfq: BlockRfq, timeUs: number): void {
    const { block_rfq_id: id, state, role, trades } = rfq;
    if (role === "taker") return;
    const known = this.#asked.get(id);
    if (state !== "open" && state !== "created") {
      if (known === undefined || known.overAtUs !== Number.POSITIVE_INFINITY) return;
      const [trade] = trades ?? [];
      if (trade !== undefined) known.awayPrice = plain(trade.price);
      for (const side of known.sides) side.wanted = null;
      known.askAtUs = Number.POSITIVE_INFINITY;
      known.overAtUs = timeUs + (state === "filled" ? TRADE_WAIT_US : 0);
      return;
    }
    if (known !== undefined) {
      known.rfq = rfq;
      known.overAtUs = Number.POSITIVE_INFINITY;
      if (known.quoteId === "" && !known.traded) this.#ask(known, true);
      return;
    }
    if (this.#asked.size >= ASKED_MAX) {
      this.#options.onProblem(`block RFQ ${id} is not answered: ${ASKED_MAX} are open`, timeUs);
      return;
    }
    this.counters.requests += 1;
    const asked: Asked = {
      rfq,
      sides: [new BlockSide("buy"), new BlockSide("sell")],
      ...{ quoteId: "", askAtUs: Number.POSITIVE_INFINITY, askDelayUs: ASK_FIRST_US },
      ...{ overAtUs: Number.POSITIVE_INFINITY, awayPrice: null, traded: false },
    };
    this.#asked.set(id, asked);
    this.#ask(asked, false);
  }

  #ask(asked: Asked, again: boolean): void {
    asked.askAtUs = Number.POSITIVE_INFINITY;
    const { instruments, clock } = this.#options;
    this.#options.onInput(requestOf(asked.rfq, instruments, this.#quotes.offsetUs, again));
    this.#quotes.flush(clock.wallUs());
  }

  #want(asked: Asked, quote: RfqQuote | null): void {
    const [bid, offer] = asked.sides;
    asked.quoteId = quote?.quoteId ?? "";
    if (quote === null) {
      bid.wanted = null;
      offer.wanted = null;
      return;
    }
    asked.askDelayUs = ASK_FIRST_US;
    const { quoteId, validUntilUs, legPrices } = quote;
    for (const [side, price, prices] of [
      [bid, quote.bid, legPrices?.bid ?? null],
      [offer, quote.offer, legPrices?.offer ?? null],
    ] as const) {
      side.wanted =
        price === null || prices === null ? null : { quoteId, validUntilUs, price, legPrices: prices };
    }
  }

  #withdraw({ rfq, quoteId }: Asked, reason: string): void {
    if (quoteId === "") return;
    const client = takerOf(rfq);
    const requestId = requestIdOf(rfq.block_rfq_id);
    this.#options.onInput({ on: "withdraw", channel: "deribit", client, requestId, reason });
  }

  /** A request is over, and not by a trade with us. */
  #end(asked: Asked): void {
    const { rfq, quoteId, awayPrice } = asked;
    if (quoteId === "") return;
    if (awayPrice === null) {
      this.#withdraw(asked, "the venue has ended the request");
      return;
    }
    this.counters.doneAway += 1;
    const about = { responseId: "", quoteId, side: null, quantity: null, orderId: null } as const;
    const client = { channel: "deribit", client: takerOf(rfq) } as const;
    this.#options.onInput({ on: "response", ...client, ...about, kind: "done-away", price: awayPrice });
  }

  #onPublicTrade(data: unknown): void {
    for (const row of Array.isArray(data) ? data : [data]) {
      const asked = this.#asked.get(numberOf(row?.block_rfq_id));
      const price = numberOf(row?.trades?.[0]?.price ?? row?.price);
      if (asked !== undefined && !Number.isNaN(price)) asked.awayPrice = plain(price);
    }
  }

  /** The venue says what became of a quote. */
  #onQuote(
    id: number,
    direction: string,
    quoteId: number,
    state: string,
    reason: string,
    timeUs: number,
  ): void {
    const asked = this.#asked.get(id);
    const side = asked?.sides[direction === "buy" ? 0 : 1];
    if (asked === undefined || side === undefined || state === "open" || side.venueId !== quoteId) return;
    side.gone();
    if (state !== "cancelled" || side.busy || side.wanted === null || this.#quotes.cancelling) return;
    // Somebody else has cancelled it: it is not put back at once.
    side.wanted = null;
    if (asked.overAtUs !== Number.POSITIVE_INFINITY || reason.startsWith("rfq_")) return;
    this.#options.onProblem(
      `the venue cancelled quote ${quoteId} of block RFQ ${id} (${reason || "no reason"})`,
      timeUs,
    );
  }
}
