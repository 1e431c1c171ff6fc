import { stepsToDecimal } from "../../core/decimal.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import { VENUES } from "../../market/instrument.ts";
import type { Quoter } from "../../quote/quoter.ts";
import type { InstrumentName } from "../fix/application/instrument-fields.ts";
import type { MarketDataLevel } from "../fix/application/market-data.ts";
import type { MarketDataSource } from "../fix/application/market-data-publisher.ts";

/** The desk's own quotes as they stand, as market data for its clients. */
export class OwnQuotes implements MarketDataSource {
  readonly #instruments: InstrumentTable;
  readonly #quoter: Quoter;

  constructor(instruments: InstrumentTable, quoter: Quoter) {
    this.#instruments = instruments;
    this.#quoter = quoter;
  }

  /** The instrument's name with its venue, by number. */
  nameOf(instrument: number): InstrumentName {
    const { symbol, venue } = this.#instruments.get(instrument);
    return { symbol, exchange: venue };
  }

  find({ symbol, exchange }: InstrumentName): InstrumentName | undefined {
    const id = this.#id(symbol, exchange);
    return id < 0 ? undefined : this.nameOf(id);
  }

  levels({ symbol, exchange }: InstrumentName, depth: number): readonly MarketDataLevel[] {
    const id = this.#id(symbol, exchange);
    if (id < 0) return [];
    const { tick, lot } = this.#instruments.get(id);
    const { levels } = this.#quoter.parameters;
    const shown = depth === 0 ? levels : Math.min(depth, levels);
    const bids: MarketDataLevel[] = [];
    const offers: MarketDataLevel[] = [];
    for (let level = 0; level < shown; level += 1) {
      const { bidTicks, bidLots, askTicks, askLots } = this.#quoter.standing(id, level);
      if (bidLots > 0)
        bids.push({ type: "bid", price: stepsToDecimal(bidTicks, tick), size: stepsToDecimal(bidLots, lot) });
      if (askLots > 0)
        offers.push({
          type: "offer",
          price: stepsToDecimal(askTicks, tick),
          size: stepsToDecimal(askLots, lot),
        });
    }
    return [...bids, ...offers];
  }

  /** −1 when no instrument that is quoted has the name, or several venues' have it and none is named. */
  #id(symbol: string, exchange: string | undefined): number {
    let found = -1;
    for (const venue of VENUES) {
      if (exchange !== undefined && exchange !== venue) continue;
      const instrument = this.#instruments.find(venue, symbol);
      if (instrument === undefined || !this.#quoter.quotes(instrument.id)) continue;
      if (found >= 0) return -1;
      found = instrument.id;
    }
    return found;
  }
}
