import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { FEATURE_COUNT } from "../feature/schema.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { StepModel } from "../inference/step-model.ts";
import { ChallengeLine } from "../learn/challenge/line.ts";
import { DEFAULT_CHALLENGE_POLICY } from "../learn/challenge/policy.ts";
import { watchedOf } from "../learn/drift/monitor.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../learn/drift/parameters.ts";
import { ChallengeTap } from "../live/challenge-tap.ts";
import { LiveOutcomes } from "../live/outcomes.ts";
import { LiveWatch } from "../live/watch.ts";

/** Steps of the learning loop that run beside a desk. */
export interface LoopSteps {
  readonly outcomes?: boolean;
  readonly drift?: boolean;
  readonly recalibration?: boolean;
  /** Models in the shadow, beside the champion's own twin. */
  readonly challengers?: number;
}

export interface LoopStepsOptions {
  readonly steps: LoopSteps;
  readonly config: Config;
  readonly model: StepModel;
  /** The model's files, for its challengers: they cost what it costs. */
  readonly files: { readonly card: string; readonly onnx: Uint8Array<ArrayBuffer> };
  /** Outcomes go into a folder of their own in it. */
  readonly folder: string;
}

/** Those who follow a desk for the steps, as a live desk has them. */
export class LoopFollowers {
  readonly taps: readonly DeskTap[];
  readonly #outcomes: LiveOutcomes | null;
  readonly #watch: LiveWatch | null;
  readonly #challenge: ChallengeLine | null;

  constructor(desk: Desk, { steps, config, model, files, folder }: LoopStepsOptions) {
    const { outcomes = false, drift = false, recalibration = false, challengers = 0 } = steps;
    const { card } = model;
    const onProblem = (problem: string): void => {
      throw new Error(problem);
    };
    this.#outcomes = outcomes
      ? new LiveOutcomes(
          {
            dir: mkdtempSync(join(folder, "pass-")),
            partBytes: 64 * 1024 * 1024,
            totalBytes: 256 * 1024 * 1024,
          },
          desk,
          card,
          { wallUs: Date.now() * 1_000, onProblem },
        )
      : null;
    this.#watch =
      drift || recalibration
        ? new LiveWatch(desk, {
            watch: {
              card: watchedOf(card),
              underlyings: UNDERLYING_CAPACITY,
              drift: drift ? DEFAULT_DRIFT_PARAMETERS : null,
              recalibrates: recalibration ? "platt" : null,
            },
            // What is found is put in force nowhere: the desk's decisions stay those of the pass without it.
            findings: { drift: () => {}, retrain: () => {}, calibration: () => {} },
            onProblem,
          })
        : null;
    this.#challenge = challengers > 0 ? challenge(challengers, config, files, onProblem) : null;
    this.taps = [
      ...(this.#outcomes === null ? [] : [this.#outcomes]),
      ...(this.#watch === null ? [] : [this.#watch]),
      ...(this.#challenge === null
        ? []
        : [new ChallengeTap(desk.market, this.#challenge, FEATURE_COUNT, () => {})]),
    ];
  }

  /** Models are loaded beside; a pass that began before would find a thread that is not yet at work. */
  async ready(): Promise<void> {
    const line = this.#challenge;
    while (line !== null && line.failure === null && line.report === null) await Bun.sleep(10);
  }

  /** Everything is followed to its end. @returns observations that did not fit a ring */
  async end(): Promise<number> {
    for (const tap of this.taps) tap.close();
    await this.#outcomes?.ended();
    await this.#watch?.ended();
    await this.#challenge?.ended();
    const rings = [this.#outcomes?.recorder, this.#watch?.line, this.#challenge];
    return rings.reduce((sum, ring) => sum + (ring?.dropped ?? 0), 0);
  }
}

function challenge(
  challengers: number,
  config: Config,
  files: LoopStepsOptions["files"],
  onProblem: (problem: string) => void,
): ChallengeLine {
  const line = new ChallengeLine({
    quote: config.quote,
    policy: DEFAULT_CHALLENGE_POLICY,
    files: null,
    onRefused: (version, why) => onProblem(`${version}: ${why}`),
    onProblem,
  });
  for (let at = 0; at <= challengers; at += 1) {
    line.add({ version: at === 0 ? "champion" : `challenger-${at}`, ...files });
  }
  line.compareWith("champion");
  return line;
}
