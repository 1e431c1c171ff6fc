import { DEFAULT_FLOW } from "../../backtest/flow.ts";
import { DEFAULT_LATENCY } from "../../backtest/latency.ts";
import { QUEUE_MODELS } from "../../backtest/queue.ts";
import { type BacktestSpec, DEFAULT_SPEC } from "../../backtest/spec.ts";
import { readStrategy, STRATEGIES, type Strategy } from "../../backtest/strategy.ts";
import { type Environment, type OptionValues, UsageError } from "../command.ts";
import type { RUN_OPTIONS } from "./options.ts";
import { gridSpecs, RUNS_MAX, readAxis } from "./specs.ts";

type RunOptionValues = OptionValues<typeof RUN_OPTIONS>;

/**
 * The runs that a command line asks for: each recording under each strategy and each combination of the grid.
 *
 * @param recordings each a path, or several joined by `+` that are played together
 * @throws UsageError, ConfigError
 */
export function readSpecs(
  recordings: readonly string[],
  options: RunOptionValues,
  env: Environment,
): BacktestSpec[] {
  const axes = options.grid.map(readAxis);
  const strategies = (options.strategy.length === 0 ? ["model"] : options.strategy).map(readStrategyName);
  const specs = recordings.flatMap((joined) =>
    strategies.flatMap((strategy) =>
      gridSpecs({ ...runOptions(options), recordings: joined.split("+"), strategy }, axes, env),
    ),
  );
  if (specs.length > RUNS_MAX) throw new UsageError(`more than ${RUNS_MAX} runs`);
  return specs;
}

/** @throws UsageError when there is no such strategy */
export function readStrategyName(text: string): Strategy {
  const strategy = readStrategy(text);
  if (strategy !== undefined) return strategy;
  throw new UsageError(
    `--strategy: found ${JSON.stringify(text)}, expected one of ${STRATEGIES.join(", ")}, model:NAME, rule:FILE`,
  );
}

/** What the options say of every run. */
export function runOptions(options: RunOptionValues): Omit<BacktestSpec, "recordings" | "strategy"> {
  const { uninformed, informed } = options;
  const through = options.through === "full" ? "full" : "traded";
  const crossing = options.crossing === "take" ? "take" : "reject";
  const queue = QUEUE_MODELS.find((name) => name === options.queue);
  if (queue === undefined) {
    throw new UsageError(
      `--queue: found ${JSON.stringify(options.queue)}, expected one of ${QUEUE_MODELS.join(", ")}`,
    );
  }
  return {
    ...DEFAULT_SPEC,
    seed: options.seed,
    fromUs: timeOf("from", options.from),
    toUs: timeOf("to", options.to),
    latency: {
      ...DEFAULT_LATENCY,
      feed: options["feed-us"] ?? "measured",
      feedBaseUs: options["feed-base-us"],
      orderUs: options["order-us"],
      responseUs: options["response-us"],
      jitterUs: options["jitter-us"],
    },
    matching: {
      ...{ through, crossing },
      queue,
      queueExponent: options["queue-exponent"],
      impactRecoveryMs: options["recovery-ms"],
      rate: options.rate === undefined ? null : { perSecond: options.rate, burst: options.burst },
    },
    flow:
      uninformed + informed === 0
        ? null
        : {
            ...DEFAULT_FLOW,
            uninformedPerSecond: uninformed,
            informedPerSecond: informed,
            informedHorizonMs: options["informed-ms"],
            sizeMean: options["flow-size"],
            best: !options["flow-anywhere"],
          },
    quoteSpot: options["quote-spot"],
    intervalMs: options["interval-ms"],
  };
}

function timeOf(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new UsageError(`--${name}: found ${JSON.stringify(text)}, expected an ISO time`);
  return ms * 1_000;
}
