import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config.ts";
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { noTimer } from "../desk/latency.ts";
import type { DeskTap } from "../gateway/tap.ts";
import { locateModel, readCardFile } from "../inference/model.ts";
import { nameOf } from "../inference/step-model.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import { runDeskPass } from "./desk-pass.ts";
import { startBenchEngine } from "./engine.ts";
import { benchInput } from "./input.ts";
import { LoopFollowers, type LoopSteps } from "./loop-steps.ts";
import { type BenchRatio, type BenchReport, benchHost, rowOf } from "./report.ts";

export interface LoopBenchOptions {
  readonly capture: string | undefined;
  readonly seed: number;
  /** Passes of each kind that are measured, after one of each that is not. */
  readonly rounds: number;
  /** Frames a second that are handed in; left out = 25,000. */
  readonly pace?: number;
  readonly log: (line: string) => void;
}

/** Followers have their timer this often, as live. */
const TIMER_US = 10_000;
/** Above what the busiest captures here have in a second, and below what one core takes. */
const PACE = 25_000;
/** Frames of a block; so many at its beginning are not measured, in which the steps' threads end what the block before gave them. */
const BLOCK = 1_200;
const SETTLE = 400;

const KINDS: readonly (readonly [name: string, steps: LoopSteps])[] = [
  ["outcomes", { outcomes: true }],
  ["drift", { drift: true }],
  ["recalibration", { recalibration: true }],
  ["challenger", { challengers: 1 }],
  ["challengers", { challengers: 2 }],
  ["all", { outcomes: true, drift: true, recalibration: true, challengers: 2 }],
];
const MEASURED = ["line", "sent", "loop"] as const;
type What = (typeof MEASURED)[number];
type Found = Readonly<Record<What, Histogram>>;
const newFound = (): Found => ({ line: new Histogram(), sent: new Histogram(), loop: new Histogram() });

/** A pass in which the steps are on in every other block. */
interface Measured {
  readonly on: Found;
  readonly off: Found;
  /** 99th percentile of a block with the steps over that of the one without beside it. */
  readonly ratios: Readonly<Record<What, number[]>>;
  readonly timer: Histogram;
  readonly checksum: string;
  readonly dropped: number;
}

/**
 * What the learning loop costs, with each of its steps and with all of them. `line`: a frame in memory until what it called for has
 * left; `sent`: the same, of frames that moved quotes, until these are encoded; `loop`: until the desk's thread is ready for the next
 * frame, with what the steps take when the quotes have left. Frames come at a fixed pace above a live one's, so that the steps' own
 * threads are at work meanwhile. Steps are on and off in blocks of a few hundredths of a second that take turns, within one pass and the
 * other way round in the next; the ratio is the median over pairs of blocks, so that what else the host does decides as little
 * as can be. Of `sent` a block has too few: there it is the median over passes. What the desk decides must not differ.
 */
