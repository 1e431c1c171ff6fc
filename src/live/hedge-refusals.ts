import type { Clock } from "../core/clock.ts";
import { stepsToDecimal } from "../core/decimal.ts";
import type { Logger } from "../core/log.ts";
import type { Hedger } from "../hedge/hedger.ts";
import { LIMIT_MEANING } from "../risk/refusal.ts";

/** A refusal like the one told last is told again after this time: while it lasts there are four a second. */
const AGAIN_US = 60e6;

/** Says in the log which limit keeps hedges from going out: the hedger, which a replay runs too, says nothing. */
export class HedgeRefusals {
  readonly #hedger: Pick<Hedger, "counters" | "lastRefused">;
  readonly #clock: Clock;
  readonly #log: Logger;
  #seen = 0;
  #told = "";
  #toldUs = Number.NEGATIVE_INFINITY;
  /** How many came since the last that was told. */
  #untold = 0;

  constructor(hedger: Pick<Hedger, "counters" | "lastRefused">, clock: Clock, log: Logger) {
    this.#hedger = hedger;
    this.#clock = clock;
    this.#log = log;
  }

  onTimer(): void {
    const { counters, lastRefused } = this.#hedger;
    if (counters.refused === this.#seen || lastRefused === null) return;
    this.#untold += counters.refused - this.#seen;
    this.#seen = counters.refused;
    const { limit, instrument, side, sizeLots, priceTicks } = lastRefused;
    const about = `${limit} ${instrument.id}`;
    const nowUs = this.#clock.wallUs();
    if (about === this.#told && nowUs - this.#toldUs < AGAIN_US) return;
    this.#told = about;
    this.#toldUs = nowUs;
    this.#log.error("the risk gate refuses a hedge", {
      ...{ limit, refuses: LIMIT_MEANING[limit] },
      instrument: `${instrument.venue}:${instrument.symbol}`,
      side: side === 0 ? "buy" : "sell",
      size: stepsToDecimal(sizeLots, instrument.lot),
      price: stepsToDecimal(priceTicks, instrument.tick),
      times: this.#untold,
    });
    this.#untold = 0;
  }
}
