import { Desk, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import type { DeskPort } from "../../src/desk/desk-port.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT } from "../../src/feature/schema.ts";
import type { SeenBook } from "../../src/gateway/seen-book.ts";
import type { DeskTap } from "../../src/gateway/tap.ts";
import type { ModelCard } from "../../src/inference/card.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { type JournalSink, RECORD, type RecordType } from "../../src/journal/record.ts";
import type { RowSource } from "../../src/learn/dataset/row.ts";
import { SIDE } from "../../src/market/event-batch.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { MemoryMarket } from "../../src/sim/memory-market.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";
import { ToldEngine } from "../../src/sim/told-engine.ts";

const STEP_US = 1_000;
const TIMER_US = 10_000;
const DEPTH_LEVELS = 10;

/** The venue tells the sizes of the best bid and ask, and who was the aggressor of a trade, the other way round. */
export function exchanged(frame: string): string {
  if (frame.includes("@trade")) {
    return frame.replace(/"m":(true|false)/, (_, maker) => `"m":${maker === "true" ? "false" : "true"}`);
  }
  if (!frame.includes("@bookTicker")) return frame;
  return frame.replace(/"B":"([^"]*)"(.*)"A":"([^"]*)"/, '"B":"$3"$2"A":"$1"');
}

/** Seeds of the simulated market, and whether its regime has changed. */
export interface RegimePlan {
  readonly seed: number;
  readonly startUs: number;
  readonly changed: boolean;
}

/** A desk on the simulated BTCUSDT with whoever follows it; time is stepped by hand and every input is journalled. */
export class RegimeBed {
  readonly desk: Desk;
  readonly market: MemoryMarket;
  /** Reasons of the newest decision. */
  reasons = 0;
  taps: DeskTap[] = [];
  readonly #journal: JournalSink | null;
  #timerUs = 0;

  constructor(
    engine: StepEngine,
    { seed, startUs, changed }: RegimePlan,
    journal: JournalSink | null = null,
  ) {
    this.market = new MemoryMarket(seed, startUs);
    this.changed = changed;
    this.#journal = journal;
    const bed = this;
    class Port extends MemoryPort implements DeskPort {
      named = (underlying: number, card: ModelCard): void => {
        for (const tap of bed.taps) tap.onModel?.(underlying, card);
      };
      stepped = (underlying: number, features: Float32Array, offset: number, timeUs: number): void => {
        for (const tap of bed.taps) tap.onFeatures?.(underlying, features, offset, timeUs);
      };

      override predicted(
        underlying: number,
        probabilities: Float32Array,
        offset: number,
        heads: number,
        status: number,
        timeUs: number,
        book: SeenBook,
      ): void {
        for (const tap of bed.taps)
          tap.onPrediction?.(underlying, probabilities, offset, heads, status, timeUs, book);
      }
    }
    this.desk = new Desk({
      feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
      signals: [],
      instrumentCapacity: 64,
      silenceMs: 2_000,
      seed: 1,
      engine,
      quote: DEFAULT_QUOTE_PARAMETERS,
      risk: DEFAULT_RISK_LIMITS,
      kill: NOT_TRIPPED,
      port: new Port(this.market),
      timer: noTimer,
    });
    this.desk.start(startUs);
    this.desk.onSessionUp(startUs);
  }

  set changed(changed: boolean) {
    this.market.alter = changed ? exchanged : null;
  }

  get timeUs(): number {
    return this.market.timeUs;
  }

  input(type: RecordType, subject: number, payload: string): number {
    this.#journal?.text(type, subject, this.timeUs, payload);
    return this.timeUs;
  }

  /** Lets time pass, at most until `until` says so. @returns seconds that have passed */
  run(seconds: number, until: () => boolean = () => false): number {
    const fromUs = this.timeUs;
    while (this.timeUs < fromUs + seconds * 1e6 && !until()) {
      this.market.advance(this.timeUs + STEP_US, this.desk);
      if (this.timeUs - this.#timerUs < TIMER_US) continue;
      this.#timerUs = this.timeUs;
      this.input(RECORD.timer, 0, "");
      this.desk.onTimer(this.timeUs);
      for (const tap of this.taps) tap.onTimer(this.timeUs);
    }
    return (this.timeUs - fromUs) / 1e6;
  }
}

const NOTHING: Pick<DeskTap, "onQuotes" | "onCancelAll" | "onTimer" | "close"> = {
  onQuotes: () => {},
  onCancelAll: () => {},
  onTimer: () => {},
  close: () => {},
};

/** What the book of the desk's first underlying looks like to the labels. */
export function bookOf({ market }: Desk): { midTicks: number; bidDepth: number; askDepth: number } {
  const book = market.books[market.underlyings.reference[0]];
  const prices = new Int32Array(DEPTH_LEVELS);
  const sizes = new Float64Array(DEPTH_LEVELS);
  const depth = (side: number): number => {
    const levels = book.top(side, DEPTH_LEVELS, prices, sizes);
    return sizes.subarray(0, levels).reduce((sum, size) => sum + size, 0);
  };
  return {
    midTicks: (book.bestBidTicks + book.bestAskTicks) / 2,
    bidDepth: depth(SIDE.bid),
    askDepth: depth(SIDE.ask),
  };
}

/** Rows of so many seconds of the simulated market, as a desk's model sees them. */
export function regimeSource(name: string, plan: RegimePlan, seconds: number): RowSource {
  return {
    kind: "capture",
    name,
    files: [
      {
        name,
        bytes: 0,
        sha256: new Bun.CryptoHasher("sha256").update(JSON.stringify([plan, seconds])).digest("hex"),
      },
    ],
    play: async (sink, untilUs) => {
      const bed = new RegimeBed(new ToldEngine(), plan);
      let inForce = false;
      const over = (): boolean => bed.timeUs > untilUs;
      bed.taps = [
        {
          ...NOTHING,
          onPrediction: (_underlying, _probabilities, _offset, _heads, status) => {
            inForce = status === 0;
            if (!inForce) sink.broken("binance-usdm:BTCUSDT");
          },
          onFeatures: (_underlying, features, offset, timeUs) => {
            if (!inForce || timeUs > untilUs) return;
            sink.row({
              ...{ timeUs, exchangeTimeUs: timeUs, instrument: "binance-usdm:BTCUSDT", probabilities: null },
              ...bookOf(bed.desk),
              features: features.subarray(offset, offset + FEATURE_COUNT),
            });
          },
        },
      ];
      bed.run(seconds, over);
    },
  };
}

export { UNDERLYING_CAPACITY };
