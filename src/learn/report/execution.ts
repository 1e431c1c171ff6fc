import { fillMeasures, unfilledMarkouts } from "../outcomes/measures.ts";
import {
  addFill,
  type FillSums,
  type HeadView,
  JUDGED_AT,
  newFillSums,
  OutcomeSummary,
  type UnfilledSums,
} from "../outcomes/summary.ts";
import {
  type FillOutcome,
  HORIZON_NAMES,
  HORIZONS_MS,
  type OutcomeRows,
  type OutcomeTable,
  type QuoteOutcome,
  type UnfilledOutcome,
} from "../outcomes/table.ts";
import { BOOTSTRAP_OPTIONS, type BootstrapOptions, type Interval, RatioBootstrap } from "./bootstrap.ts";
import { NOT_TOLD, type WorstTrade, worstTrade } from "./worst-trade.ts";

/** Trades that are shown whole. */
const WORST = 20;
/** Groups of a kind that are told apart; the rest is `other`. */
const GROUPS_MAX = 256;
/** A quote that lived shorter counts as brief. */
const BRIEF_US = 100_000;
const BP = 10_000;

/** Fills of one counterparty, model or instrument. bp are of the money that changed hands. */
export interface GroupReport extends FillSums {
  readonly name: string;
  readonly capturedBp: Interval;
  /** By horizon. */
  readonly markoutBp: readonly Interval[];
}

/** What one model's predictions came to: its quotes, their fills, and how they came true. */
export interface ModelReport extends GroupReport {
  readonly predictions: number;
  readonly quotes: QuoteReport;
  readonly value: ModelValue;
  readonly heads: Readonly<Record<string, HeadView>>;
}

export interface QuoteReport {
  readonly count: number;
  readonly meanLifeMs: number | null;
  /** Share that lived less than 100 ms. */
  readonly brief: number | null;
  readonly widened: number | null;
  /** Share of the standing time for which the side was no worse than the best of its book. */
  readonly bidAtBest: number | null;
  readonly askAtBest: number | null;
}

/** Money within 1 s with the model and, as estimated, without it. See docs/learning.md. */
export interface ModelValue {
  readonly horizon: string;
  /** Markout of the fills of quotes as they were. */
  readonly withModel: number;
  /** The same fills at the static prices and sizes. */
  readonly sameFillsStatic: number;
  /** Of the fills that only the static quotes would have had: losses − profits. */
  readonly kept: number;
  /** with − without, its sum and its interval. */
  readonly difference: Interval;
  readonly unfilled: UnfilledSums;
}

export interface ExecutionReport {
  readonly day: string;
  readonly horizons: readonly string[];
  readonly horizonsMs: readonly number[];
  readonly bootstrap: BootstrapOptions;
  readonly all: GroupReport;
  readonly counterparties: readonly GroupReport[];
  readonly models: readonly ModelReport[];
  readonly instruments: readonly GroupReport[];
  /** Our own orders: hedges. */
  readonly orders: GroupReport;
  readonly value: ModelValue;
  readonly quotes: QuoteReport;
  readonly heads: Readonly<Record<string, HeadView>>;
  readonly worst: readonly WorstTrade[];
}

/** Gathers the outcomes of one UTC day. Memory is bounded: sums by minute and group, and the worst trades. */
export class ExecutionDay {
  readonly day: string;
  readonly #options: BootstrapOptions;
  readonly #all: Judged;
  readonly #orders: Group;
  readonly #counterparties: Groups<Group>;
  readonly #instruments: Groups<Group>;
  readonly #models: Groups<Judged>;
  readonly #worst: { readonly loss: number; readonly fill: FillOutcome }[] = [];

  constructor(day: string, options: BootstrapOptions = BOOTSTRAP_OPTIONS) {
    this.day = day;
    this.#options = options;
    this.#all = new Judged("all quotes", options);
    this.#orders = new Group("orders", options);
    this.#counterparties = new Groups((name) => new Group(name, options));
    this.#instruments = new Groups((name) => new Group(name, options));
    this.#models = new Groups((name) => new Judged(name, options));
  }

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    if (table === "fill") {
      const fill = row as FillOutcome;
      this.#keepWorst(fill);
      if (fill.source === "order") {
        this.#orders.add(fill);
        return;
      }
      this.#counterparties.of(fill.counterparty).add(fill);
      this.#instruments.of(fill.instrument).add(fill);
    }
    this.#all.outcome(table, row);
    this.#models.of(row.model).outcome(table, row);
  }

  report(): ExecutionReport {
    const { predictions: _, quotes, value, heads, ...all } = this.#all.report();
    return {
      day: this.day,
      horizons: HORIZON_NAMES,
      horizonsMs: HORIZONS_MS,
      bootstrap: this.#options,
      all,
      counterparties: this.#counterparties.reports(),
      models: this.#models.reports(),
      instruments: this.#instruments.reports(),
      orders: this.#orders.report(),
      value,
      quotes,
      heads,
      worst: this.#worst.map(({ fill }) => worstTrade(fill)),
    };
  }

  /** By the markout after 1 s, or the longest horizon before it that is known. */
  #keepWorst(fill: FillOutcome): void {
    const loss = fillMeasures(fill).markout.findLast(
      (value, at) => at <= JUDGED_AT && Number.isFinite(value),
    );
    if (loss === undefined) return;
    const at = this.#worst.findIndex((kept) => loss < kept.loss);
    this.#worst.splice(at < 0 ? this.#worst.length : at, 0, { loss, fill });
    if (this.#worst.length > WORST) this.#worst.pop();
  }
}

