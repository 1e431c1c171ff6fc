import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config.ts";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { loadNative } from "../core/native.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { Calibration } from "../inference/calibration.ts";
import { loadModels } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import type { StepModel } from "../inference/step-model.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../learn/drift/parameters.ts";
import { Recalibrator } from "../learn/recalibration.ts";
import { DriftTap } from "../live/drift.ts";
import { LiveOutcomes } from "../live/outcomes.ts";
import { RecalibrationTap } from "../live/recalibration.ts";
import { runDeskPass } from "./desk-pass.ts";
import { benchInput } from "./input.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";

export interface LoopBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes of each kind that are measured, after one of each that is not. */
  readonly rounds: number;
  readonly log: (line: string) => void;
}

/** Followers have their timer this often, as live. */
const TIMER_US = 10_000;

const STEPS = ["outcomes", "drift", "recalibration"] as const;
type Step = (typeof STEPS)[number];
const KINDS: readonly (readonly [name: string, steps: readonly Step[]])[] = [
  ["off", []],
  ...STEPS.map((step) => [step, [step]] as const),
  ["all", STEPS],
];

/**
 * What the learning loop costs, with none of its steps, with each, and with all of them: the line itself (`line`, a frame in memory until
 * its quotes are encoded, of frames that moved quotes), and the thread (`loop`, until the desk is ready for the next frame, with what the
 * steps take when the quotes have left). Passes of all kinds take turns over the same capture, so that each frame is timed under each; what
 * the desk decides must not differ. What the steps do on their timer stands beside, since a frame that comes just then waits for it.
 */
