import type { Interval } from "../report/bootstrap.ts";
import type { HeadResult } from "./score.ts";

/** What a candidate must keep before it may stand in the shadow. */
export interface GateLimits {
  /** Outcomes of either kind below which a head of the block is not judged. */
  readonly outcomesMin: number;
  /** Step at the 99th percentile, µs, on this host's cpu engine. */
  readonly stepUsMax: number;
  /** Mean distance of a head's predicted from its observed rates. */
  readonly calibrationMax: number;
  /** Nothing that can be known in time ranks so well: a head above it has seen what it is asked. */
  readonly aucMax: number;
  /** A head may rank so much below logistic regression: noise of a block. */
  readonly headLossMax: number;
  /** Mean AUC that a candidate must have above logistic regression on the same rows; 0 for one that is no more than that. */
  readonly meanGain: number;
  /** Mean AUC, and AUC of a head, that quantising may cost. */
  readonly quantiseMeanLossMax: number;
  readonly quantiseHeadLossMax: number;
}

export const DEFAULT_GATE_LIMITS: GateLimits = {
  outcomesMin: 50,
  stepUsMax: 50,
  calibrationMax: 0.05,
  aucMax: 0.99,
  headLossMax: 0.005,
  meanGain: 0.004,
  quantiseMeanLossMax: 0.0005,
  quantiseHeadLossMax: 0.002,
};

/** Why a candidate is refused: stable names. */
export type GateReason =
  | "odd-output"
  | "too-few-outcomes"
  | "too-slow"
  | "unknown-lineage"
  | "leaking"
  | "no-skill"
  | "miscalibrated"
  | "below-baseline"
  | "lost-by-quantising"
  | "not-better";

export interface GateProblem {
  readonly reason: GateReason;
  readonly text: string;
}

/** What was found of a candidate on rows that it was never trained on. */
export interface GateEvidence {
  readonly odd: number;
  readonly stepUs: number;
  readonly heads: readonly HeadResult[];
  /** Logistic regression on the same rows, of the same training rows; null where the candidate is that. */
  readonly baseline: readonly HeadResult[] | null;
  /** What the candidate was quantised from, on the same rows; null where it was not. */
  readonly beforeQuantising: readonly HeadResult[] | null;
  /** Log loss less the champion's; null where there is no champion. */
  readonly againstChampion: Interval | null;
  /** The dataset that the candidate's card names, and the one that it is judged on. */
  readonly trainedOn: string;
  readonly dataset: string;
}

/** All that is wrong with a candidate; empty when it keeps the gate. */
export function judgeCandidate(found: GateEvidence, limits: GateLimits): GateProblem[] {
  const problems: GateProblem[] = [];
  const add = (reason: GateReason, text: string): void => {
    problems.push({ reason, text });
  };
  const { odd, stepUs, baseline, beforeQuantising, againstChampion } = found;
  const heads = found.heads.filter(({ rows, baseRate }) => {
    const came = rows * baseRate;
    return came >= limits.outcomesMin && rows - came >= limits.outcomesMin;
  });
  if (odd > 0) add("odd-output", `${odd} answers are no probabilities`);
  if (!(stepUs <= limits.stepUsMax)) {
    add("too-slow", `a step takes ${stepUs.toFixed(1)} µs at p99, at most ${limits.stepUsMax} may be`);
  }
  if (found.trainedOn !== found.dataset) {
    const said = found.trainedOn === "" ? "none" : found.trainedOn.slice(0, 16);
    add(
      "unknown-lineage",
      `its card names dataset ${said}, expected ${found.dataset.slice(0, 16)}: what it has seen is not known`,
    );
  }
  for (const { head, auc, calibrationError } of heads) {
    if (auc > limits.aucMax)
      add("leaking", `${head} has an AUC of ${auc.toFixed(4)}: it knows what it is asked`);
    if (calibrationError > limits.calibrationMax) {
      add(
        "miscalibrated",
        `${head} is off by ${calibrationError.toFixed(3)}, at most ${limits.calibrationMax} may be`,
      );
    }
  }
  if (heads.length === 0)
    add("too-few-outcomes", "no head has enough outcomes in the newest block: record for longer");
  const skill = mean(heads.map((each) => each.skill));
  if (heads.length > 0 && !(skill > 0))
    add("no-skill", `mean skill ${skill.toFixed(4)}: no better than the base rates`);
  if (baseline !== null) {
    const gain =
      meanAuc(heads) - meanAuc(baseline.filter(({ head }) => heads.some((own) => own.head === head)));
    if (!(gain >= limits.meanGain)) {
      add(
        "below-baseline",
        `mean AUC is ${gain.toFixed(4)} above logistic regression, at least ${limits.meanGain} must be`,
      );
    }
    for (const { head, auc } of heads) {
      const other = baseline.find((each) => each.head === head)?.auc ?? Number.NaN;
      if (other - auc > limits.headLossMax) {
        add(
          "below-baseline",
          `${head}: AUC ${auc.toFixed(4)} is below logistic regression's ${other.toFixed(4)}`,
        );
      }
    }
  }
  if (beforeQuantising !== null) {
    const lost = heads.map(
      ({ head, auc }) => (beforeQuantising.find((each) => each.head === head)?.auc ?? Number.NaN) - auc,
    );
    const worst = Math.max(...lost);
    if (!(mean(lost) <= limits.quantiseMeanLossMax) || !(worst <= limits.quantiseHeadLossMax)) {
      add(
        "lost-by-quantising",
        `quantising cost ${mean(lost).toFixed(5)} of AUC on average and ${worst.toFixed(5)} of the worst head, at most ${limits.quantiseMeanLossMax} and ${limits.quantiseHeadLossMax} may be`,
      );
    }
  }
  if (againstChampion !== null && !(againstChampion.value < 0)) {
    const { value, low, high } = againstChampion;
    add(
      "not-better",
      `log loss less the champion's ${value.toFixed(5)} [${low.toFixed(5)}, ${high.toFixed(5)}]`,
    );
  }
  return problems;
}

function meanAuc(heads: readonly HeadResult[]): number {
  return mean(heads.map(({ auc }) => auc));
}

/** Of what is known. */
export function mean(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
