import { DeviceUnavailableError, ModelRefusedError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { silentRows } from "../../inference/card.ts";
import { cpuIsas } from "../../inference/cpu.ts";
import type { EngineName, StepEngine } from "../../inference/engine.ts";
import { whyNot } from "../../inference/engine-choice.ts";
import { ENGINE_STARTERS } from "../../inference/registry.ts";
import { selfTest } from "../../inference/self-test.ts";
import type { EngineSettings } from "../../inference/settings.ts";
import type { StepModel } from "../../inference/step-model.ts";

/** Steps that show whether a model without a self-test gives probabilities. */
const TRIAL_STEPS = 8;

/**
 * How far an engine of this host got with a model: `takes` it (not run), `runs` it (nothing to compare with), `passes` its
 * self-test, computes it `wrong`, `refuses` it, or is `unavailable` here.
 */
export type Verdict = "takes" | "runs" | "passes" | "wrong" | "refuses" | "unavailable";

export interface EngineTrial {
  readonly engine: EngineName;
  /** Of the cpu engine. */
  readonly isa: string | null;
  readonly verdict: Verdict;
  /** Largest absolute difference of a probability from the self-test; null where none was made or it failed. */
  readonly difference: number | null;
  readonly memoryBytes: number | null;
  /** Why not, or what else there is to say; empty when all is well. */
  readonly detail: string;
}

/** What is asked of the engines. */
export type TrialKind = "take" | "run" | "self-test";

/** Puts a model on every engine of this host: the cpu engine with every instruction set, unless it is only to be taken. Never throws. */
export async function tryEngines(
  model: StepModel,
  settings: EngineSettings,
  kind: TrialKind,
): Promise<EngineTrial[]> {
  const trials: EngineTrial[] = [];
  const isas = kind === "take" ? [] : (await cpuIsas()).reverse();
  for (const { name, start } of ENGINE_STARTERS) {
    const variants =
      name === "cpu" && isas.length > 0 ? isas.map((cpuIsa) => ({ ...settings, cpuIsa })) : [settings];
    for (const variant of variants) {
      const trial = await tryOne(name, () => start(model, 1, 1, variant), kind);
      trials.push(trial);
      // What is refused before it starts is refused with every instruction set.
      if (trial.memoryBytes === null) break;
    }
  }
  return trials;
}

/** True where the engine did what was asked of it. */
export const succeeded = ({ verdict }: EngineTrial): boolean =>
  verdict === "takes" || verdict === "runs" || verdict === "passes";

async function tryOne(
  name: EngineName,
  start: () => Promise<StepEngine>,
  kind: TrialKind,
): Promise<EngineTrial> {
  const none = { engine: name, isa: null, difference: null, memoryBytes: null };
  let engine: StepEngine;
  try {
    engine = await start();
  } catch (error) {
    const verdict = error instanceof DeviceUnavailableError ? "unavailable" : "refuses";
    return { ...none, verdict, detail: whyNot(error) };
  }
  const started = { ...none, isa: engine.isa ?? null, memoryBytes: engine.memoryBytes() };
  try {
    if (kind === "take") return { ...started, verdict: "takes", detail: "" };
    if (kind === "run") return { ...started, verdict: "runs", detail: await runSome(engine) };
    return { ...started, verdict: "passes", difference: await selfTest(engine), detail: "" };
  } catch (error) {
    const verdict = error instanceof ModelRefusedError && kind === "self-test" ? "wrong" : "refuses";
    return { ...started, verdict, detail: whyNot(error) };
  } finally {
    await engine.dispose().catch(() => {});
  }
}

/** @returns what is odd about the outputs; empty when all are probabilities */
async function runSome(engine: StepEngine): Promise<string> {
  const { card } = engine;
  const rng = new Rng(1);
  const silent = silentRows(card);
  for (let step = 0; step < silent + TRIAL_STEPS; step += 1) {
    engine.slots[0] = 0;
    for (let i = 0; i < card.featureCount; i += 1) engine.features[i] = rng.normal();
    await engine.submit(1);
    if (step < silent) continue;
    const odd = engine.probabilities
      .subarray(0, card.heads.length)
      .find((value) => !(value >= 0 && value <= 1));
    if (odd !== undefined) return `gives ${odd}, which is no probability`;
  }
  return "";
}
