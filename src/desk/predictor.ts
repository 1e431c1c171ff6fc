import { invariant } from "../core/invariant.ts";
import { SCHEMA_HASH } from "../feature/schema.ts";
import { FeatureState } from "../feature/tick.ts";
import { SeenBook } from "../gateway/seen-book.ts";
import type { StepEngine } from "../inference/engine.ts";
import { REASON } from "../quote/quote-batch.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { DeskCounters } from "./counters.ts";
import type { DeskPort } from "./desk.ts";
import type { DeskFeatures } from "./desk-features.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import { type MarketState, TOUCHED_QUOTE, TOUCHED_STEP } from "./market-state.ts";

export interface PredictorOptions {
  /** Null: no model. */
  readonly engine: StepEngine | null;
  readonly underlyingCapacity: number;
  readonly features: DeskFeatures;
  readonly quoter: Quoter;
  readonly timer: StageTimer;
  readonly counters: DeskCounters;
  /** Is told every prediction. */
  readonly port: Pick<DeskPort, "predicted" | "stepped">;
}

/**
 * Steps the model for underlyings that moved and hands its predictions to the quoter. Each underlying is a slot of the engine.
 *
 * With a synchronous engine everything happens in one call. With an asynchronous one {@link step} prepares a submit and
 * {@link resolve} takes its result; what moves in between waits and is answered by the next submit, with the latest state.
 */
export class Predictor {
  /** Latest prediction of each underlying, `[underlying][head]`; NaN while there is none. */
  readonly probabilities: Float32Array;
  readonly heads: number;
  /** Time of the features that each underlying's latest prediction was made from, local µs; NaN while there is none. */
  readonly stateUs: Float64Array;
  readonly #options: PredictorOptions;
  /** Why the model is not in force, as {@link REASON} bits, by underlying; 0 when it is. */
  readonly #status: Int32Array;
  /** The underlying moved while a submit was in flight. */
  readonly #waiting: Uint8Array;
  /** The underlying's state was reset while a submit was in flight: its row of the result is void. */
  readonly #voided: Uint8Array;
  readonly #submitted: Int32Array;
  readonly #seen = new SeenBook();
  /** Underlyings whose new prediction nobody who looks on was told of yet, how many, and since when. */
  readonly #untold: Int32Array;
  #untoldCount = 0;
  #untoldUs = 0;
  /** Rows of the last step whose features nobody was shown yet. */
  #unshownRows = 0;
  /** Steps that a synchronous engine was asked for in this run, the one that lost it included. */
  steps = 0;
  #submittedUs = 0;
  #inFlight = 0;
  #engine: StepEngine | null;
  #lost = false;

  constructor(options: PredictorOptions) {
    const { engine, underlyingCapacity } = options;
    if (engine !== null) {
      invariant(engine.card.schemaHash === SCHEMA_HASH, `the model's features are those of ${SCHEMA_HASH}`);
      invariant(engine.slotCount >= underlyingCapacity, "the engine has a slot for every underlying");
    }
    this.#options = options;
    this.#engine = engine;
    this.heads = engine?.card.heads.length ?? 0;
    this.probabilities = new Float32Array(underlyingCapacity * this.heads).fill(Number.NaN);
    this.stateUs = new Float64Array(underlyingCapacity).fill(Number.NaN);
    this.#status = new Int32Array(underlyingCapacity).fill(REASON.modelMissing);
    this.#waiting = new Uint8Array(underlyingCapacity);
    this.#voided = new Uint8Array(underlyingCapacity);
    this.#submitted = new Int32Array(underlyingCapacity);
    this.#untold = new Int32Array(underlyingCapacity);
  }

  status(underlying: number): number {
    return this.#status[underlying];
  }

