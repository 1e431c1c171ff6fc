import { FRAME } from "../../src/feed/feed.ts";
import { RELAY_VERSION, type RelayType, relaySpec } from "../../src/feed/relay/message.ts";
import type { InstrumentSpec } from "../../src/market/instrument.ts";
import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";

/** A book that has changed is told whole again after this long. */
const SNAPSHOT_EVERY_US = 40_000;

type Body = Readonly<Record<string, unknown>>;

function described(symbol: string): InstrumentSpec {
  return {
    ...{ venue: "binance-usdm", symbol, kind: "perpetual", base: symbol.slice(0, 3), quote: "USDT" },
    ...{ settle: "USDT", tick: { mantissa: 1, scale: 1 }, tickSteps: [], lot: { mantissa: 1, scale: 0 } },
    ...{ minSizeLots: 1, inverse: false, contractSize: 1, expiryMs: Infinity, strike: Number.NaN },
    optionType: null,
  };
}

/**
 * Another keel that publishes a venue, as far as its messages go: numbered, nothing is asked of it, and snapshots of books that have
 * changed come by themselves.
 */
export class FakeRelay implements FakeVenue {
  readonly venue = "binance-usdm" as const;
  readonly symbols = ["BTCUSDT", "ETHUSDT"] as const;
  readonly subscriptions = this.symbols.map((symbol) => `relay:${symbol}`);
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly isDescribedByBooks = true;
  /** Prices are counts of ticks: what lies between two is no price at all. */
  readonly offGridReason = "unparsable" as const;
  /** A topic carries whatever its publisher takes in. */
  readonly strangersAre = FRAME.control;
  readonly #numbers = [0, 0];
  readonly #moved = [false, false];
  readonly #toldUs = [0, 0];
  #timeUs = 0;

  service(session: VenueSide): void {
    session.port.takeSent();
    for (const frame of this.unasked(session.timeUs)) session.deliver(frame);
  }

  unasked(timeUs: number): string[] {
    this.#timeUs = timeUs;
    return this.symbols.flatMap((_, index) => {
      if (!this.#moved[index] || Math.abs(timeUs - this.#toldUs[index]) < SNAPSHOT_EVERY_US) return [];
      this.#moved[index] = false;
      this.#toldUs[index] = timeUs;
      return [this.#snapshot(index)];
    });
  }

  disconnected(): void {}

  next(index: number): string {
    const book = this.books[index];
    const previous = book.sequence;
    const [bids, asks] = book.change();
    book.sequence += 1;
    return this.#message(index, "delta", { sequence: [book.sequence, book.sequence, previous], bids, asks });
  }

  trade(index: number): string {
    return this.#message(index, "trade", { sequence: [7, 7, null], side: "sell", ticks: 1_000, lots: 2 });
  }

  offGrid(index: number): string {
    return this.#message(index, "delta", { sequence: [1, 1, 0], bids: [[999.5, 1]], asks: [] });
  }

  stranger(): string {
    return this.#text("SOLUSDT", 1, "trade", { sequence: [1, 1, null], side: "buy", ticks: 5, lots: 1 });
  }

  heartbeat(): string {
    return this.stranger().replace("binance-usdm", "deribit");
  }

  #snapshot(index: number): string {
    const { sequence, sides } = this.books[index];
    const [bids, asks] = sides.map((levels) => [...levels]);
    const spec = relaySpec(described(this.symbols[index]));
    return this.#message(index, "snapshot", { sequence: [sequence, sequence, null], spec, bids, asks });
  }

  #message(index: number, type: RelayType, body: Body): string {
    this.#numbers[index] += 1;
    if (type === "delta") this.#moved[index] = true;
    return this.#text(this.symbols[index], this.#numbers[index], type, body);
  }

  #text(symbol: string, number: number, type: RelayType, body: Body): string {
    const head = { v: RELAY_VERSION, type, venue: this.venue, instrument: symbol, session: 1, number };
    return JSON.stringify({ ...head, receivedUs: this.#timeUs, exchangeUs: null, ...body });
  }
}
