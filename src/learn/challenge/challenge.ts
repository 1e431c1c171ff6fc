import { Histogram } from "../../core/histogram.ts";
import type { HeadName } from "../../inference/card.ts";
import type { StepEngine } from "../../inference/engine.ts";
import type { QuoteParameters } from "../../quote/parameters.ts";
import { REASON } from "../../quote/quote-batch.ts";
import { unfilledMarkouts } from "../outcomes/measures.ts";
import {
  OBSERVED,
  OBSERVED_VALUES_MAX,
  type ObservationSink,
  type ObservedInstrument,
  type ObservedKind,
} from "../outcomes/observation.ts";
import { HORIZON_NAMES, type OutcomeRows, type OutcomeSink, type OutcomeTable } from "../outcomes/table.ts";
import { OutcomeTracker } from "../outcomes/tracker.ts";
import { PairedBlocks } from "./paired.ts";
import type { ChallengeEvidence, ChallengePolicy } from "./policy.ts";
import { ModelScores } from "./scores.ts";
import { WouldBeQuotes } from "./would-be.ts";

/** What a model's terms were worth is looked at after this time. */
const VALUE_HORIZON = HORIZON_NAMES.indexOf("1s");
/** The time budget is kept over this time. */
const BUDGET_NS = 1e9;
/** No turn sends more quotes than this. */
const HELD_MAX = 16_384;
/** Rows of the champion whose losses wait for the challengers' of the same observation. */
const LOSSES_MAX = 262_144;

/** One of the models that are compared: an engine of its own, on which nothing else is stepped. */
export interface ChallengedModel {
  readonly version: string;
  readonly engine: StepEngine;
  /** Takes its outcomes; null: they are kept nowhere but in the sums. */
  readonly outcomes: OutcomeSink | null;
}

export interface ChallengeOptions {
  readonly quote: QuoteParameters;
  readonly policy: ChallengePolicy;
  /** A clock that goes on, ns: what steps take is measured with it, and nothing else. */
  readonly nowNs: () => number;
}

/** What is known of each model, by version; `paired` is against the champion. */
export interface ChallengeReport {
  readonly champion: string | null;
  readonly models: Readonly<Record<string, ChallengeEvidence>>;
}

/**
 * Runs a champion and its challengers on the same events and compares what came of what they said. All of them are stepped on the
 * features that the desk's own model was stepped on, right where it was; labels, would-be quotes and what those would have
 * kept away are found by the same code as the desk's own outcomes.
 *
 * Bounded: the steps of all models together may take a share of the time; events beyond it are left out, for all models alike, and
 * counted.
 */
export class Challenge implements ObservationSink {
  readonly #options: ChallengeOptions;
  readonly #models = new Map<string, Participant>();
  readonly #instruments = new Map<number, ObservedInstrument>();
  readonly #underlyings = new Map<string, number>();
  /** What was told of instruments and underlyings, for models that come later. */
  readonly #described: { kind: ObservedKind; subject: number; timeUs: number; text: string }[] = [];
  /** By underlying: the prediction whose features come next; its first value is NaN where none waits. */
  readonly #waiting: Float64Array[] = [];
  readonly #values = new Float64Array(OBSERVED_VALUES_MAX);
  /** Quotes that left before what they rest on was told: they wait for their underlying's step, at most until a later time. */
  #held: HeldQuote[] = [];
  #champion: Participant | null = null;
  /** The champion first: its losses are there when a challenger's of the same row come. */
  #inOrder: readonly Participant[] = [];
  #events = 0;
  #shed = 0;
  #budgetFromNs = Number.NaN;

  constructor(options: ChallengeOptions) {
    this.#options = options;
  }

  /** Takes a model in, from its initial state: like one that is loaded beside the desk's own, it has to warm up. */
  add(model: ChallengedModel): void {
    const { policy, quote } = this.#options;
    const made = new Participant(model, quote, policy);
    for (const { kind, subject, timeUs, text } of this.#described) {
      made.tracker.describe(kind, subject, timeUs, text);
    }
    this.#models.set(model.version, made);
    this.#order();
  }

