import type { BacktestSpec } from "../../backtest/spec.ts";
import { DEFAULT_SPEC } from "../../backtest/spec.ts";
import { type Config, loadConfig } from "../../config.ts";
import { type Environment, UsageError } from "../command.ts";

/** Most runs that one command makes. */
export const RUNS_MAX = 10_000;

/** One axis of a grid: an environment variable and its values. */
export interface Axis {
  readonly variable: string;
  readonly values: readonly string[];
}

/** Reads `KEEL_…=a,b,c`. @throws UsageError when it is none */
export function readAxis(text: string): Axis {
  const [, variable, values] = /^(KEEL_[A-Z0-9_]+)=(.+)$/.exec(text) ?? [];
  if (variable === undefined || values === undefined) {
    throw new UsageError(`--grid: found ${JSON.stringify(text)}, expected KEEL_…=VALUE,VALUE…`);
  }
  return { variable, values: values.split(",") };
}

/** Every combination of the axes' values, the last axis changing fastest. @throws UsageError when there are too many */
export function combinations(axes: readonly Axis[]): Record<string, string>[] {
  let found: Record<string, string>[] = [{}];
  for (const { variable, values } of axes) {
    found = found.flatMap((before) => values.map((value) => ({ ...before, [variable]: value })));
    if (found.length > RUNS_MAX) throw new UsageError(`--grid: more than ${RUNS_MAX} runs`);
  }
  return found;
}

/** What of a configuration counts in a backtest. */
export function configured({ quote, risk, fees, surface, hedge }: Config): Partial<BacktestSpec> {
  return { quote, risk, fees, surface, hedge };
}

/** The specs of a grid: `base` under every combination of the axes over the environment. @throws ConfigError, UsageError */
export function gridSpecs(
  base: Omit<BacktestSpec, "quote" | "risk" | "fees" | "surface" | "hedge">,
  axes: readonly Axis[],
  env: Environment,
): BacktestSpec[] {
  return combinations(axes).map((values) => ({
    ...DEFAULT_SPEC,
    ...base,
    ...configured(loadConfig({ ...env, ...values })),
  }));
}
