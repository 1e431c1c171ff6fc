import {
  describeParameters,
  type ParameterDescription,
  type ParameterRow,
  parameterDefaults,
} from "../../core/parameter.ts";
import type { PairedEvidence } from "./paired.ts";
import type { HeadScore } from "./scores.ts";

const ROWS = {
  alpha: [
    "ALPHA",
    "probability",
    0.05,
    1e-6,
    0.5,
    "Probability, over all times that one looks, of taking a difference for one that there is not.",
  ],
  blockMs: [
    "BLOCK_MS",
    "ms",
    5_000,
    100,
    3_600_000,
    "Rows of this time count as one observation of the test.",
  ],
  shadowBlocks: ["SHADOW_BLOCKS", "blocks", 720, 2, 1e7, "Least blocks in the shadow before a canary."],
  canaryBlocks: ["CANARY_BLOCKS", "blocks", 360, 2, 1e7, "Least blocks as canary before a champion."],
  guardBlocks: [
    "GUARD_BLOCKS",
    "blocks",
    720,
    0,
    1e7,
    "Blocks after a promotion in which the old champion stays warm and takes over again if it turns out better.",
  ],
  blocksMax: [
    "BLOCKS_MAX",
    "blocks",
    34_560,
    2,
    1e8,
    "Blocks after which a challenger in the shadow that has shown nothing is retired.",
  ],
  margin: [
    "MARGIN",
    "nats",
    0,
    0,
    1,
    "Log loss by which a challenger may be worse and still be promoted; 0: it has to be better.",
  ],
  calibrationMax: [
    "CALIBRATION_MAX",
    "probability",
    0.05,
    0,
    1,
    "Largest expected calibration error of a head of a model that may quote.",
  ],
  stepUsMax: [
    "STEP_US_MAX",
    "us",
    50,
    0.1,
    1e6,
    "Longest step, at the 99th percentile, of a model that may quote.",
  ],
  shedMax: [
    "SHED_MAX",
    "share",
    0.05,
    0,
    1,
    "Largest share of events that challengers may have missed for want of their time budget.",
  ],
  timeShare: [
    "TIME_SHARE",
    "share",
    0.5,
    0.001,
    1,
    "Share of its thread's time that the steps of all challengers may take; events beyond it are missed and counted.",
  ],
  canaryShare: [
    "CANARY_SHARE",
    "share",
    0.25,
    0,
    1,
    "Share of the underlyings, or of time, in which a canary is in force.",
  ],
  canarySliceMs: [
    "CANARY_SLICE_MS",
    "ms",
    0,
    0,
    86_400_000,
    "Length of the slices of time that a canary is drawn for; 0: underlyings are drawn, once.",
  ],
} as const satisfies Readonly<Record<string, ParameterRow>>;

/** What a challenger must show, and what it may cost; `KEEL_CHALLENGE_…`. */
export type ChallengePolicy = Readonly<Record<keyof typeof ROWS, number>>;

export const CHALLENGE_PARAMETERS: readonly ParameterDescription<keyof typeof ROWS>[] = describeParameters(
  "CHALLENGE",
  ROWS,
  ["shadowBlocks", "canaryBlocks", "guardBlocks", "blocksMax"],
);
export const DEFAULT_CHALLENGE_POLICY: ChallengePolicy = parameterDefaults(CHALLENGE_PARAMETERS);

/** What is known of a challenger beside the champion. */
export interface ChallengeEvidence {
  readonly paired: PairedEvidence;
  readonly heads: Readonly<Record<string, HeadScore>>;
  /** Rows that it answered with something else than probabilities. */
  readonly oddRows: number;
  /** 99th percentile of its steps, µs; NaN before the first. */
  readonly stepUs: number;
  /** Events, and those missed for want of the time budget. */
  readonly events: number;
  readonly shed: number;
}

/** Where a challenger stands: `guard` is a champion of before that is kept warm after it was replaced. */
export type ChallengePhase = "shadow" | "canary" | "guard";

/** What the policy says, and why, in words that stand in the registry's history. */
export interface Verdict {
  readonly verdict: "wait" | "promote" | "reject";
  /** Stable name of the reason. */
  readonly reason:
    | "too-early"
    | "undecided"
    | "better"
    | "not-worse"
    | "odd-output"
    | "too-slow"
    | "shed"
    | "miscalibrated"
    | "worse"
    | "costs-money"
    | "no-difference"
    | "guard-over";
  readonly text: string;
}

