import { HEADS } from "../../inference/card.ts";
import type { DatasetRow } from "./row.ts";

export interface ValidationLimits {
  /** Rows of an instrument that are further apart have a gap between them. */
  readonly gapMs: number;
  /** A book whose mid and depths stay the same for longer, while rows come, is stale. */
  readonly staleMs: number;
  /** Local and exchange time that differ by so much more or less than before: one of the clocks jumped. */
  readonly clockJumpMs: number;
  /** A feature whose correlation with a label is stronger knows what it cannot know. */
  readonly correlationMax: number;
}

const VALIDATION_LIMITS: ValidationLimits = {
  gapMs: 5_000,
  staleMs: 30_000,
  clockJumpMs: 500,
  correlationMax: 0.95,
};

/** Findings of a kind that are kept whole; beyond them they are only counted. */
const KEPT = 50;
/** Rows with either outcome without which a correlation says nothing. */
const OUTCOMES_MIN = 30;

export const FINDINGS = [
  "gap",
  "stale",
  "clock-jump",
  "clock-back",
  "duplicate-row",
  "not-finite",
  "leak-suspected",
  "leak",
  "one-outcome",
] as const;
export type FindingKind = (typeof FINDINGS)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** Null where it is of the whole part. */
  readonly timeUs: number | null;
  readonly instrument: string;
  readonly detail: string;
}

export interface Validation {
  readonly counts: Readonly<Record<FindingKind, number>>;
  readonly findings: Finding[];
  /** Rows that share their time with the one before of the same instrument: frames of the same microsecond. */
  readonly equalTimes: number;
  readonly longestGapMs: number;
  readonly baseRates: Readonly<Record<string, number | null>>;
  /** The strongest correlation of a feature with a label, and of which. */
  readonly strongest: {
    readonly feature: string;
    readonly head: string;
    readonly correlation: number;
  } | null;
}

interface Last {
  timeUs: number;
  exchangeUs: number;
  midTicks: number;
  bidDepth: number;
  askDepth: number;
  changedUs: number;
  isStale: boolean;
  readonly features: Float32Array;
}

/** Looks at rows as they come, and at their labels when those are known. Bounded. */
export class RowValidator {
  readonly #limits: ValidationLimits;
  readonly #names: readonly string[];
  readonly #counts = Object.fromEntries(FINDINGS.map((kind) => [kind, 0])) as Record<FindingKind, number>;
  readonly #findings: Finding[] = [];
  readonly #last = new Map<string, Last>();
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  /** `[head][feature]`: Σ of the feature over rows with the label. */
  readonly #products: Float64Array;
  readonly #positives = new Float64Array(HEADS.length);
  #rows = 0;
  #equalTimes = 0;
  #longestGapUs = 0;

  /** @param names of the features */
  constructor(names: readonly string[], limits: ValidationLimits = VALIDATION_LIMITS) {
    this.#names = names;
    this.#limits = limits;
    this.#sum = new Float64Array(names.length);
    this.#squares = new Float64Array(names.length);
    this.#products = new Float64Array(names.length * HEADS.length);
  }

