import { HEADS, type HeadName } from "../../inference/card.ts";
import { fillMeasures, unfilledMarkouts } from "./measures.ts";
import {
  type FillOutcome,
  HORIZON_NAMES,
  type OutcomeRows,
  type OutcomeSink,
  type OutcomeTable,
  type PredictionOutcome,
  type QuoteOutcome,
  type UnfilledOutcome,
} from "./table.ts";

/** Probabilities are counted in so many equal bins. */
export const CALIBRATION_BINS = 20;
/** The horizon at which a fill that was not had counts as avoided or missed: 1 s. */
export const JUDGED_AT = HORIZON_NAMES.indexOf("1s");
/** Counterparties that are told apart; the rest is `other`. */
const COUNTERPARTIES_MAX = 256;

/** Sums over fills; money in quote currency, arrays by horizon. */
export interface FillSums {
  fills: number;
  turnover: number;
  captured: number;
  slippage: number;
  markout: number[];
  adverse: number[];
  /** Fills whose mark at that horizon is known. */
  known: number[];
}

/** What came of one head's predictions. */
export interface HeadSums {
  rows: number;
  positives: number;
  /** Σ (p − y)². */
  squares: number;
  /** Σ −log of the probability of what came, probabilities held within 1e-6 of 0 and 1. */
  logLoss: number;
  /** By bin of the probability: rows, positives, Σ p. */
  bins: { rows: number; positives: number; sum: number }[];
}

export interface UnfilledSums {
  /** Would-be fills with a loss after 1 s, that loss (≥ 0), and those with a profit, and that. */
  avoided: number;
  avoidedLoss: number;
  missed: number;
  missedProfit: number;
}

/** Running sums of outcomes: small, whatever their number. */
export class OutcomeSummary implements OutcomeSink {
  readonly all = newFillSums();
  readonly counterparties = new Map<string, FillSums>();
  readonly heads = new Map<HeadName, HeadSums>(HEADS.map((head) => [head, newHeadSums()]));
  readonly #columns = HEADS.map(
    (head) => [`p_${head}` as const, `y_${head}` as const, this.heads.get(head) ?? newHeadSums()] as const,
  );
  readonly unfilled: UnfilledSums = { avoided: 0, avoidedLoss: 0, missed: 0, missedProfit: 0 };
  /** Quotes that ended, Σ of their times and of the times that each side was best, µs. */
  readonly quotes = { count: 0, standingUs: 0, bidBestUs: 0, askBestUs: 0 };

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    if (table === "fill") this.#fill(row as FillOutcome);
    else if (table === "prediction") this.#prediction(row as PredictionOutcome);
    else if (table === "quote") this.#quote(row as QuoteOutcome);
    else this.#unfilled(row as UnfilledOutcome);
  }

  /** For `/outcomes` and reports. */
  view(): OutcomeView {
    return {
      horizons: HORIZON_NAMES,
      fills: this.all,
      counterparties: Object.fromEntries(this.counterparties),
      unfilled: this.unfilled,
      quotes: this.quotes,
      heads: Object.fromEntries([...this.heads].map(([name, sums]) => [name, headView(sums)])),
    };
  }

  #fill(fill: FillOutcome): void {
    addFill(this.all, fill);
    if (fill.source === "order") return;
    const room = this.counterparties.size < COUNTERPARTIES_MAX || this.counterparties.has(fill.counterparty);
    const name = room ? fill.counterparty : "other";
    let sums = this.counterparties.get(name);
    if (sums === undefined) {
      sums = newFillSums();
      this.counterparties.set(name, sums);
    }
    addFill(sums, fill);
  }

  #prediction(row: PredictionOutcome): void {
    for (const [said, came, sums] of this.#columns) {
      const [p, y] = [row[said], row[came]];
      if (!(p >= 0) || !(y >= 0)) continue;
      sums.rows += 1;
      sums.positives += y;
      sums.squares += (p - y) ** 2;
      sums.logLoss -= Math.log(Math.min(Math.max(y === 1 ? p : 1 - p, 1e-6), 1));
      const bin = sums.bins[Math.min(CALIBRATION_BINS - 1, Math.floor(p * CALIBRATION_BINS))];
      if (bin === undefined) continue;
      bin.rows += 1;
      bin.positives += y;
      bin.sum += p;
    }
  }

  #quote({ time_us, until_us, bid_best_us, ask_best_us }: QuoteOutcome): void {
    this.quotes.count += 1;
    this.quotes.standingUs += until_us - time_us;
    this.quotes.bidBestUs += bid_best_us;
    this.quotes.askBestUs += ask_best_us;
  }

  #unfilled(row: UnfilledOutcome): void {
    const markout = unfilledMarkouts(row)[JUDGED_AT] ?? Number.NaN;
    if (markout < 0) {
      this.unfilled.avoided += 1;
      this.unfilled.avoidedLoss -= markout;
    } else if (markout >= 0) {
      this.unfilled.missed += 1;
      this.unfilled.missedProfit += markout;
    }
  }
}

