import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config.ts";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import { JoinedTaps } from "../gateway/joined-taps.ts";
import type { StepEngine } from "../inference/engine.ts";
import { locateModel, readCardFile } from "../inference/model.ts";
import { nameOf } from "../inference/step-model.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import { Alternation } from "./alternation.ts";
import { runDeskPass } from "./desk-pass.ts";
import { startBenchEngine } from "./engine.ts";
import { type BenchInput, benchInput } from "./input.ts";
import { LoopFollowers, type LoopSteps, type LoopStepsOptions } from "./loop-steps.ts";
import { PairedTail } from "./paired-tail.ts";
import { type BenchRatio, type BenchReport, benchHost, rowOf } from "./report.ts";

export interface LoopBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes of each kind that are measured. */
  readonly rounds: number;
  /** Frames a second that are handed in; left out = 25,000. */
  readonly pace?: number;
  readonly log: (line: string) => void;
}

/** Followers have their timer this often, as live. */
const TIMER_US = 10_000;
/** Above what the busiest captures here have in a second, and below what one core takes. */
const PACE = 25_000;
/** Frames of a block; so many at its beginning are not measured, in which the other desk's threads end what its block gave them. */
const BLOCK = 2_500;
const SETTLE = 500;
/** Part of a pass that is not measured: the code of the steps' threads is still being compiled. */
const WARM_UP_SHARE = 0.2;

/** `nothing` is a desk like the one beside it: what its ratio is off 1 is the method's error. */
const KINDS: readonly (readonly [name: string, steps: LoopSteps])[] = [
  ["nothing", {}],
  ["outcomes", { outcomes: true }],
  ["drift", { drift: true }],
  ["recalibration", { recalibration: true }],
  ["challenger", { challengers: 1 }],
  ["challengers", { challengers: 2 }],
  ["all", { outcomes: true, drift: true, recalibration: true, challengers: 2 }],
];
const ALL = KINDS.length - 1;
const MEASURED = ["line", "sent", "loop"] as const;
type What = (typeof MEASURED)[number];
type Found = Readonly<Record<What, Histogram>>;
const newFound = (): Found => ({ line: new Histogram(), sent: new Histogram(), loop: new Histogram() });

/** What was measured of a desk with steps, and of the one without them beside it. */
interface Kind {
  readonly on: Found;
  readonly off: Found;
  readonly tails: Readonly<Record<What, PairedTail>>;
}
const newKind = (): Kind => ({
  ...{ on: newFound(), off: newFound() },
  tails: { line: new PairedTail(), sent: new PairedTail(), loop: new PairedTail() },
});

/**
 * What the learning loop costs, with each of its steps and with all of them. `line`: a frame in memory until what it called for has
 * left; `sent`: the same, of frames that moved quotes, until these are encoded; `loop`: until the desk's thread is ready for the next
 * frame, with what the steps take when the quotes have left.
 *
 * Two desks, one with the steps and one without, take the same frames in blocks of a tenth of a second, one desk after the other and in turn
 * the other way round, at a fixed pace above a live one's, so that the steps' own threads are at work meanwhile. The ratio is that of
 * the 99th percentiles of all times; its interval is by drawing passes, and pairs of blocks of them. What the desks decide must not differ.
 */