  /**
   * Takes on every underlying of the market that needs a step; with a synchronous engine the predictions are there when it
   * returns. Without an engine they are only to be requoted.
   *
   * @throws EngineLostError when a synchronous engine's device is gone; {@link lose} must follow
   * @returns rows to submit to the asynchronous engine; 0 when nothing is to be waited for
   */
  step(market: MarketState, timeUs: number): number {
    const { features, timer, counters } = this.#options;
    this.tell(market);
    const { touched } = market;
    const engine = this.#lost ? null : this.#engine;
    let rows = 0;
    for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
      if ((touched[underlying] & TOUCHED_STEP) === 0) continue;
      touched[underlying] &= ~TOUCHED_STEP;
      if (engine === null) {
        touched[underlying] |= TOUCHED_QUOTE;
      } else if (this.#inFlight > 0 || rows === engine.maxBatch) {
        this.#waiting[underlying] = 1;
        counters.conflated += 1;
      } else {
        // The last event is the moment that the model learnt rows of; under load it lies before this call.
        const rowUs = engine.synchronous ? market.featuresUs[underlying] : timeUs;
        features.source.write(underlying, rowUs, engine.features, rows * engine.card.featureCount);
        engine.slots[rows] = underlying;
        this.#submitted[rows] = underlying;
        rows += 1;
      }
    }
    if (engine === null || rows === 0) return 0;
    timer.mark(STAGE.feature);
    this.#submittedUs = timeUs;
    if (!engine.synchronous) {
      this.#inFlight = rows;
      this.#show(engine, rows, timeUs);
      return rows;
    }
    this.steps += 1;
    engine.step(rows);
    timer.mark(STAGE.inference);
    for (let row = 0; row < rows; row += 1) this.#take(engine, row, market, timeUs);
    this.#unshownRows = rows;
    return 0;
  }

  /**
   * Tells whoever looks on of what the last step or result came to: to be called when the quotes have left, and before the market
   * takes in more.
   */
  tell(market: MarketState): void {
    const count = this.#untoldCount;
    this.#untoldCount = 0;
    for (let at = 0; at < count; at += 1) this.#tell(this.#untold[at], market, this.#untoldUs);
    const rows = this.#unshownRows;
    this.#unshownRows = 0;
    if (rows === 0 || this.#engine === null) return;
    this.#show(this.#engine, rows, this.#untoldUs);
    this.#engine.settle?.();
  }

  #show(engine: StepEngine, rows: number, timeUs: number): void {
    const { port } = this.#options;
    if (port.stepped === undefined || engine.featureSource !== undefined) return;
    for (let row = 0; row < rows; row += 1) {
      port.stepped(engine.slots[row], engine.features, row * engine.card.featureCount, timeUs);
    }
  }

  /** The submit has ended: takes its rows, and marks for the next one what has waited. */
  resolve(market: MarketState, timeUs: number): void {
    const engine = this.#engine;
    invariant(engine !== null && this.#inFlight > 0, "a result follows a submit");
    this.tell(market);
    const rows = this.#inFlight;
    this.#inFlight = 0;
    for (let row = 0; row < rows; row += 1) {
      const underlying = this.#submitted[row];
      if (this.#voided[underlying] === 0) {
        this.#take(engine, row, market, timeUs);
        continue;
      }
      this.#voided[underlying] = 0;
      engine.resetSlot(underlying);
    }
    for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
      if (this.#waiting[underlying] === 0) continue;
      this.#waiting[underlying] = 0;
      market.touched[underlying] |= TOUCHED_STEP;
    }
  }

  /** The device is gone. */
  lose(market: MarketState, timeUs: number): void {
    this.#lost = true;
    this.#inFlight = 0;
    this.#voided.fill(0);
    for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
      this.#void(underlying);
      this.#options.features.source.restart(underlying);
      this.updateStatus(underlying, market, timeUs);
    }
  }

  /** The model runs again, with all of its states reset. */
  restore(engine: StepEngine, market: MarketState, timeUs: number): void {
    this.#engine = engine;
    this.#options.features.follow(engine);
    this.#lost = false;
    for (let underlying = 0; underlying < market.underlyings.size; underlying += 1) {
      this.updateStatus(underlying, market, timeUs);
    }
  }

  /** What is remembered of an underlying is void: its features and the model's state begin anew. */
  forget(underlying: number): void {
    this.#options.features.source.reset(underlying);
    this.#void(underlying);
  }

  #void(underlying: number): void {
    this.#waiting[underlying] = 0;
    this.stateUs[underlying] = Number.NaN;
    this.probabilities.fill(Number.NaN, underlying * this.heads, (underlying + 1) * this.heads);
    if (this.#engine === null || this.#lost) return;
    if (this.#submitted.subarray(0, this.#inFlight).includes(underlying)) this.#voided[underlying] = 1;
    else this.#engine.resetSlot(underlying);
  }

  /** Tells the quoter when the model has come into force or gone out of it. */
  updateStatus(underlying: number, market: MarketState, timeUs: number): void {
    if (this.#statusChanged(underlying, market, timeUs)) this.#tell(underlying, market, timeUs);
  }

  #statusChanged(underlying: number, market: MarketState, timeUs: number): boolean {
    let status = 0;
    if (this.#engine === null) status = REASON.modelMissing;
    else if (this.#lost) status = REASON.engineLost;
    else if (!market.referenceLive(underlying)) status = REASON.inputUnsound;
    else if (!this.#options.features.source.ready(underlying, timeUs)) status = REASON.modelWarming;
    if (status === this.#status[underlying]) return false;
    this.#status[underlying] = status;
    this.#options.quoter.onModelStatus(underlying, status);
    return true;
  }

  #tell(underlying: number, { books, underlyings }: MarketState, timeUs: number): void {
    const { heads, probabilities } = this;
    const status = this.#status[underlying];
    const { source } = this.#options.features;
    const book = this.#seen.look(
      books[underlyings.reference[underlying]],
      source instanceof FeatureState ? source : null,
      underlying,
    );
    this.#options.port.predicted(underlying, probabilities, underlying * heads, heads, status, timeUs, book);
  }

  #take(engine: StepEngine, row: number, market: MarketState, timeUs: number): void {
    const underlying = this.#submitted[row];
    const to = underlying * this.heads;
    for (let head = 0; head < this.heads; head += 1) {
      this.probabilities[to + head] = engine.probabilities[row * this.heads + head];
    }
    this.stateUs[underlying] = this.#submittedUs;
    this.#options.counters.predictions += 1;
    this.#statusChanged(underlying, market, timeUs);
    if (this.#status[underlying] === 0) {
      this.#options.quoter.onPrediction(underlying, this.probabilities, to, this.#submittedUs);
    }
    market.touched[underlying] |= TOUCHED_QUOTE;
    this.#untold[this.#untoldCount] = underlying;
    this.#untoldCount += 1;
    this.#untoldUs = timeUs;
  }
}