export async function runLoopBench(options: LoopBenchOptions): Promise<BenchReport> {
  const input = benchInput(options.capture, options.seed);
  const folder = mkdtempSync(join(tmpdir(), "keel-bench-loop-"));
  const config = loadConfig({});
  const { engine, model } = await startBenchEngine({
    device: "cpu",
    config,
    slots: UNDERLYING_CAPACITY,
    log: options.log,
  });
  const { cardPath } = await locateModel(nameOf(model));
  const files = { card: await readCardFile(model.card.name, cardPath), onnx: model.onnx };
  const pace = options.pace ?? PACE;
  const setup = { config, model, files, folder };
  const pass = async (steps: LoopSteps, onFirst: boolean): Promise<Measured> => {
    for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
    const blocks = new Blocks(onFirst);
    const timer = new Histogram();
    let followers: LoopFollowers | null = null;
    let taps: SwitchedTaps | null = null;
    let timerUs = Number.NaN;
    let dueNs = 0;
    let before = 0;
    let answered = false;
    const { checksum } = await runDeskPass({
      ...{ path: input.path, seed: options.seed, config, timer: noTimer },
      // Where there are challengers a desk keeps the history that a model which is exchanged is warmed with.
      engine: (steps.challengers ?? 0) > 0 ? new SwitchedEngine(engine) : engine,
      onFrame: (desk, feed, text, timeUs) => {
        blocks.next();
        if (taps !== null) taps.isOn = blocks.isOn;
        do before = Bun.nanoseconds();
        while (before < dueNs);
        dueNs = before + 1e9 / pace;
        answered = false;
        desk.onFrame(feed, text, timeUs);
        blocks.record("loop", Bun.nanoseconds() - before);
        if (timeUs - timerUs < TIMER_US) return;
        timerUs = timeUs;
        const started = Bun.nanoseconds();
        taps?.onTimer(timeUs);
        if (blocks.isOn) timer.record(Bun.nanoseconds() - started);
      },
      onEncoded: () => blocks.record("sent", Bun.nanoseconds() - before),
      onAnswered: () => {
        if (!answered) blocks.record("line", Bun.nanoseconds() - before);
        answered = true;
      },
      makeTap: (desk) => {
        followers = new LoopFollowers(desk, { steps, ...setup });
        taps = new SwitchedTaps(followers.taps);
        return taps;
      },
      ready: async () => followers?.ready(),
    });
    blocks.end();
    const dropped = (await (followers as LoopFollowers | null)?.end()) ?? 0;
    return { on: blocks.on, off: blocks.off, ratios: blocks.ratios, timer, checksum, dropped };
  };
  try {
    const kinds = KINDS.map(() => ({
      on: newFound(),
      ratios: { line: [], sent: [], loop: [] } as Blocks["ratios"],
    }));
    const off = newFound();
    const timer = new Histogram();
    const checksums = new Set<string>();
    let dropped = 0;
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const [at, [name, steps]] of KINDS.entries()) {
        const found = await pass(steps, (round + at) % 2 === 0);
        checksums.add(found.checksum);
        if (round === 0) continue;
        dropped += found.dropped;
        for (const what of MEASURED) {
          kinds[at].on[what].merge(found.on[what]);
          off[what].merge(found.off[what]);
          kinds[at].ratios[what].push(...found.ratios[what]);
        }
        kinds[at].ratios.sent.push(found.on.sent.quantile(0.99) / found.off.sent.quantile(0.99));
        if (name === "all") timer.merge(found.timer);
      }
    }
    invariant(checksums.size === 1, "the learning loop changes nothing of what the desk decides");
    const told: string[] = [];
    const ratios: BenchRatio[] = [];
    for (const what of MEASURED) {
      for (const [at, [name]] of KINDS.entries()) {
        const sorted = kinds[at].ratios[what].filter(Number.isFinite).sort((a, b) => a - b);
        const quartile = (part: number): number =>
          sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
        ratios.push({ name: `${what}/${name}:off/p99`, value: Math.round(quartile(0.5) * 1_000) / 1_000 });
        const between = `${quartile(0.25).toFixed(3)} … ${quartile(0.75).toFixed(3)}`;
        told.push(
          `${what}/${name}: p99 × ${quartile(0.5).toFixed(3)} (quartiles ${between}, ${sorted.length} pairs)`,
        );
      }
    }
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
        ...told,
        `ratios: median over pairs of blocks next to each other, with and without; of sent over passes; rows: everything together`,
        `${pace} frames a second are handed in`,
        "challenger, challengers: one and two models in the shadow, each as large as the champion, beside the champion's twin",
        "loop/timer: what all of them do every 10 ms between frames, on the desk's thread",
        `${dropped} observations did not fit a ring`,
      ],
    };
  } finally {
    await engine.dispose();
    input.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Blocks of frames that take turns, and what was measured in them. */
class Blocks {
  readonly on = newFound();
  readonly off = newFound();
  readonly ratios: Readonly<Record<What, number[]>> = { line: [], sent: [], loop: [] };
  readonly #isOnFirst: boolean;
  /** Of the present pair of blocks. */
  readonly #pair: readonly [Found, Found] = [newFound(), newFound()];
  #frame = -1;

  constructor(isOnFirst: boolean) {
    this.#isOnFirst = isOnFirst;
  }

  /** A frame follows. */
  next(): void {
    this.#frame += 1;
    if (this.#frame % (2 * BLOCK) === 0) this.end();
  }

  record(what: What, tookNs: number): void {
    if (this.#frame % BLOCK >= SETTLE) this.#pair[this.isOn ? 1 : 0][what].record(tookNs);
  }

  /** The present pair has ended. */
  end(): void {
    const [off, on] = this.#pair;
    for (const what of MEASURED) {
      this.off[what].merge(off[what]);
      this.on[what].merge(on[what]);
      if (what !== "sent" && on[what].count > 100 && off[what].count > 100) {
        this.ratios[what].push(on[what].quantile(0.99) / off[what].quantile(0.99));
      }
      off[what].reset();
      on[what].reset();
    }
  }

  get isOn(): boolean {
    return (Math.floor(this.#frame / BLOCK) % 2 === 0) === this.#isOnFirst;
  }
}

/** Several as one, who look on or do not. */
class SwitchedTaps implements DeskTap {
  isOn = false;
  readonly #all: readonly DeskTap[];

  constructor(all: readonly DeskTap[]) {
    this.#all = all;
  }

  onPrediction(...shown: Parameters<DeskTap["onPrediction"]>): void {
    if (!this.isOn) return;
    for (const one of this.#all) one.onPrediction(...shown);
  }

  onQuotes(...shown: Parameters<DeskTap["onQuotes"]>): void {
    if (!this.isOn) return;
    for (const one of this.#all) one.onQuotes(...shown);
  }

  onEvents(...shown: Parameters<NonNullable<DeskTap["onEvents"]>>): void {
    if (!this.isOn) return;
    for (const one of this.#all) one.onEvents?.(...shown);
  }

  onFeatures(...shown: Parameters<NonNullable<DeskTap["onFeatures"]>>): void {
    if (!this.isOn) return;
    for (const one of this.#all) one.onFeatures?.(...shown);
  }

  onModel(...shown: Parameters<NonNullable<DeskTap["onModel"]>>): void {
    for (const one of this.#all) one.onModel?.(...shown);
  }

  onCancelAll(timeUs: number): void {
    for (const one of this.#all) one.onCancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    if (!this.isOn) return;
    for (const one of this.#all) one.onTimer(timeUs);
  }

  close(): void {
    for (const one of this.#all) one.close();
  }
}
