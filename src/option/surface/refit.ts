import { yearsToExpiry } from "../black76.ts";
import { enforce } from "./arbitrage.ts";
import { cutCorrection } from "./correction-check.ts";
import { fitLevel } from "./level-fit.ts";
import { LocalFit } from "./local-fit.ts";
import type { SliceQuotes } from "./quotes.ts";
import { SLICE_SIZE } from "./slice.ts";
import { SliceFit } from "./slice-fit.ts";
import { SURFACE_SOURCE, SurfaceSlices } from "./slices.ts";
import { SVI, SVI_SIZE, sviVariance } from "./svi.ts";
import { orderWings } from "./wings.ts";

/**
 * A pass first fits every expiry by itself, then orders the wings, then fits them again one above the other, and at last corrects
 * each slice where its quotes are.
 */
const PHASE = {
  idle: 0,
  prepare: 1,
  survey: 2,
  order: 3,
  fit: 4,
  finish: 5,
  correct: 6,
  sweep: 7,
  check: 8,
} as const;
/** One unit of work, a few µs: this many options made ready, or one iteration of a fit; the others cost several. */
const OPTIONS_PER_UNIT = 8;
const FINISH_UNITS = 4;
const CORRECT_UNITS = 2;
const SWEEP_UNITS = 2;
/** Iterations for a slice that starts from its last parameters, and for one that starts from a guess. */
const WARM_ITERATIONS = 12;
const COLD_ITERATIONS = 40;
/** Two-sided quotes that five parameters need. */
const LEAST_QUOTES = 6;
/** Of the two-sided quotes, the share that a fitted slice must pass through (within two half-widths) to be used. */
const LEAST_WITHIN = 0.6;

/** What a refit starts from: the expiries' quotes and forwards by slot, the slots by expiry, and the surface in force. */
export interface RefitInputs {
  readonly quotes: readonly SliceQuotes[];
  readonly order: Int32Array;
  readonly forward: Float64Array;
  readonly inForce: SurfaceSlices;
}

/** One pass over all expiries of a surface, in units of work that an event loop can bound. */
export class SurfaceRefit {
  /** What the pass makes; of use when {@link step} has said so. */
  readonly slices: SurfaceSlices;
  /** Of the pass: slices that were refused because they could not be made free of arbitrage or fitted badly, and rows of no use. */
  refusedSlices = 0;
  refusedRows = 0;
  /** Work done since the pass began. */
  units = 0;

  readonly #inputs: RefitInputs;
  /** Each slice fitted by itself, and the bounds that follow for its wings, left and right. */
  readonly #surveyed: Float64Array;
  readonly #wings: Float64Array;
  readonly #pooled: Int32Array;
  readonly #fit = new SliceFit();
  readonly #local: LocalFit;
  #phase: number = PHASE.idle;
  #at = 0;
  #slot = -1;
  #previous = -1;
  #iterations = 0;
  #exchangeTimeUs = 0;
  #oldestUs = 0;

  constructor(expiries: number, optionsPerExpiry: number, inputs: RefitInputs) {
    this.#inputs = inputs;
    this.slices = new SurfaceSlices(expiries, inputs.order);
    this.#surveyed = new Float64Array(expiries * SVI_SIZE);
    this.#wings = new Float64Array(expiries * 2);
    this.#pooled = new Int32Array(expiries);
    this.#local = new LocalFit(optionsPerExpiry);
  }

  get idle(): boolean {
    return this.#phase === PHASE.idle;
  }

  /** Leaves the pass. */
  abandon(): void {
    this.#phase = PHASE.idle;
  }

  /** @param oldestUs local time before which quotes are too old */
  begin(exchangeTimeUs: number, oldestUs: number): void {
    this.#exchangeTimeUs = exchangeTimeUs;
    this.#oldestUs = oldestUs;
    this.#at = 0;
    this.#previous = -1;
    this.#slot = -1;
    this.#phase = this.#count === 0 ? PHASE.idle : PHASE.prepare;
    this.refusedSlices = 0;
    this.refusedRows = 0;
    this.units = 0;
  }