/** Groups of one kind by name, the largest turnover first; a bounded number of them. */
class Groups<G extends { report(): GroupReport }> {
  readonly #groups = new Map<string, G>();
  readonly #make: (name: string) => G;

  constructor(make: (name: string) => G) {
    this.#make = make;
  }

  of(told: string): G {
    const name = told === "" ? NOT_TOLD : told;
    const key = this.#groups.has(name) || this.#groups.size < GROUPS_MAX ? name : "other";
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = this.#make(key);
      this.#groups.set(key, group);
    }
    return group;
  }

  reports(): ReturnType<G["report"]>[] {
    const reports = [...this.#groups.values()].map((group) => group.report() as ReturnType<G["report"]>);
    return reports.sort((a, b) => b.turnover - a.turnover);
  }
}

/** Predictions, quotes, their fills and the fills that they kept away, of all models or of one. */
class Judged {
  readonly #summary = new OutcomeSummary();
  readonly #fills: Group;
  readonly #difference: RatioBootstrap;
  readonly #value = { withModel: 0, sameFillsStatic: 0, kept: 0, terms: 0 };
  readonly #lives = { brief: 0, widened: 0 };
  #predictions = 0;

  constructor(name: string, options: BootstrapOptions) {
    this.#fills = new Group(name, options);
    this.#difference = new RatioBootstrap(options);
  }

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    this.#summary.outcome(table, row);
    if (table === "prediction") this.#predictions += 1;
    else if (table === "fill") this.#fill(row as FillOutcome);
    else if (table === "unfilled") this.#unfilled(row as UnfilledOutcome);
    else this.#quote(row as QuoteOutcome);
  }

  report(): ModelReport {
    const { quotes, unfilled } = this.#summary;
    const share = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null);
    const mean = this.#difference.interval();
    const { withModel, sameFillsStatic, kept, terms } = this.#value;
    const value = withModel - sameFillsStatic + kept;
    return {
      ...this.#fills.report(),
      predictions: this.#predictions,
      value: {
        horizon: HORIZON_NAMES[JUDGED_AT] ?? "",
        withModel,
        sameFillsStatic,
        kept,
        difference: { value, low: mean.low * terms, high: mean.high * terms },
        unfilled,
      },
      quotes: {
        count: quotes.count,
        meanLifeMs: share(quotes.standingUs / 1_000, quotes.count),
        brief: share(this.#lives.brief, quotes.count),
        widened: share(this.#lives.widened, quotes.count),
        bidAtBest: share(quotes.bidBestUs, quotes.standingUs),
        askAtBest: share(quotes.askBestUs, quotes.standingUs),
      },
      heads: this.#summary.view().heads,
    };
  }

  #fill(fill: FillOutcome): void {
    this.#fills.add(fill);
    const { markout, staticMarkout } = fillMeasures(fill);
    const [real, other] = [markout[JUDGED_AT] ?? Number.NaN, staticMarkout[JUDGED_AT] ?? Number.NaN];
    if (!Number.isFinite(real - other)) return;
    this.#value.withModel += real;
    this.#value.sameFillsStatic += other;
    this.#differs(fill.time_us, real - other);
  }

  #unfilled(row: UnfilledOutcome): void {
    const markout = unfilledMarkouts(row)[JUDGED_AT] ?? Number.NaN;
    if (!Number.isFinite(markout)) return;
    this.#value.kept -= markout;
    this.#differs(row.time_us, -markout);
  }

  #differs(timeUs: number, money: number): void {
    this.#value.terms += 1;
    this.#difference.add(timeUs, money);
  }

  #quote({ time_us, until_us, widen_bp }: QuoteOutcome): void {
    if (until_us - time_us < BRIEF_US) this.#lives.brief += 1;
    if (widen_bp > 0) this.#lives.widened += 1;
  }
}

/** Sums over the fills of one kind, and their intervals. */
class Group {
  readonly #name: string;
  readonly #sums = newFillSums();
  readonly #captured: RatioBootstrap;
  readonly #markout: readonly RatioBootstrap[];

  constructor(name: string, options: BootstrapOptions) {
    this.#name = name;
    this.#captured = new RatioBootstrap(options);
    this.#markout = HORIZON_NAMES.map(() => new RatioBootstrap(options));
  }

  add(fill: FillOutcome): void {
    addFill(this.#sums, fill);
    const { turnover, captured, markout } = fillMeasures(fill);
    this.#captured.add(fill.time_us, captured * BP, turnover);
    for (const [at, value] of markout.entries()) this.#markout[at]?.add(fill.time_us, value * BP, turnover);
  }

  report(): GroupReport {
    return {
      name: this.#name,
      ...this.#sums,
      capturedBp: this.#captured.interval(),
      markoutBp: this.#markout.map((horizon) => horizon.interval()),
    };
  }
}