export interface HeadView {
  readonly rows: number;
  readonly baseRate: number | null;
  readonly brier: number | null;
  readonly logLoss: number | null;
  /** From the bins: exact up to the order within a bin, which counts as half. */
  readonly auc: number | null;
  /** Σ over bins of the share of rows × |mean probability − rate|. */
  readonly calibrationError: number | null;
  readonly bins: readonly {
    readonly rows: number;
    readonly predicted: number | null;
    readonly came: number | null;
  }[];
}

export interface OutcomeView {
  readonly horizons: readonly string[];
  readonly fills: FillSums;
  readonly counterparties: Readonly<Record<string, FillSums>>;
  readonly unfilled: UnfilledSums;
  readonly quotes: OutcomeSummary["quotes"];
  readonly heads: Readonly<Record<string, HeadView>>;
}

export function newFillSums(): FillSums {
  const none = (): number[] => HORIZON_NAMES.map(() => 0);
  return { fills: 0, turnover: 0, captured: 0, slippage: 0, markout: none(), adverse: none(), known: none() };
}

/** Adds a fill; what is not known adds nothing. */
export function addFill(sums: FillSums, fill: FillOutcome): void {
  const measures = fillMeasures(fill);
  sums.fills += 1;
  sums.turnover += finite(measures.turnover);
  sums.captured += finite(measures.captured);
  sums.slippage += finite(measures.slippage);
  for (const [horizon, markout] of measures.markout.entries()) {
    if (!Number.isFinite(markout)) continue;
    sums.known[horizon] += 1;
    sums.markout[horizon] += markout;
    sums.adverse[horizon] += finite(measures.adverse[horizon] ?? Number.NaN);
  }
}

function newHeadSums(): HeadSums {
  return {
    rows: 0,
    positives: 0,
    squares: 0,
    logLoss: 0,
    bins: Array.from({ length: CALIBRATION_BINS }, () => ({ rows: 0, positives: 0, sum: 0 })),
  };
}

function headView({ rows, positives, squares, logLoss, bins }: HeadSums): HeadView {
  const per = (sum: number): number | null => (rows === 0 ? null : sum / rows);
  let below = 0;
  let ranked = 0;
  let error = 0;
  for (const bin of bins) {
    const negatives = bin.rows - bin.positives;
    ranked += bin.positives * (below + negatives / 2);
    below += negatives;
    error += Math.abs(bin.sum - bin.positives);
  }
  const pairs = positives * (rows - positives);
  return {
    rows,
    baseRate: per(positives),
    brier: per(squares),
    logLoss: per(logLoss),
    auc: pairs > 0 ? ranked / pairs : null,
    calibrationError: per(error),
    bins: bins.map((bin) => ({
      rows: bin.rows,
      predicted: bin.rows === 0 ? null : bin.sum / bin.rows,
      came: bin.rows === 0 ? null : bin.positives / bin.rows,
    })),
  };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
