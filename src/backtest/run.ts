/**
 * One backtest, from its spec to its result.
 *
 * @example
 * const { result } = await runBacktest({ ...DEFAULT_SPEC, recordings: ["usdm-btcusdt-20240808.gz"] });
 * result.summary.profit; result.fills; result.intervals;
 *
 * @module
 */
import { BadInputError } from "../core/errors.ts";
import { loadNative } from "../core/native.ts";
import { measureClocks } from "./clock-offset.ts";
import { InputDigests, programVersion, runDigest } from "./digest.ts";
import { openRecording, type Recording } from "./recording.ts";
import type { BacktestResult, BacktestTiming } from "./result.ts";
import { Simulation } from "./simulation.ts";
import type { BacktestSpec } from "./spec.ts";
import { engineOf } from "./strategy.ts";

export interface RunOptions {
  /** Told now and then how far the run has come, from 0 to 1; NaN where the recording's end is not known. */
  readonly progress?: (share: number) => void;
  /** Kept from run to run, so that what several read is digested once. */
  readonly inputs?: InputDigests;
  /** Kept from run to run, so that the clocks of what several read are measured once. */
  readonly clocks?: Map<string, readonly number[]>;
}

/**
 * Plays the spec's recordings to a desk and matches what it sends.
 *
 * @throws BadInputError when a recording cannot be read, or holds nothing of the time asked for; ModelRefusedError when the strategy's model is none
 */
export async function runBacktest(
  spec: BacktestSpec,
  options: RunOptions = {},
): Promise<{ result: BacktestResult; timing: BacktestTiming }> {
  const { inputs = new InputDigests(), clocks = new Map<string, readonly number[]>(), progress } = options;
  const digest = await runDigest(spec, inputs);
  const recording = await openRecording(spec.recordings);
  expectTime(recording, spec);
  await loadNative();
  const clockOffsetUs = await offsetsOf(recording, spec, clocks);
  const engine = await engineOf(spec.strategy);
  try {
    const { firstUs, lastUs } = recording;
    const endUs = Math.min(lastUs, spec.toUs ?? Number.POSITIVE_INFINITY);
    const simulation = new Simulation({
      ...{ spec, recording, engine, clockOffsetUs },
      ...(progress === undefined
        ? {}
        : { progress: (timeUs) => progress(Math.min(1, (timeUs - firstUs) / (endUs - firstUs))) }),
    });
    const startedNs = Bun.nanoseconds();
    await simulation.run();
    const wallMs = (Bun.nanoseconds() - startedNs) / 1e6;
    const { events } = simulation.matching.counters;
    const fills = simulation.scorer.fills();
    const { intervals } = simulation.scorer;
    const checksum = new Bun.CryptoHasher("sha256")
      .update(JSON.stringify({ fills, intervals }))
      .digest("hex");
    return {
      result: {
        ...{
          digest,
          keel: programVersion(),
          spec,
          summary: simulation.summary(),
          fills,
          intervals,
          checksum,
        },
      },
      timing: { wallMs, events, usPerEvent: events === 0 ? 0 : (wallMs * 1_000) / events },
    };
  } finally {
    await engine?.dispose();
  }
}

/** Where the recording's end is known at the end only, a time after it cannot be told before. */
function expectTime({ firstUs, lastUs }: Recording, { recordings, fromUs, toUs }: BacktestSpec): void {
  const [from, to] = [fromUs ?? firstUs, toUs ?? Number.POSITIVE_INFINITY];
  if (from < to && !(from > lastUs) && to > firstUs) return;
  const iso = (timeUs: number): string =>
    Number.isFinite(timeUs) ? new Date(timeUs / 1_000).toISOString() : "its end";
  throw new BadInputError(
    recordings.join("+"),
    `nothing from ${iso(from)} to ${iso(to)}`,
    `a time within ${iso(firstUs)} to ${iso(lastUs)}, which was recorded`,
  );
}

async function offsetsOf(
  recording: Recording,
  spec: BacktestSpec,
  clocks: Map<string, readonly number[]>,
): Promise<readonly number[]> {
  if (spec.latency.feed !== "measured") return recording.feeds.map(() => Number.NaN);
  const key = spec.recordings.join("\n");
  const known = clocks.get(key);
  if (known !== undefined) return known;
  const measured = await measureClocks(recording, spec);
  clocks.set(key, measured);
  return measured;
}