export async function runLoopBench(options: LoopBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  const folder = mkdtempSync(join(tmpdir(), "keel-bench-loop-"));
  const config = loadConfig({});
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const [preferred, ...standIns] = await loadModels(config.model, schema);
  await loadNative();
  const { engine, model } = await startEngine({
    device: "cpu",
    settings: config.engines,
    model: preferred,
    standIns,
    slotCount: UNDERLYING_CAPACITY,
    maxBatch: UNDERLYING_CAPACITY,
    log: options.log,
  });
  try {
    const frames = KINDS.map(() => new Histogram());
    const lines = KINDS.map(() => new Histogram());
    const timer = new Histogram();
    const rounds = KINDS.map((): number[] => []);
    const checksums = new Set<string>();
    let dropped = 0;
    for (let round = 0; round <= options.rounds; round += 1) {
      if (round === 1) timer.reset();
      for (let turn = 0; turn < KINDS.length; turn += 1) {
        // Who goes first changes from round to round.
        const at = (turn + round) % KINDS.length;
        const [, steps] = KINDS[at] ?? KINDS[0];
        if (round === 1) {
          frames[at].reset();
          lines[at].reset();
        }
        for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
        const followers: DeskTap[] = [];
        const recorders: LiveOutcomes[] = [];
        const own = new Histogram();
        let timerUs = Number.NaN;
        let before = 0;
        const { checksum } = await runDeskPass({
          ...{ path: input.path, seed: options.seed, engine, config, timer: noTimer },
          onFrame: (desk, feed, text, timeUs) => {
            before = Bun.nanoseconds();
            desk.onFrame(feed, text, timeUs);
            const tookNs = Bun.nanoseconds() - before;
            own.record(tookNs);
            frames[at].record(tookNs);
            if (timeUs - timerUs < TIMER_US) return;
            timerUs = timeUs;
            const started = Bun.nanoseconds();
            for (const follower of followers) follower.onTimer(timeUs);
            if (steps.length === STEPS.length) timer.record(Bun.nanoseconds() - started);
          },
          onEncoded: () => lines[at].record(Bun.nanoseconds() - before),
          makeTap: (desk) => {
            for (const step of steps)
              followers.push(followerOf(step, desk, model, mkdtempSync(join(folder, "pass-"))));
            for (const follower of followers) if (follower instanceof LiveOutcomes) recorders.push(follower);
            return new Followers(followers);
          },
        });
        checksums.add(checksum);
        if (round > 0) rounds[at].push(own.quantile(0.99));
        for (const follower of followers) follower.close();
        for (const recorder of recorders) {
          await recorder.ended();
          dropped += recorder.recorder.dropped;
        }
      }
    }
    invariant(checksums.size === 1, "the learning loop changes nothing of what the desk decides");
    const rows = KINDS.map(([name], at) => rowOf(`loop/${name}`, frames[at], "us"));
    const lineRows = KINDS.map(([name], at) => rowOf(`line/${name}`, lines[at], "us"));
    const against = (of: readonly BenchRow[]) =>
      of
        .slice(1)
        .flatMap((row) => [
          ratioOf(`${row.name}:off`, row, of[0]),
          ratioOf(`${row.name}:off/p99`, row, of[0]),
        ]);
    const told = KINDS.slice(1).map(([name], at) => {
      const ratios = rounds[at + 1].map((p99, round) => p99 / rounds[0][round]).sort((a, b) => a - b);
      const middle = ratios[Math.floor(ratios.length / 2)];
      const shown = [ratios[0], middle, ratios.at(-1) ?? middle].map((ratio) => ratio.toFixed(3));
      return `loop/${name}: p99 × ${shown[1]} of loop/off's in the middle round (${shown[0]} … ${shown[2]})`;
    });
    return {
      bench: "loop",
      host: benchHost(),
      seed: options.seed,
      checksum: [...checksums].join(),
      input: input.name,
      rows: [...lineRows, ...rows, rowOf("loop/timer", timer, "us")],
      ratios: [...against(lineRows), ...against(rows)],
      notes: [
        ...told,
        "loop/timer: what all of them do every 10 ms between frames, on the desk's thread",
        `${dropped} observations did not fit the ring, which a full-speed pass fills faster than its thread empties it`,
      ],
    };
  } finally {
    await engine.dispose();
    input.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function followerOf(step: Step, desk: Desk, { card }: StepModel, folder: string): DeskTap {
  const heads = card.heads.map(({ name }) => name);
  switch (step) {
    case "outcomes": {
      const { instruments, books, underlyings } = desk.market;
      const files = { dir: folder, partBytes: 64 * 1024 * 1024, totalBytes: 256 * 1024 * 1024 };
      return new LiveOutcomes(files, { instruments, books, underlyings }, card, {
        wallUs: Date.now() * 1_000,
        onProblem: (problem) => {
          throw new Error(problem);
        },
      });
    }
    case "drift":
      return new DriftTap(desk, {
        card,
        underlyings: UNDERLYING_CAPACITY,
        parameters: DEFAULT_DRIFT_PARAMETERS,
        onChange: () => {},
        onRetrain: () => {},
      });
    case "recalibration": {
      // Its own parameters, and not the engine's: what is found is computed and put in force nowhere.
      const calibration = new Calibration(card.heads, UNDERLYING_CAPACITY);
      return new RecalibrationTap(
        desk,
        new Recalibrator({ heads, slotCount: UNDERLYING_CAPACITY, calibration, onChange: () => {} }),
      );
    }
  }
}

/** Several as one. */
class Followers implements DeskTap {
  readonly #all: readonly DeskTap[];

  constructor(all: readonly DeskTap[]) {
    this.#all = all;
  }

  onPrediction(...shown: Parameters<DeskTap["onPrediction"]>): void {
    for (const one of this.#all) one.onPrediction(...shown);
  }

  onQuotes(...shown: Parameters<DeskTap["onQuotes"]>): void {
    for (const one of this.#all) one.onQuotes(...shown);
  }

  onEvents(...shown: Parameters<NonNullable<DeskTap["onEvents"]>>): void {
    for (const one of this.#all) one.onEvents?.(...shown);
  }

  onFeatures(...shown: Parameters<NonNullable<DeskTap["onFeatures"]>>): void {
    for (const one of this.#all) one.onFeatures?.(...shown);
  }

  onCancelAll(timeUs: number): void {
    for (const one of this.#all) one.onCancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    for (const one of this.#all) one.onTimer(timeUs);
  }

  close(): void {
    for (const one of this.#all) one.close();
  }
}
