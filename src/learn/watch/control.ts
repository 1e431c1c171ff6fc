import type { Scaling } from "../../inference/calibration.ts";
import type { Distances } from "../../inference/profile.ts";
import type { HeadScores } from "../drift/head-outcomes.ts";
import type { DriftChange, WatchedCard } from "../drift/monitor.ts";
import type { DriftParameters } from "../drift/parameters.ts";
import type { DriftedNumber } from "../drift/underlying-drift.ts";
import type { RecalibrationMethod } from "../recalibration.ts";

/** What the thread watches, and how. */
export interface WatchOptions {
  /** Of the model that is in force at first. */
  readonly card: WatchedCard;
  readonly underlyings: number;
  /** Null: drift is not watched. */
  readonly drift: DriftParameters | null;
  /** How calibrations are fitted to outcomes; null: they are not. */
  readonly recalibrates: RecalibrationMethod | null;
}

/** Messages to the thread: the first starts it; the other one ends it when everything in the ring is taken. */
export type WatchMessage =
  | { readonly do: "start"; readonly ring: SharedArrayBuffer; readonly options: WatchOptions }
  | { readonly do: "stop" };

/** What drift knows of one underlying. */
export interface DriftReport {
  readonly underlying: number;
  /** Index into `DRIFT_STAGES`. */
  readonly stage: number;
  readonly causes: readonly string[];
  readonly rows: number;
  /** `DriftSignal` with null for what cannot be judged, and for a limit that is never reached. */
  readonly signals: readonly {
    readonly name: string;
    readonly value: number | null;
    readonly alert: number;
    readonly widen: number;
    readonly defend: number | null;
  }[];
  readonly drifted: readonly DriftedNumber[];
  readonly missing: readonly number[];
  /** By feature; null where a feature has no window yet. */
  readonly features: readonly (Distances | null)[];
  /** By head. */
  readonly heads: readonly HeadScores[];
}

export interface WatchReport {
  readonly requests: number;
  readonly memoryBytes: number;
  readonly drift: readonly DriftReport[];
}

/** What the thread tells: findings at once, the report about once a second and at its end. */
export type WatchReply =
  | { readonly is: "drift"; readonly change: DriftChange }
  | {
      readonly is: "retrain";
      readonly underlying: number;
      readonly causes: readonly string[];
      readonly timeUs: number;
    }
  | { readonly is: "calibration"; readonly slot: number; readonly head: number; readonly scaling: Scaling }
  /** JSON of a {@link WatchReport}: a text costs the desk's thread nothing until somebody asks for it. */
  | { readonly is: "report"; readonly text: string; readonly ended: boolean };
