import type { InstrumentTable } from "../../market/instrument.ts";
import { type Portfolio, readPortfolio } from "./account.ts";
import { isRecord, type JsonRecord, recordsOf, textOf } from "./json.ts";
import type { Opening } from "./opening.ts";
import type { DeribitOrders } from "./orders.ts";
import type { Protection } from "./protection.ts";
import type { QuoteWriter } from "./quote-writer.ts";

export interface AccountEventsOptions {
  readonly instruments: InstrumentTable;
  readonly orders: DeribitOrders;
  readonly writer: QuoteWriter;
  readonly protection: Protection;
  readonly opening: Opening;
  readonly onTrade: (trade: JsonRecord, timeUs: number) => void;
  /** Nothing may be sent now. */
  readonly held: () => boolean;
  readonly up: () => boolean;
  /** What stands at the venue is not known any more. */
  readonly unknown: (reason: string, timeUs: number) => void;
}

/** What the venue tells of the account without being asked: trades, orders, protection and funds. */
export class AccountEvents {
  readonly portfolios = new Map<string, Portfolio>();
  readonly #options: AccountEventsOptions;

  constructor(options: AccountEventsOptions) {
    this.#options = options;
  }

  /** @param leads orders are this process's own */
  onNotification(channel: string, data: unknown, leads: boolean, timeUs: number): void {
    const { onTrade, protection, opening } = this.#options;
    const [room, topic = "", subject = ""] = channel.split(".", 3);
    if (room !== "user") return;
    const rows = Array.isArray(data) ? recordsOf(data) : isRecord(data) ? [data] : [];
    if (topic === "trades") for (const trade of rows) onTrade(trade, timeUs);
    else if (topic === "orders" && leads) for (const order of rows) this.#onOrder(order, timeUs);
    else if (topic === "mmp_trigger" && isRecord(data))
      protection.onStatus(subject, data, opening.clockOffsetUs, timeUs);
    else if (topic === "portfolio") this.onPortfolio(data);
  }

  onPortfolio(value: unknown): void {
    const portfolio = readPortfolio(value);
    if (portfolio !== null) this.portfolios.set(portfolio.currency, portfolio);
  }

  #onOrder(order: JsonRecord, timeUs: number): void {
    const { instruments, orders, writer, held, up, unknown } = this.#options;
    if (orders.onOrder(order, timeUs)) return;
    const symbol = textOf(order.instrument_name);
    if (order.order_state === "open") {
      if (up() && writer.isOurs(order) && writer.isStale(order))
        unknown(`a quote of an earlier leader came to stand on ${symbol}`, timeUs);
      return;
    }
    if (order.order_state !== "cancelled") return;
    const instrument = instruments.find("deribit", symbol);
    if (instrument === undefined || !writer.isOurs(order)) return;
    const side = order.direction === "buy" ? 0 : 1;
    const expected = held() || !writer.expects(instrument.id, side, order);
    writer.onGone(instrument.id, side, order);
    if (expected || order.mmp_cancelled === true || order.cancel_reason === "mmp_trigger") return;
    unknown(
      `the venue cancelled a quote on ${symbol} (${textOf(order.cancel_reason) || "no reason"})`,
      timeUs,
    );
  }
}