  /** Does up to so many units of work. @returns true when the pass is done */
  step(units: number): boolean {
    const until = this.units + units;
    while (this.units < until) {
      switch (this.#phase) {
        case PHASE.prepare:
          this.units += 1;
          this.#prepare();
          break;
        case PHASE.survey:
          this.units += 1;
          if (!this.#iterate()) this.#endSurvey();
          break;
        case PHASE.order:
          this.units += 1;
          this.#orderWings();
          break;
        case PHASE.fit:
          this.units += 1;
          if (!this.#iterate()) this.#phase = PHASE.finish;
          break;
        case PHASE.finish:
          this.units += FINISH_UNITS;
          this.#finish();
          break;
        case PHASE.correct:
          this.units += CORRECT_UNITS;
          this.#correct();
          break;
        case PHASE.sweep:
          this.units += SWEEP_UNITS;
          if (!this.#local.sweep()) this.#phase = PHASE.check;
          break;
        case PHASE.check:
          this.units += FINISH_UNITS;
          this.#check();
          break;
        default:
          return false;
      }
      if (this.#phase === PHASE.correct && this.#at === this.#count) {
        this.#phase = PHASE.idle;
        return true;
      }
    }
    return false;
  }

  get #count(): number {
    return this.#inputs.quotes.length;
  }

  #prepare(): void {
    const slot = this.#inputs.order[this.#at];
    const quotes = this.#inputs.quotes[slot];
    const { source, years, forward } = this.slices;
    if (this.#slot !== slot) {
      this.#slot = slot;
      quotes.begin();
      const given = this.#inputs.forward[slot];
      years[slot] = yearsToExpiry(quotes.expiryMs, this.#exchangeTimeUs);
      forward[slot] = given > 0 ? given : quotes.parityForward(this.#oldestUs);
    }
    const usable = years[slot] > 0 && forward[slot] > 0;
    source[slot] = usable ? SURFACE_SOURCE.neighbours : SURFACE_SOURCE.none;
    if (!usable) {
      this.#nextSurvey();
      return;
    }
    if (quotes.prepare(OPTIONS_PER_UNIT, forward[slot], years[slot], this.#oldestUs)) return;
    this.refusedRows += quotes.refused;
    if (quotes.twoSided < LEAST_QUOTES) {
      this.#nextSurvey();
      return;
    }
    const warm = this.#inputs.inForce.source[slot] === SURFACE_SOURCE.svi;
    if (warm) copySvi(this.#fit.parameters, 0, this.#surveyed, slot * SVI_SIZE);
    else this.#fit.guess(quotes);
    this.#fit.free();
    this.#fit.begin(quotes, null, 0);
    this.#iterations = warm ? WARM_ITERATIONS : COLD_ITERATIONS;
    this.#phase = PHASE.survey;
  }

  #iterate(): boolean {
    this.#iterations -= 1;
    return this.#fit.iterate() && this.#iterations > 0;
  }

  #endSurvey(): void {
    copySvi(this.#surveyed, this.#slot * SVI_SIZE, this.#fit.parameters, 0);
    this.slices.source[this.#slot] = SURFACE_SOURCE.svi;
    this.#nextSurvey();
  }

  #nextSurvey(): void {
    this.#at += 1;
    this.#slot = -1;
    this.#phase = this.#at < this.#count ? PHASE.prepare : PHASE.order;
  }

  /** What the ordered wings say bounds each slice's wings from above, the previous slice's own ones from below. */
  #orderWings(): void {
    let count = 0;
    for (let at = 0; at < this.#count; at += 1) {
      const slot = this.#inputs.order[at];
      if (this.slices.source[slot] !== SURFACE_SOURCE.svi) continue;
      this.#pooled[count] = slot;
      count += 1;
    }
    orderWings(this.#surveyed, SVI.left, this.slices.years, this.#pooled, count, this.#wings, 0);
    orderWings(this.#surveyed, SVI.right, this.slices.years, this.#pooled, count, this.#wings, 1);
    this.#at = 0;
    this.#nextFit();
  }

  #nextFit(): void {
    if (this.#at === this.#count) {
      this.#endFits();
      return;
    }
    const slot = this.#inputs.order[this.#at];
    this.#slot = slot;
    if (this.slices.source[slot] !== SURFACE_SOURCE.svi) {
      this.#phase = PHASE.finish;
      return;
    }
    const { slices } = this.slices;
    const first = this.#previous < 0;
    const from = this.#previous * SLICE_SIZE;
    copySvi(this.#fit.parameters, 0, this.#surveyed, slot * SVI_SIZE);
    this.#fit.free();
    if (!first) {
      this.#fit.leastLeft = slices[from + SVI.left];
      this.#fit.leastRight = slices[from + SVI.right];
    }
    this.#fit.mostLeft = Math.max(this.#wings[2 * slot], this.#fit.leastLeft);
    this.#fit.mostRight = Math.max(this.#wings[2 * slot + 1], this.#fit.leastRight);
    this.#fit.begin(this.#inputs.quotes[slot], first ? null : slices, from);
    this.#iterations = COLD_ITERATIONS;
    this.#phase = PHASE.fit;
  }

  #finish(): void {
    const slot = this.#slot;
    const quotes = this.#inputs.quotes[slot];
    const from = slot * SLICE_SIZE;
    const { source, slices } = this.slices;
    if (source[slot] !== SURFACE_SOURCE.none) {
      const wanted = source[slot];
      source[slot] = SURFACE_SOURCE.neighbours;
      if (wanted === SURFACE_SOURCE.svi) {
        copySvi(slices, from, this.#fit.parameters, 0);
        if (this.#holds(from, quotes)) source[slot] = SURFACE_SOURCE.svi;
        else this.refusedSlices += 1;
      }
      if (source[slot] !== SURFACE_SOURCE.svi && quotes.twoSided > 0) {
        this.#fitLevel(from, quotes);
        if (this.#holds(from, quotes)) source[slot] = SURFACE_SOURCE.ssvi;
      }
      if (source[slot] >= SURFACE_SOURCE.ssvi) this.#previous = slot;
    }
    this.#at += 1;
    this.#nextFit();
  }

  /** Whether the slice is, perhaps after being moved, free of arbitrage and passes through its quotes. */
  #holds(from: number, quotes: SliceQuotes): boolean {
    const { slices } = this.slices;
    slices.fill(0, from + SVI_SIZE, from + SLICE_SIZE);
    const earlier = this.#previous < 0 ? null : slices;
    if (!enforce(slices, from, earlier, this.#previous * SLICE_SIZE)) return false;
    let within = 0;
    for (let i = 0; i < quotes.used; i += 1) {
      if (quotes.low[i] === 0) continue;
      const w = sviVariance(slices, from, quotes.moneyness[i]);
      if (Math.abs(w - 0.5 * (quotes.low[i] + quotes.high[i])) <= 2 * quotes.half[i]) within += 1;
    }
    return within >= LEAST_WITHIN * quotes.twoSided;
  }

  #fitLevel(from: number, quotes: SliceQuotes): void {
    const { slices } = this.slices;
    if (this.#previous >= 0) {
      fitLevel(slices, from, quotes, slices, this.#previous * SLICE_SIZE);
      return;
    }
    const { inForce } = this.#inputs;
    fitLevel(slices, from, quotes, inForce.slices, inForce.later(this.#at, this.#count) * SLICE_SIZE);
  }

  #endFits(): void {
    const { source } = this.slices;
    if (this.#previous < 0) {
      for (let slot = 0; slot < this.#count; slot += 1) source[slot] = SURFACE_SOURCE.none;
    }
    this.#at = 0;
    this.#previous = -1;
    this.#phase = PHASE.correct;
  }

  #correct(): void {
    const slot = this.#inputs.order[this.#at];
    const { slices, source } = this.slices;
    if (source[slot] !== SURFACE_SOURCE.svi) {
      this.#nextCorrection();
      return;
    }
    const begun = this.#local.begin(
      slices,
      slot * SLICE_SIZE,
      this.#previous * SLICE_SIZE,
      this.slices.later(this.#at, this.#count) * SLICE_SIZE,
      this.#inputs.quotes[slot],
    );
    if (begun) this.#phase = PHASE.sweep;
    else this.#nextCorrection();
  }

  #check(): void {
    const from = this.#inputs.order[this.#at] * SLICE_SIZE;
    const later = this.slices.later(this.#at, this.#count) * SLICE_SIZE;
    cutCorrection(this.slices.slices, from, this.#previous * SLICE_SIZE, later);
    this.#nextCorrection();
  }

  #nextCorrection(): void {
    const slot = this.#inputs.order[this.#at];
    if (this.slices.source[slot] >= SURFACE_SOURCE.ssvi) this.#previous = slot;
    this.#at += 1;
    this.#phase = PHASE.correct;
  }
}

function copySvi(to: Float64Array, at: number, from: Float64Array, start: number): void {
  for (let i = 0; i < SVI_SIZE; i += 1) to[at + i] = from[start + i];
}