export async function runLoopBench(options: LoopBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  const folder = mkdtempSync(join(tmpdir(), "keel-bench-loop-"));
  const config = loadConfig({});
  const start = { device: "cpu", config, slots: UNDERLYING_CAPACITY, log: options.log } as const;
  const { engine, model } = await startBenchEngine(start);
  const { engine: beside } = await startBenchEngine({ ...start, log: () => {} });
  try {
    const { cardPath } = await locateModel(nameOf(model));
    const files = { card: await readCardFile(model.card.name, cardPath), onnx: model.onnx };
    const bed: Bed = {
      ...{ options, input, timer: new Histogram(), checksums: new Set() },
      engines: [beside, engine],
      setup: { config, model, files, folder },
    };
    const kinds = KINDS.map(newKind);
    const { frames } = await pass(bed, KINDS[ALL][1], newKind(), { first: 0, run: 0, from: 0 });
    bed.timer.reset();
    const from = Math.floor((frames / BLOCK) * WARM_UP_SHARE);
    let dropped = 0;
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [at, [, steps]] of KINDS.entries()) {
        const first = (round + at) % 2 === 0 ? 0 : 1;
        dropped += (await pass(bed, steps, kinds[at], { first, run: round, from })).dropped;
      }
    }
    invariant(bed.checksums.size === 1, "the learning loop changes nothing of what the desk decides");
    return report(bed, kinds, dropped);
  } finally {
    await engine.dispose();
    await beside.dispose();
    input.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What passes have in common, and find out together. */
interface Bed {
  readonly options: LoopBenchOptions;
  readonly input: BenchInput;
  /** Of the desk without steps, and of the one with. */
  readonly engines: readonly [StepEngine, StepEngine];
  readonly setup: Omit<LoopStepsOptions, "steps">;
  /** What the steps do every 10 ms. */
  readonly timer: Histogram;
  readonly checksums: Set<string>;
}

interface PassOrder {
  /** Who has the first block: 0 the desk without steps, 1 the one with. */
  readonly first: 0 | 1;
  readonly run: number;
  /** Blocks at the beginning that are not measured. */
  readonly from: number;
}

/** Both desks play the capture, block by block in turn. @returns frames of it, and observations that did not fit a ring */
async function pass(
  bed: Bed,
  steps: LoopSteps,
  kind: Kind,
  order: PassOrder,
): Promise<{ frames: number; dropped: number }> {
  const turns = new Alternation(order.first);
  const followers: LoopFollowers[] = [];
  const [frames] = await Promise.all([
    play(bed, null, kind, order, { turns, followers: [] }),
    play(bed, steps, kind, order, { turns, followers }),
  ]);
  let dropped = 0;
  for (const one of followers) dropped += await one.end();
  return { frames, dropped };
}

/**
 * A desk plays the capture.
 *
 * @param steps null: it is the one beside
 * @param followers takes who follows it, to be ended when both desks have
 * @returns frames of the capture
 */
async function play(
  { options, input, engines, setup, timer, checksums }: Bed,
  steps: LoopSteps | null,
  { on, off, tails }: Kind,
  { run, from }: PassOrder,
  { turns, followers }: { readonly turns: Alternation; readonly followers: LoopFollowers[] },
): Promise<number> {
  const isOn = steps !== null;
  const who = isOn ? 1 : 0;
  const engine = engines[who];
  for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
  const found = isOn ? on : off;
  const gapNs = 1e9 / (options.pace ?? PACE);
  let frames = 0;
  let blocks = 0;
  let begunNs = 0;
  let dueNs = 0;
  let timerUs = Number.NaN;
  let answered = false;
  const record = (what: What): void => {
    const tookNs = Bun.nanoseconds() - begunNs;
    if (blocks < from || frames - blocks * BLOCK <= SETTLE) return;
    found[what].record(tookNs);
    tails[what].record(run, blocks, isOn, tookNs);
  };
  const { checksum } = await runDeskPass({
    ...{ path: input.path, seed: options.seed, config: setup.config, timer: noTimer },
    // Where there are challengers a desk keeps the history that a model which is exchanged is warmed with.
    engine: (steps?.challengers ?? 0) > 0 ? new SwitchedEngine(engine) : engine,
    ...(isOn && Object.keys(steps).length > 0
      ? {
          makeTap: (desk) => {
            const made = new LoopFollowers(desk, { steps, ...setup });
            followers.push(made);
            return new JoinedTaps(made.taps);
          },
        }
      : {}),
    ready: async () => {
      for (const one of followers) await one.ready();
      await turns.begin(who);
    },
    between: () => {
      if (frames < (blocks + 1) * BLOCK) return null;
      blocks += 1;
      return turns.next(who);
    },
    onFrame: (desk, feed, text, timeUs) => {
      frames += 1;
      answered = false;
      do begunNs = Bun.nanoseconds();
      while (begunNs < dueNs);
      dueNs = begunNs + gapNs;
      desk.onFrame(feed, text, timeUs);
      record("loop");
      if (followers.length === 0 || timeUs - timerUs < TIMER_US) return;
      timerUs = timeUs;
      const startedNs = Bun.nanoseconds();
      for (const one of followers) for (const tap of one.taps) tap.onTimer(timeUs);
      timer.record(Bun.nanoseconds() - startedNs);
    },
    onEncoded: () => record("sent"),
    onAnswered: () => {
      if (!answered) record("line");
      answered = true;
    },
  });
  turns.end(who);
  checksums.add(checksum);
  return frames;
}

function report(
  { options, input, timer, checksums }: Bed,
  kinds: readonly Kind[],
  dropped: number,
): BenchReport {
  const off = newFound();
  for (const what of MEASURED) for (const kind of kinds) off[what].merge(kind.off[what]);
  const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
  const ratios: BenchRatio[] = [];
  for (const what of MEASURED) {
    for (const [at, [name]] of KINDS.entries()) {
      const { value, low, high } = kinds[at].tails[what].ratio(0.99, options.seed);
      ratios.push({
        name: `${what}/${name}:off/p99`,
        ...{ value: rounded(value), low: rounded(low), high: rounded(high) },
      });
    }
  }
  const besideUs = (kind: Kind): string => (kind.off.line.quantile(0.99) / 1_000).toFixed(1);
  return {
    bench: "loop",
    host: benchHost(),
    seed: options.seed,
    checksum: [...checksums].join(),
    input: input.name,
    rows: [
      ...MEASURED.flatMap((what) => [
        rowOf(`${what}/off`, off[what], "us"),
        ...KINDS.map(([name], at) => rowOf(`${what}/${name}`, kinds[at].on[what], "us")),
      ]),
      rowOf("loop/timer", timer, "us"),
    ],
    ratios,
    notes: [
      "ratios: over all times of both desks, which take the same frames block by block in turn; with the interval by drawing passes and pairs of blocks",
      "nothing: two desks alike, for the error of the method",
      `the desk beside, whose p99 is the divisor, is at ${besideUs(kinds[0])} µs beside nothing and at ${besideUs(kinds[ALL])} µs beside all`,
      `${options.pace ?? PACE} frames a second are handed in`,
      "challenger, challengers: one and two models in the shadow, each as large as the champion, beside the champion's twin",
      "loop/timer: what all of them do every 10 ms between frames, on the desk's thread",
      `${dropped} observations did not fit a ring`,
    ],
  };
}
