import type { Desk } from "../desk/desk.ts";
import { FEATURES } from "../feature/schema.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { DriftMonitor, type DriftMonitorOptions, type WatchedCard } from "../learn/drift/monitor.ts";
import { DRIFT_STAGES } from "../learn/drift/stage.ts";
import type { UnderlyingDrift } from "../learn/drift/underlying-drift.ts";
import { SIDE } from "../market/event-batch.ts";
import type { MetricRegistry } from "../monitor/metrics.ts";

/** Levels that the withdrawal labels look at. */
const DEPTH_LEVELS = 10;

/** The market that a monitor is shown, of a desk. */
export type WatchedDesk = Pick<Desk, "market">;

/** Shows a drift monitor the desk's features, predictions and the books that they were made from. */
export class DriftTap implements DeskTap {
  readonly monitor: DriftMonitor;
  readonly #desk: WatchedDesk;
  #card: WatchedCard;
  readonly #prices = new Int32Array(DEPTH_LEVELS);
  readonly #sizes = new Float64Array(DEPTH_LEVELS);

  constructor(desk: WatchedDesk, options: DriftMonitorOptions) {
    this.#desk = desk;
    this.#card = options.card;
    this.monitor = new DriftMonitor(options);
  }

  /** Another model is in force. */
  follow(card: WatchedCard, timeUs: number): void {
    this.#card = card;
    this.monitor.follow(card, timeUs);
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    this.monitor.onFeatures(underlying, features, offset, timeUs);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    _heads: number,
    status: number,
    timeUs: number,
  ): void {
    const { books, underlyings } = this.#desk.market;
    const book = books[underlyings.reference[underlying]];
    if (status !== 0 || book === undefined) {
      this.monitor.interrupt(underlying);
      return;
    }
    const midTicks = (book.bestBidTicks + book.bestAskTicks) / 2;
    const bidDepth = this.#depth(book, SIDE.bid);
    const askDepth = this.#depth(book, SIDE.ask);
    this.monitor.onPrediction(underlying, probabilities, offset, timeUs, midTicks, bidDepth, askDepth);
  }

  onTimer(timeUs: number): void {
    this.monitor.onTimer(timeUs);
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  close(): void {}

  /** For `/drift`: by coin, with every feature that has a window. Allocates. */
  view(): unknown {
    const { underlyings } = this.#desk.market;
    const heads = this.#card.heads.map(({ name }) => name);
    return {
      profile: this.#card.profile !== undefined,
      requests: this.monitor.requests,
      memoryBytes: this.monitor.memoryBytes,
      underlyings: this.#watched().map(([underlying, one]) => ({
        underlying: underlyings.base(underlying),
        stage: DRIFT_STAGES[one.keeper.stage],
        causes: one.keeper.causes,
        rows: one.rows,
        signals: one.signals.map(({ name, value, alert, widen, defend }) => ({
          name,
          value: orNull(value),
          alert,
          widen,
          defend: orNull(defend),
        })),
        drifted: one.drifted.map(({ at, ratio, distances }) => ({
          feature: FEATURES[at]?.name,
          ratio,
          ...distances,
        })),
        missing: one.missing.map((at) => FEATURES[at]?.name),
        features: Object.fromEntries(FEATURES.map(({ name }, at) => [name, one.distances(at)])),
        heads: Object.fromEntries(one.scores.map((scores, head) => [heads[head], scores])),
      })),
    };
  }

  /** Registers what drift has to tell. Names are listed in `docs/metrics.md`. */
  register(metrics: MetricRegistry): void {
    const each = (emit: (underlying: string, one: UnderlyingDrift) => void): void => {
      for (const [underlying, one] of this.#watched()) {
        emit(this.#desk.market.underlyings.base(underlying), one);
      }
    };
    metrics.add({
      name: "keel_drift_stage",
      type: "gauge",
      help: "What is done about drift: 0 nothing, 1 an alert, 2 quotes are wider, 3 the model is not listened to.",
      collect: (emit) => each((underlying, { keeper }) => emit(keeper.stage, { underlying })),
    });
    metrics.add({
      name: "keel_drift_signal",
      type: "gauge",
      help: "What drift is told from, by signal; the limits are those of KEEL_DRIFT_….",
      collect: (emit) =>
        each((underlying, { signals }) => {
          for (const { name, value } of signals) emit(value, { underlying, signal: name });
        }),
    });
    metrics.add({
      name: "keel_drift_features",
      type: "gauge",
      help: "Features that lie further from the training rows than those' own windows do, and those that stand still.",
      collect: (emit) =>
        each((underlying, { drifted, missing }) => {
          emit(drifted.length, { underlying, kind: "drifted" });
          emit(missing.length, { underlying, kind: "missing" });
        }),
    });
    metrics.add({
      name: "keel_drift_head",
      type: "gauge",
      help: "Scores of the window's predictions whose outcome is known, by head and score.",
      collect: (emit) =>
        each((underlying, { scores }) => {
          for (const [at, { auc, brier, skill, calibrationError }] of scores.entries()) {
            const head = this.#card.heads[at]?.name ?? "";
            emit(auc ?? Number.NaN, { underlying, head, score: "auc" });
            emit(brier ?? Number.NaN, { underlying, head, score: "brier" });
            emit(skill ?? Number.NaN, { underlying, head, score: "skill" });
            emit(calibrationError ?? Number.NaN, { underlying, head, score: "calibration" });
          }
        }),
    });
    metrics.single(
      "keel_drift_retrain_requests_total",
      "counter",
      "Retrainings that were asked for.",
      () => this.monitor.requests,
    );
  }

  #watched(): [number, UnderlyingDrift][] {
    const { underlyings } = this.#desk.market;
    const watched: [number, UnderlyingDrift][] = [];
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      const one = this.monitor.of(underlying);
      if (one !== null) watched.push([underlying, one]);
    }
    return watched;
  }

  #depth(book: Desk["market"]["books"][number], side: number): number {
    const levels = book.top(side, DEPTH_LEVELS, this.#prices, this.#sizes);
    let depth = 0;
    for (let level = 0; level < levels; level += 1) depth += this.#sizes[level];
    return depth;
  }
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