  /** @returns its engine, to be disposed of; null when there is no such model */
  remove(version: string): StepEngine | null {
    const gone = this.#models.get(version);
    if (gone === undefined) return null;
    this.#models.delete(version);
    if (gone === this.#champion) this.#champion = null;
    this.#order();
    return gone.engine;
  }

  /** Which model the others are compared with from now on: all comparisons begin anew. */
  compareWith(version: string): void {
    this.#champion = this.#models.get(version) ?? null;
    this.#order();
    for (const model of this.#models.values()) model.beginAnew(this.#options.policy);
    this.#events = 0;
    this.#shed = 0;
  }

  /** One model's comparison begins anew: its stage has changed. */
  beginAnew(version: string): void {
    this.#models.get(version)?.beginAnew(this.#options.policy);
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    if (kind === OBSERVED.instrument) {
      this.#instruments.set(subject, JSON.parse(text) as ObservedInstrument);
      this.#described.push({ kind, subject, timeUs, text });
    } else if (kind === OBSERVED.underlying) {
      this.#underlyings.set(text, subject);
      this.#described.push({ kind, subject, timeUs, text });
    }
    if (this.#held.length > 0) this.#releaseAll(timeUs);
    // Fills, and which model the desk runs, are its own: what would have been filled of a quote that was not sent is found by the tracker.
    if (kind === OBSERVED.fill || kind === OBSERVED.modelName) return;
    for (const model of this.#inOrder) model.tracker.describe(kind, subject, timeUs, text);
    this.#settle();
  }

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void {
    if (this.#held.length > 0) {
      if (kind === OBSERVED.cancelAll) this.#releaseAll(Number.POSITIVE_INFINITY);
      else this.#releaseAll(timeUs);
    }
    if (kind === OBSERVED.prediction) {
      this.#onPrediction(subject, timeUs, values, count);
    } else if (kind === OBSERVED.features) {
      this.#onFeatures(subject, timeUs, values, count);
    } else if (kind === OBSERVED.quote) {
      this.#hold(subject, timeUs, values, count);
    } else {
      for (const model of this.#inOrder) model.tracker.observe(kind, subject, timeUs, values, count);
    }
    this.#settle();
  }

  /** The stream has ended. */
  finish(timeUs: number): void {
    this.#releaseAll(Number.POSITIVE_INFINITY);
    for (const model of this.#inOrder) model.tracker.finish(timeUs);
    this.#settle();
  }

  report(): ChallengeReport {
    const shared = { events: this.#events, shed: this.#shed };
    return {
      champion: this.#champion?.version ?? null,
      models: Object.fromEntries(
        [...this.#models].map(([version, model]) => [version, { ...model.evidence(), ...shared }]),
      ),
    };
  }

  #onPrediction(underlying: number, timeUs: number, values: Float64Array, count: number): void {
    const waiting = this.#waitingOf(underlying);
    waiting[0] = Number.NaN;
    if (values[0] === 0) {
      waiting.set(values.subarray(0, 4));
      return;
    }
    const isVoid = (values[0] & REASON.inputUnsound) !== 0;
    for (const model of this.#inOrder) {
      if (isVoid) model.engine.resetSlot(underlying);
      model.wouldBe.onStatus(underlying, values[0]);
      model.tracker.observe(OBSERVED.prediction, underlying, timeUs, values, count);
    }
  }

  #onFeatures(underlying: number, timeUs: number, features: Float64Array, count: number): void {
    const waiting = this.#waitingOf(underlying);
    const isLabelled = waiting[0] === 0;
    this.#events += 1;
    if (!this.#mayStep()) {
      this.#shed += 1;
      waiting[0] = Number.NaN;
      this.#release(({ underlying: of }) => of === underlying);
      return;
    }
    for (const model of this.#inOrder) {
      const sound = model.step(underlying, features, count, this.#options.nowNs);
      if (!sound || !isLabelled) continue;
      const { probabilities } = model.engine;
      model.wouldBe.onPrediction(underlying, probabilities, 0);
      this.#values.set(waiting.subarray(0, 4));
      for (let head = 0; head < model.heads.length; head += 1) this.#values[4 + head] = probabilities[head];
      model.tracker.observe(OBSERVED.prediction, underlying, timeUs, this.#values, 4 + model.heads.length);
    }
    waiting[0] = Number.NaN;
    this.#release(({ underlying: of }) => of === underlying);
  }

  #hold(instrument: number, timeUs: number, values: Float64Array, count: number): void {
    const about = this.#instruments.get(instrument);
    const underlying = about === undefined ? undefined : this.#underlyings.get(about.base);
    if (this.#held.length === HELD_MAX) this.#releaseAll(Number.POSITIVE_INFINITY);
    this.#held.push({ instrument, underlying, timeUs, values: values.slice(0, count) });
  }

  #releaseAll(beforeUs: number): void {
    this.#release(({ timeUs }) => timeUs < beforeUs);
  }

  #release(which: (quote: HeldQuote) => boolean): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = held.filter((quote) => !which(quote));
    for (const quote of held) if (which(quote)) this.#onQuote(quote);
  }

  #onQuote({ instrument, underlying, timeUs, values }: HeldQuote): void {
    const about = this.#instruments.get(instrument);
    const count = values.length;
    for (const model of this.#inOrder) {
      this.#values.set(values.subarray(0, count));
      if (about !== undefined && underlying !== undefined) {
        model.wouldBe.rewrite(this.#values, about, underlying);
      }
      model.tracker.observe(OBSERVED.quote, instrument, timeUs, this.#values, count);
    }
  }

  /** Steps of a second may take their share of it. */
  #mayStep(): boolean {
    const nowNs = this.#options.nowNs();
    if (!(nowNs - this.#budgetFromNs < BUDGET_NS)) {
      this.#budgetFromNs = nowNs;
      for (const model of this.#models.values()) model.stepsNs = 0;
    }
    let usedNs = 0;
    for (const model of this.#models.values()) usedNs += model.stepsNs;
    return usedNs < this.#options.policy.timeShare * BUDGET_NS;
  }

  #order(): void {
    const champion = this.#champion;
    const others = [...this.#models.values()].filter((model) => model !== champion);
    this.#inOrder = champion === null ? others : [champion, ...others];
  }

  /** Pairs what has become known in this turn. */
  #settle(): void {
    const champion = this.#champion;
    for (const model of this.#inOrder) {
      if (champion !== null && model !== champion) model.compare(champion);
    }
    for (const model of this.#inOrder) model.forget();
  }

  #waitingOf(underlying: number): Float64Array {
    let waiting = this.#waiting[underlying];
    if (waiting === undefined) {
      waiting = new Float64Array(4).fill(Number.NaN);
      this.#waiting[underlying] = waiting;
    }
    return waiting;
  }
}

interface HeldQuote {
  readonly instrument: number;
  readonly underlying: number | undefined;
  readonly timeUs: number;
  readonly values: Float64Array;
}

interface RowLoss {
  readonly underlying: string;
  readonly timeUs: number;
  readonly logLoss: number;
  readonly brier: number;
}

class Participant implements OutcomeSink {
  readonly version: string;
  readonly engine: StepEngine;
  readonly tracker: OutcomeTracker;
  readonly wouldBe: WouldBeQuotes;
  readonly heads: readonly HeadName[];
  /** Time of its steps in the present budget, ns. */
  stepsNs = 0;
  readonly #outcomes: OutcomeSink | null;
  #scores: ModelScores;
  #paired: PairedBlocks;
  #stepNs = new Histogram();
  #oddRows = 0;
  /** What became known in this turn. */
  #losses: RowLoss[] = [];
  #value = 0;

  constructor(
    { version, engine, outcomes }: ChallengedModel,
    quote: QuoteParameters,
    policy: ChallengePolicy,
  ) {
    this.version = version;
    this.engine = engine;
    this.heads = engine.card.heads.map(({ name }) => name);
    this.tracker = new OutcomeTracker(this.heads, version, this);
    this.wouldBe = new WouldBeQuotes(quote, engine.card.heads);
    this.#outcomes = outcomes;
    this.#scores = new ModelScores(this.heads);
    this.#paired = pairedBlocks(policy);
  }

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    this.#outcomes?.outcome(table, row);
    if (table === "prediction") {
      const labelled = row as OutcomeRows["prediction"];
      this.#scores.add(labelled);
      if (this.#losses.length === LOSSES_MAX) return;
      const { logLoss, brier } = this.#scores.last;
      const { underlying, time_us: timeUs } = labelled;
      this.#losses.push({ underlying, timeUs, logLoss, brier });
    } else if (table === "unfilled") {
      const markout = unfilledMarkouts(row as OutcomeRows["unfilled"])[VALUE_HORIZON];
      if (Number.isFinite(markout)) this.#value -= markout;
    }
  }

  /** @returns false when the answer is none of probabilities */
  step(underlying: number, features: Float64Array, count: number, nowNs: () => number): boolean {
    const { engine } = this;
    engine.slots[0] = underlying;
    for (let i = 0; i < count; i += 1) engine.features[i] = features[i];
    const beganNs = nowNs();
    engine.step(1);
    const tookNs = nowNs() - beganNs;
    this.stepsNs += tookNs;
    this.#stepNs.record(tookNs);
    for (let head = 0; head < this.heads.length; head += 1) {
      const p = engine.probabilities[head];
      if (p >= 0 && p <= 1) continue;
      this.#oddRows += 1;
      return false;
    }
    return true;
  }

  compare(champion: Participant): void {
    const others = champion.#losses;
    let from = 0;
    for (const { underlying, timeUs, logLoss, brier } of this.#losses) {
      // Both settle underlying by underlying in the order of their times.
      for (let at = from; at < others.length; at += 1) {
        const other = others[at];
        if (other.underlying !== underlying || other.timeUs < timeUs) continue;
        from = at;
        if (other.timeUs > timeUs) break;
        this.#paired.add(timeUs, logLoss - other.logLoss, brier - other.brier);
        from += 1;
        break;
      }
    }
    if (this.#value !== 0 || champion.#value !== 0) this.#paired.addValue(this.#value - champion.#value);
  }

  forget(): void {
    if (this.#losses.length > 0) this.#losses = [];
    this.#value = 0;
  }

  beginAnew(policy: ChallengePolicy): void {
    this.#paired = pairedBlocks(policy);
    this.#scores = new ModelScores(this.heads);
    this.#stepNs = new Histogram();
    this.#oddRows = 0;
  }

  evidence(): Omit<ChallengeEvidence, "events" | "shed"> {
    return {
      paired: this.#paired.evidence(),
      heads: this.#scores.view(),
      oddRows: this.#oddRows,
      stepUs: this.#stepNs.quantile(0.99) / 1_000,
    };
  }
}

function pairedBlocks({ alpha, blockMs, shadowBlocks }: ChallengePolicy): PairedBlocks {
  return new PairedBlocks({ alpha, blockUs: blockMs * 1_000, blocksTightest: shadowBlocks });
}
