import { DeviceUnavailableError } from "../core/errors.ts";
import { Histogram } from "../core/histogram.ts";
import type { EngineName, StepEngine } from "./engine.ts";

/** Engines by what it costs to find out how fast they are: the first start in milliseconds, the last compile shaders. */
const CHEAPEST_FIRST: readonly EngineName[] = ["cpu", "wasm", "tensorrt", "wgsl", "webgpu"];

/**
 * Least time of one step on any host and with any model, µs: what a call into ONNX Runtime, the launch of a captured CUDA
 * graph and a mapped read-back from a GPU take with nothing to compute. Where an engine at hand is faster than that, the
 * slower kind is not even started.
 */
export const FLOOR_US: Readonly<Record<EngineName, number>> = {
  cpu: 0,
  wasm: 13,
  tensorrt: 8,
  wgsl: 40,
  webgpu: 40,
};

/** How long one engine is measured, and fewest and most steps. */
const MEASURE_MS = 40;
const STEPS_MIN = 3;
const STEPS_MAX = 2_000;
/** On a host that is short of processor time few steps fit into that, and the first ones are not compiled yet: then it takes longer. */
const STEPS_SOUND = 64;
const LONGEST_MS = 200;

export interface PassedOver {
  readonly engine: EngineName;
  readonly reason: string;
}

/** A started engine and its median time of one step at batch 1, µs. */
interface Timed {
  readonly engine: StepEngine;
  readonly stepUs: number;
}

export interface Choice extends Timed {
  readonly passedOver: readonly PassedOver[];
}

/**
 * Starts the engines that may be the fastest, the cheap ones first, times a step of each and keeps the fastest. Measuring
 * takes {@link MEASURE_MS} for each engine, at most {@link LONGEST_MS} where few steps fit into that, unless three of them take longer.
 *
 * @param starters starts each engine of this build, warmed up and self-tested; rejects when it does not work here
 * @param floorUs least time of a step on an engine, given the best so far; {@link FLOOR_US} when left out
 * @returns the fastest, or only the reasons when none works
 */
export async function chooseEngine(
  starters: ReadonlyMap<EngineName, () => Promise<StepEngine>>,
  floorUs: (name: EngineName, best: StepEngine) => number = (name) => FLOOR_US[name],
): Promise<Choice | readonly PassedOver[]> {
  const passedOver: PassedOver[] = [];
  let best: Timed | null = null;
  for (const name of CHEAPEST_FIRST) {
    const start = starters.get(name);
    if (start === undefined) continue;
    const floor: number = best === null ? 0 : floorUs(name, best.engine);
    if (best !== null && best.stepUs <= floor) {
      passedOver.push({ engine: name, reason: `a call alone takes ${floor} µs and more` });
      continue;
    }
    try {
      const started = await timed(start);
      const slower: Timed | null = best !== null && best.stepUs <= started.stepUs ? started : best;
      if (slower !== started) best = started;
      if (slower === null) continue;
      passedOver.push({ engine: slower.engine.name, reason: `${shownUs(slower.stepUs)} a step` });
      await slower.engine.dispose();
    } catch (error) {
      passedOver.push({ engine: name, reason: whyNot(error) });
    }
  }
  return best === null ? passedOver : { ...best, passedOver };
}

/** What an engine's start failed with, for where the engine is named already. */
export function whyNot(error: unknown): string {
  if (error instanceof DeviceUnavailableError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}

/** A time for people: two digits below 10 µs, whole ones above. */
export const shownUs = (us: number): string => `${us < 10 ? us.toPrecision(2) : Math.round(us)} µs`;

/** Starts an engine and times its steps; an engine that fails at that is disposed of. */
export async function timed(start: () => Promise<StepEngine>): Promise<Timed> {
  const engine = await start();
  try {
    return { engine, stepUs: await medianStepUs(engine) };
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}

/** Times single steps on slot 0 with the features of the card's self-test where it has one, and resets the slot. */
async function medianStepUs(engine: StepEngine): Promise<number> {
  const { features } = engine.card.selfTest;
  const histogram = new Histogram();
  const startNs = Bun.nanoseconds();
  const goesOn = (steps: number): boolean => {
    if (steps < STEPS_MIN) return true;
    const ms = (Bun.nanoseconds() - startNs) / 1e6;
    return ms < (steps < STEPS_SOUND ? LONGEST_MS : MEASURE_MS);
  };
  for (let i = 0; i < STEPS_MAX && goesOn(i); i += 1) {
    engine.slots[0] = 0;
    if (features.length > 0) engine.features.set(features[i % features.length]);
    const beforeNs = Bun.nanoseconds();
    if (engine.synchronous) engine.step(1);
    else await engine.submit(1);
    histogram.record(Bun.nanoseconds() - beforeNs);
  }
  engine.resetSlot(0);
  return histogram.quantile(0.5) / 1_000;
}