/** Rows of a head before its calibration is judged. */
const CALIBRATION_ROWS = 1_000;
/** Events before the share of those that were missed is judged. */
const SHED_EVENTS = 1_000;

/**
 * The written policy. Gates first, at any time: something else than probabilities; too slow; too much missed; badly calibrated. Then
 * the test: significantly worse in log loss, or in money, rejects; in the shadow significantly better promotes (no worse than
 * the margin, where one is set), and a canary that has not turned out worse goes on. While the old champion is kept as
 * guard, `promote` means that it comes back.
 */
export function judge(phase: ChallengePhase, found: ChallengeEvidence, policy: ChallengePolicy): Verdict {
  return gate(found, policy) ?? compare(phase, found.paired, policy);
}

function gate(found: ChallengeEvidence, policy: ChallengePolicy): Verdict | null {
  const { oddRows, stepUs, events, shed, heads } = found;
  if (oddRows > 0) {
    return reject("odd-output", `${oddRows} answers were no probabilities`);
  }
  if (stepUs > policy.stepUsMax) {
    return reject(
      "too-slow",
      `a step takes ${stepUs.toFixed(1)} µs at p99, at most ${policy.stepUsMax} may be`,
    );
  }
  if (events >= SHED_EVENTS && shed / events > policy.shedMax) {
    return reject("shed", `${((100 * shed) / events).toFixed(1)} % of events were missed for want of time`);
  }
  for (const [head, { rows, calibrationError }] of Object.entries(heads)) {
    if (rows < CALIBRATION_ROWS || !(calibrationError > policy.calibrationMax)) continue;
    return reject(
      "miscalibrated",
      `${head} is off by ${calibrationError.toFixed(3)} on average, at most ${policy.calibrationMax} may be`,
    );
  }
  return null;
}

function compare(phase: ChallengePhase, paired: PairedEvidence, policy: ChallengePolicy): Verdict {
  const { blocks, logLoss, value } = paired;
  const least = { shadow: policy.shadowBlocks, canary: policy.canaryBlocks, guard: policy.guardBlocks }[
    phase
  ];
  const shown = `log loss ${signed(logLoss.mean)} [${signed(logLoss.lower)}, ${signed(logLoss.upper)}] in ${blocks} blocks`;
  const upper = logLoss.upper ?? Number.POSITIVE_INFINITY;
  const lower = logLoss.lower ?? Number.NEGATIVE_INFINITY;
  // The interval rests on a central limit: with fewer blocks than this nothing is taken from it.
  const enough = blocks >= Math.min(least, MIN_TEST_BLOCKS);
  if (phase === "guard") {
    if (enough && upper < 0)
      return { verdict: "promote", reason: "better", text: `the old champion was better: ${shown}` };
    if (blocks >= least) return reject("guard-over", `the new champion held: ${shown}`);
    return { verdict: "wait", reason: "undecided", text: shown };
  }
  if (enough && lower > policy.margin) return reject("worse", shown);
  if (enough && (value.upper ?? 0) < 0) {
    return reject("costs-money", `its terms made ${signed(value.mean)} a block less than the champion's`);
  }
  if (blocks < least) return { verdict: "wait", reason: "too-early", text: `${shown}, ${least} are needed` };
  if (upper < policy.margin || (policy.margin === 0 && upper < 0)) {
    return { verdict: "promote", reason: policy.margin === 0 ? "better" : "not-worse", text: shown };
  }
  if (phase === "canary") return { verdict: "promote", reason: "not-worse", text: shown };
  if (blocks >= policy.blocksMax) return reject("no-difference", shown);
  return { verdict: "wait", reason: "undecided", text: shown };
}

const MIN_TEST_BLOCKS = 30;

function reject(reason: Verdict["reason"], text: string): Verdict {
  return { verdict: "reject", reason, text };
}

function signed(value: number | null): string {
  return value === null ? "?" : `${value >= 0 ? "+" : "−"}${Math.abs(value).toPrecision(3)}`;
}
