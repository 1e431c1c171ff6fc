import type { InstrumentTable } from "../../market/instrument.ts";
import type { RfqVenueFill, TradedLeg } from "../../rfq/message.ts";
import {
  amountText,
  type BlockRfq,
  clientSideOf,
  plain,
  requestIdOf,
  takerOf,
} from "./block-rfq-messages.ts";
import { type JsonRecord, numberOf, textOf } from "./json.ts";

/** Block trades whose legs have not all come. */
const OPEN_MAX = 256;

/** Puts the legs of block trades together, as they come in any order. */
export class BlockTrades {
  readonly #instruments: InstrumentTable;
  readonly #parts = new Map<string, Map<string, JsonRecord>>();

  constructor(instruments: InstrumentTable) {
    this.#instruments = instruments;
  }

  /** @returns the whole trade once its last leg has come; null before */
  onTrade(trade: JsonRecord, rfq: BlockRfq, quoteId: string): RfqVenueFill | null {
    const id = textOf(trade.block_trade_id) || requestIdOf(rfq.block_rfq_id);
    const parts = this.#parts.get(id) ?? new Map<string, JsonRecord>();
    parts.set(textOf(trade.instrument_name), trade);
    this.#parts.set(id, parts);
    if (this.#parts.size > OPEN_MAX) {
      for (const oldest of this.#parts.keys()) {
        this.#parts.delete(oldest);
        break;
      }
    }
    const told = numberOf(trade.block_trade_leg_count);
    const symbols = rfq.legs.map(({ instrument_name: symbol }) => symbol);
    if (rfq.hedge != null && told !== symbols.length) symbols.push(rfq.hedge.instrument_name);
    if (!symbols.every((symbol) => parts.has(symbol))) return null;
    this.#parts.delete(id);
    return this.#fill(id, parts, rfq, quoteId);
  }

  #fill(id: string, parts: ReadonlyMap<string, JsonRecord>, rfq: BlockRfq, quoteId: string): RfqVenueFill {
    const [first] = rfq.legs;
    const own = parts.get(first.instrument_name) ?? {};
    const bought = own.direction === first.direction;
    const quantity = numberOf(own.amount) / first.ratio;
    let price = 0;
    const legs: TradedLeg[] = [];
    for (const { instrument_name: symbol, direction, ratio } of rfq.legs) {
      const part = parts.get(symbol) ?? {};
      price += (direction === "buy" ? ratio : -ratio) * numberOf(part.price);
      legs.push(this.#leg(symbol, part, plain(ratio), false));
    }
    if (rfq.hedge != null) {
      const { instrument_name: symbol, amount } = rfq.hedge;
      const part = parts.get(symbol);
      if (part !== undefined) legs.push(this.#leg(symbol, part, plain(amount / rfq.amount), true));
    }
    return {
      on: "fill",
      channel: "deribit",
      client: takerOf(rfq),
      requestId: requestIdOf(rfq.block_rfq_id),
      quoteId,
      tradeId: id,
      side: bought ? "sell" : "buy",
      price: plain(price),
      quantity: amountText(quantity, first.instrument_name, this.#instruments),
      legs,
    };
  }

  #leg(symbol: string, part: JsonRecord, ratio: string, tied: boolean): TradedLeg {
    const price = plain(numberOf(part.price));
    return {
      ...{ symbol, venue: "deribit", ratio, price },
      side: clientSideOf(part.direction === "buy" ? "buy" : "sell"),
      tiedPrice: tied ? price : null,
      quantity: amountText(numberOf(part.amount), symbol, this.#instruments),
    };
  }
}