  row(row: DatasetRow): void {
    const { instrument, timeUs, features } = row;
    for (const value of features) {
      if (Number.isFinite(value)) continue;
      this.find("not-finite", timeUs, instrument, "a feature is no finite number");
      break;
    }
    const last = this.#last.get(instrument);
    if (last === undefined) {
      this.#last.set(instrument, {
        timeUs,
        exchangeUs: row.exchangeTimeUs,
        midTicks: row.midTicks,
        bidDepth: row.bidDepth,
        askDepth: row.askDepth,
        changedUs: timeUs,
        isStale: false,
        features: features.slice(),
      });
      return;
    }
    this.#times(row, last);
    this.#staleness(row, last);
    last.timeUs = timeUs;
    last.features.set(features);
    if (Number.isFinite(row.exchangeTimeUs)) last.exchangeUs = row.exchangeTimeUs;
  }

  labelled(features: Float32Array, labels: ArrayLike<number>): void {
    this.#rows += 1;
    const count = this.#names.length;
    for (let feature = 0; feature < count; feature += 1) {
      const value = features[feature];
      this.#sum[feature] += value;
      this.#squares[feature] += value * value;
    }
    for (let head = 0; head < HEADS.length; head += 1) {
      if (labels[head] !== 1) continue;
      this.#positives[head] += 1;
      for (let feature = 0; feature < count; feature += 1)
        this.#products[head * count + feature] += features[feature];
    }
  }

  find(kind: FindingKind, timeUs: number | null, instrument: string, detail: string): void {
    this.#counts[kind] += 1;
    if (this.#counts[kind] <= KEPT) this.#findings.push({ kind, timeUs, instrument, detail });
  }

  finish(): Validation {
    const rows = this.#rows;
    const baseRates: Record<string, number | null> = {};
    let strongest: Validation["strongest"] = null;
    for (const [head, name] of HEADS.entries()) {
      const positives = this.#positives[head];
      baseRates[name] = rows === 0 ? null : positives / rows;
      if (rows > 0 && (positives === 0 || positives === rows)) {
        this.find(
          "one-outcome",
          null,
          "",
          `${name} ${positives === 0 ? "never" : "always"} comes in ${rows} rows`,
        );
      }
      if (positives < OUTCOMES_MIN || rows - positives < OUTCOMES_MIN) continue;
      for (const [feature, of] of this.#names.entries()) {
        const correlation = this.#correlation(head, feature);
        if (Math.abs(correlation) > Math.abs(strongest?.correlation ?? 0))
          strongest = { feature: of, head: name, correlation };
        if (Math.abs(correlation) > this.#limits.correlationMax) {
          this.find(
            "leak-suspected",
            null,
            "",
            `${of} has a correlation of ${correlation.toFixed(4)} with ${name}`,
          );
        }
      }
    }
    return {
      counts: this.#counts,
      findings: this.#findings,
      equalTimes: this.#equalTimes,
      longestGapMs: this.#longestGapUs / 1_000,
      baseRates,
      strongest,
    };
  }

  #times(row: DatasetRow, last: Last): void {
    const { instrument, timeUs } = row;
    const apartUs = timeUs - last.timeUs;
    this.#longestGapUs = Math.max(this.#longestGapUs, apartUs);
    if (apartUs < 0) this.find("clock-back", timeUs, instrument, `local time steps back by ${-apartUs} µs`);
    if (apartUs > this.#limits.gapMs * 1_000) {
      this.find("gap", timeUs, instrument, `no row for ${(apartUs / 1_000).toFixed(0)} ms before it`);
    }
    if (apartUs === 0) {
      this.#equalTimes += 1;
      const isSame = row.features.every((value, at) => Object.is(value, last.features[at]));
      if (isSame) this.find("duplicate-row", timeUs, instrument, "the same row again");
    }
    const driftUs = apartUs - (row.exchangeTimeUs - last.exchangeUs);
    if (Math.abs(driftUs) > this.#limits.clockJumpMs * 1_000) {
      this.find(
        "clock-jump",
        timeUs,
        instrument,
        `local less exchange time changed by ${(driftUs / 1_000).toFixed(0)} ms`,
      );
    }
  }

  #staleness(row: DatasetRow, last: Last): void {
    const isSame =
      row.midTicks === last.midTicks && row.bidDepth === last.bidDepth && row.askDepth === last.askDepth;
    if (!isSame) {
      [last.midTicks, last.bidDepth, last.askDepth] = [row.midTicks, row.bidDepth, row.askDepth];
      last.changedUs = row.timeUs;
      last.isStale = false;
    } else if (!last.isStale && row.timeUs - last.changedUs > this.#limits.staleMs * 1_000) {
      last.isStale = true;
      this.find(
        "stale",
        last.changedUs,
        row.instrument,
        `the book stands still while rows come, for more than ${this.#limits.staleMs} ms`,
      );
    }
  }

  #correlation(head: number, feature: number): number {
    const rows = this.#rows;
    const positives = this.#positives[head];
    const covariance =
      this.#products[head * this.#names.length + feature] - (this.#sum[feature] * positives) / rows;
    const variance = this.#squares[feature] - this.#sum[feature] ** 2 / rows;
    const spread = Math.sqrt(variance * positives * (1 - positives / rows));
    return spread > 0 ? covariance / spread : 0;
  }
}
