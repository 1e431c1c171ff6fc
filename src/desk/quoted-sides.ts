import type { InstrumentTable } from "../market/instrument.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { SavedSides } from "../quote/sides-store.ts";
import { SIDES } from "../quote/target.ts";

/** Which sides operators have said are quoted, also of instruments that are yet to be listed. */
export class QuotedSides {
  readonly #quoter: Quoter;
  /** One of `SIDES` by symbol; by the empty one, for all others. */
  readonly #bySymbol = new Map<string, number>();

  constructor(quoter: Quoter, saved: SavedSides) {
    this.#quoter = quoter;
    for (const [symbol, name] of Object.entries(saved)) this.#bySymbol.set(symbol, SIDES[name]);
  }

  /** An instrument is listed. */
  onInstrument(instrument: number, symbol: string): void {
    const sides = this.#bySymbol.get(symbol) ?? this.#bySymbol.get("");
    if (sides !== undefined) this.#quoter.setSides(instrument, sides);
  }

  /**
   * @param instrument −1 for every one, also those that are listed later
   * @param sides one of `SIDES`
   * @returns how many instruments it concerns
   */
  set(instrument: number, sides: number, listed: InstrumentTable): number {
    if (instrument < 0) {
      this.#bySymbol.clear();
      this.#bySymbol.set("", sides);
    }
    let concerned = 0;
    for (const { id } of listed.all()) {
      if ((instrument >= 0 && id !== instrument) || !this.#quoter.quotes(id)) continue;
      this.#quoter.setSides(id, sides);
      concerned += 1;
    }
    return concerned;
  }
}
