import { MARKOUT_MS } from "../../backtest/result.ts";
import type { OptionTable } from "../command.ts";
import { RUN_OPTIONS } from "./options.ts";

/** Options of `keel backtest` for runs, and those that `compare` has besides. */
export const COMPARE_OPTIONS = {
  ...RUN_OPTIONS,
  variant: {
    type: "string",
    value: "NAME[,KEEL_…=V]…",
    multiple: true,
    description: "compare: a strategy with parameters of its own; the first is what others are compared with",
  },
  scales: {
    type: "string",
    value: "N,N…",
    default: "0.25,0.5,0.75,1,1.5",
    description: "compare: factors on base half-spreads among which volumes are made equal",
  },
  "latencies-us": {
    type: "string",
    value: "US,US…",
    default: "0,50,100,500,1000,5000",
    description: "compare: order latencies to run again at; none for no such runs",
  },
  parts: {
    type: "number",
    value: "N",
    integer: true,
    min: 0,
    max: 100,
    default: 4,
    description: "compare: parts of the time for the walk-forward; 0 for none",
  },
  fit: {
    type: "string",
    value: "RULE",
    multiple: true,
    choices: ["queue-imbalance", "logistic"],
    description: "compare: fit this rule anew before each part",
  },
  choose: {
    type: "string",
    choices: ["adverse", "markout"],
    default: "markout",
    description: "compare: by what the walk-forward chooses among a strategy's parameters",
  },
  horizon: {
    type: "string",
    value: "MS",
    choices: MARKOUT_MS.map(String),
    default: "1000",
    description: "compare: how long after a fill its price is judged, ms",
  },
  "block-s": {
    type: "number",
    value: "S",
    min: 1,
    max: 86_400,
    default: 15,
    description: "compare: length of a block of the bootstrap, s",
  },
  resamples: {
    type: "number",
    value: "N",
    integer: true,
    min: 100,
    max: 100_000,
    default: 2_000,
    description: "compare: resamples of the bootstrap",
  },
  report: {
    type: "string",
    value: "FILE",
    default: "comparison",
    description: "compare: writes FILE.html and FILE.json",
  },
} as const satisfies OptionTable;
