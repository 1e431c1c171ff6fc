import { Histogram } from "../core/histogram.ts";

/** Stages of one event's way, in order. `total` runs from the frame's receipt to the end of the turn that answers it. */
export const STAGES = ["decode", "book", "feature", "inference", "quote", "risk", "encode", "total"] as const;
export type StageName = (typeof STAGES)[number];
export const STAGE = {
  decode: 0,
  book: 1,
  feature: 2,
  inference: 3,
  quote: 4,
  risk: 5,
  encode: 6,
  total: 7,
} as const;

/** Percentiles of one stage, µs. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What the desk tells about where its time goes. Measuring never changes a decision, so replay leaves it out. */
export interface StageTimer {
  /** A frame has arrived: `receivedNs` on the monotonic clock. Turns that were not begun are not measured. */
  begin(receivedNs: number): void;
  /** Time since the last mark belongs to `stage`. */
  mark(stage: number): void;
  /** The turn ends; stages that ran are recorded. `quoted`: quotes were handed to the gateway. */
  end(quoted: boolean): void;
  /** The turn ends, but the quotes for its event are decided with its batch: its stages are recorded, the batch's total is open. */
  defer(): void;
  /** The batch's quotes are decided now: a turn that counts from the receipt of the batch's first event. */
  gather(): void;
  /** The turn ends at a submit to an asynchronous engine: its stages are recorded, its total is still open. */
  suspend(): void;
  /** The submit's result is there: the turn that was suspended goes on. */
  resume(): void;
}

/** For replay and backtest: measures nothing. */
export const noTimer: StageTimer = {
  begin: () => {},
  mark: () => {},
  end: () => {},
  defer: () => {},
  gather: () => {},
  suspend: () => {},
  resume: () => {},
};

/** Of so many turns the stages of one are measured in a live desk. */
export const STAGES_EVERY = 8;
/** After a pause of this long a turn's stages are measured whatever its number: where little comes in, those of every turn are. */
const PAUSE_NS = 10_000_000;

/**
 * Records each turn's total and, of one turn in so many, the time of each stage, in histograms of ns: reading the clock and
 * recording at every stage takes a tenth of an event's time. Allocates nothing after construction.
 */
export class StageHistograms implements StageTimer {
  readonly stages: readonly Histogram[] = STAGES.map(() => new Histogram());
  /** Receipt to hand-over, of turns that sent quotes only. */
  readonly quoted = new Histogram();
  readonly #monotonicNs: () => number;
  readonly #every: number;
  readonly #spent = new Float64Array(STAGES.length);
  /** Turns since the last one whose stages were measured, and its begin. */
  #turns = 0;
  #measuredNs = Number.NEGATIVE_INFINITY;
  /** The stages of the turn are measured, not its total alone. */
  #inStages = false;
  #ran = 0;
  #begunNs = 0;
  #markedNs = 0;
  #open = false;
  /** Receipt of the first event whose quotes are open; NaN while there is none. */
  #deferredBegunNs = Number.NaN;
  #suspendedBegunNs = 0;
  #suspendedMarkedNs = 0;
  #suspendedInStages = false;

  /** @param every the stages of one turn in so many are measured; 1 = of all */
  constructor(monotonicNs: () => number, every = 1) {
    this.#monotonicNs = monotonicNs;
    this.#every = every;
  }

  begin(receivedNs: number): void {
    this.#turns += 1;
    const due = this.#turns >= this.#every || receivedNs - this.#measuredNs >= PAUSE_NS;
    if (due) {
      this.#turns = 0;
      this.#measuredNs = receivedNs;
    }
    this.#start(receivedNs, due);
  }

  mark(stage: number): void {
    if (!this.#open) return;
    this.#ran |= 1 << stage;
    // Who is told of quotes that have been handed over is not part of the total, so where they are is always noted.
    if (!this.#inStages && stage !== STAGE.encode) return;
    const nowNs = this.#monotonicNs();
    this.#spent[stage] += nowNs - this.#markedNs;
    this.#markedNs = nowNs;
  }

  end(quoted: boolean): void {
    if (!this.#open || this.#ran === 0) return;
    if (!this.#inStages && (this.#ran & (1 << STAGE.encode)) === 0) this.#markedNs = this.#monotonicNs();
    this.#recordStages();
    const totalNs = this.#markedNs - this.#begunNs;
    this.stages[STAGE.total].record(totalNs);
    if (quoted) this.quoted.record(totalNs);
  }

  defer(): void {
    if (!this.#open) return;
    if (Number.isNaN(this.#deferredBegunNs)) this.#deferredBegunNs = this.#begunNs;
    this.#recordStages();
  }

  gather(): void {
    if (Number.isNaN(this.#deferredBegunNs)) return;
    this.begin(this.#deferredBegunNs);
    this.#deferredBegunNs = Number.NaN;
    if (this.#inStages) this.#markedNs = this.#monotonicNs();
    this.#ran = 1 << STAGE.total;
  }

  suspend(): void {
    // A submit for events that waited for the one before it: their receipt is not known, so it counts from the last turn's end.
    this.#suspendedBegunNs = this.#open ? this.#begunNs : this.#markedNs;
    this.#suspendedMarkedNs = this.#markedNs;
    this.#suspendedInStages = this.#inStages;
    this.#recordStages();
  }

  resume(): void {
    this.#start(this.#suspendedBegunNs, this.#suspendedInStages);
    this.#markedNs = this.#suspendedMarkedNs;
  }

  #start(begunNs: number, inStages: boolean): void {
    this.#begunNs = begunNs;
    this.#markedNs = begunNs;
    this.#ran = 0;
    this.#inStages = inStages;
    if (inStages) this.#spent.fill(0);
    this.#open = true;
  }

  #recordStages(): void {
    if (this.#inStages) {
      for (let stage = 0; stage < STAGE.total; stage += 1) {
        if ((this.#ran & (1 << stage)) !== 0) this.stages[stage].record(this.#spent[stage]);
      }
    }
    this.#ran = 0;
    this.#open = false;
  }

  reset(): void {
    for (const histogram of this.stages) histogram.reset();
    this.quoted.reset();
  }

  /** `latencyUs` of the run's summary. */
  report(): Record<StageName, Percentiles> {
    const entries = STAGES.map((name, stage) => [name, percentilesUs(this.stages[stage])] as const);
    return Object.fromEntries(entries) as Record<StageName, Percentiles>;
  }
}

/** Percentiles in µs of a histogram of ns; zeros when it is empty. */
export function percentilesUs(histogram: Histogram): Percentiles {
  if (histogram.count === 0) return { count: 0, p50: 0, p99: 0, p999: 0, max: 0 };
  const us = (ns: number): number => Math.round(ns / 10) / 100;
  return {
    count: histogram.count,
    p50: us(histogram.quantile(0.5)),
    p99: us(histogram.quantile(0.99)),
    p999: us(histogram.quantile(0.999)),
    max: us(histogram.max),
  };
}
