import { describeParameters, type ParameterRow, parameterDefaults } from "../../core/parameter.ts";

const ROWS = {
  windowSeconds: ["WINDOW_SECONDS", "s", 300, 10, 86_400, "Length of the sliding windows"],
  lookSeconds: ["LOOK_SECONDS", "s", 5, 1, 3_600, "Time between two looks at the windows"],
  margin: [
    "MARGIN",
    "1",
    1.2,
    1,
    100,
    "A distribution has drifted when it lies so many times further from the training rows than their own windows do",
  ],
  featuresWiden: [
    "FEATURES_WIDEN",
    "fraction",
    0.25,
    0,
    1,
    "Share of the features that have drifted at which quotes widen",
  ],
  featuresDefend: [
    "FEATURES_DEFEND",
    "fraction",
    0.5,
    0,
    1,
    "Share of the features that have drifted at which the model is not listened to",
  ],
  missingWiden: [
    "MISSING_WIDEN",
    "fraction",
    0.08,
    0,
    1,
    "Share of the features that stand still, and did not in training, at which quotes widen",
  ],
  missingDefend: [
    "MISSING_DEFEND",
    "fraction",
    0.25,
    0,
    1,
    "The same, at which the model is not listened to",
  ],
  calibrationWiden: [
    "CALIBRATION_WIDEN",
    "fraction",
    0.12,
    0,
    1,
    "Mean distance between predicted and observed rates, over the heads, at which quotes widen",
  ],
  calibrationDefend: [
    "CALIBRATION_DEFEND",
    "fraction",
    0.2,
    0,
    1,
    "The same, at which the model is not listened to",
  ],
  skillWiden: [
    "SKILL_WIDEN",
    "fraction",
    0.1,
    -1,
    1,
    "Skill (1 − log loss ÷ that of the base rate), mean over the heads, below which quotes widen",
  ],
  skillDefend: ["SKILL_DEFEND", "fraction", 0, -10, 1, "The same, below which the model is not listened to"],
  alertShare: [
    "ALERT_SHARE",
    "fraction",
    0.6,
    0.1,
    1,
    "Part of the way to widening from which the stage is `alerted`, which is shown and logged; KeelDrift fires from widening on",
  ],
  widenShare: [
    "WIDEN_SHARE",
    "fraction",
    0.5,
    0,
    0.99,
    "Share of the defensive widening and cut that is added when quotes widen",
  ],
  risingLooks: [
    "RISING_LOOKS",
    "1",
    2,
    1,
    1_000,
    "Looks in a row that must call for more before more is done",
  ],
  calmLooks: [
    "CALM_LOOKS",
    "1",
    12,
    1,
    10_000,
    "Looks in a row that must call for less before one step less is done",
  ],
  calmShare: [
    "CALM_SHARE",
    "fraction",
    0.8,
    0.1,
    1,
    "Less is called for below this part of what called for it",
  ],
  rowsMin: ["ROWS_MIN", "1", 400, 10, 1_000_000, "Rows in the window below which nothing is judged"],
  positivesMin: [
    "POSITIVES_MIN",
    "1",
    100,
    1,
    1_000_000,
    "Outcomes of either kind in the window below which a head is not judged",
  ],
  retrainSeconds: [
    "RETRAIN_SECONDS",
    "s",
    1_800,
    1,
    604_800,
    "Time that an alert lasts after which a retraining is asked for",
  ],
  retrainPauseSeconds: [
    "RETRAIN_PAUSE_SECONDS",
    "s",
    14_400,
    1,
    2_592_000,
    "A retraining is asked for again after this time at the earliest",
  ],
} as const satisfies Record<string, ParameterRow>;

type Key = keyof typeof ROWS;

/** When drift is told, and what is done about it. */
export type DriftParameters = Readonly<Record<Key, number>>;

/** Every parameter with its environment variable `KEEL_DRIFT_…`. */
export const DRIFT_PARAMETERS = describeParameters<Key>("DRIFT", ROWS, [
  "risingLooks",
  "calmLooks",
  "rowsMin",
  "positivesMin",
]);

export const DEFAULT_DRIFT_PARAMETERS: DriftParameters = parameterDefaults(DRIFT_PARAMETERS);
