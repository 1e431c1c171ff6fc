/**
 * Who is told what happens in the simulated market: the frame generators and tests. Instruments are dense numbers, sides are
 * those of `SIDE`, prices whole ticks, sizes whole lots of the instrument.
 */
export interface MarketSink {
  /** The level now holds `lots`; before, it held `before`. The two differ. */
  onLevel(instrument: number, side: number, priceTicks: number, lots: number, before: number): void;
  /** One match; `side` is the aggressor's. The level change it causes is told separately, after it. */
  onTrade(instrument: number, side: number, priceTicks: number, lots: number): void;
  /** Everything since the last turn happened at once, at `timeUs`. */
  onTurn(timeUs: number): void;
}

/** Tells several sinks, in order. */
export class SinkFan implements MarketSink {
  readonly #sinks: MarketSink[] = [];

  add(sink: MarketSink): void {
    this.#sinks.push(sink);
  }

  onLevel(instrument: number, side: number, priceTicks: number, lots: number, before: number): void {
    for (const sink of this.#sinks) sink.onLevel(instrument, side, priceTicks, lots, before);
  }

  onTrade(instrument: number, side: number, priceTicks: number, lots: number): void {
    for (const sink of this.#sinks) sink.onTrade(instrument, side, priceTicks, lots);
  }

  onTurn(timeUs: number): void {
    for (const sink of this.#sinks) sink.onTurn(timeUs);
  }
}
