import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDeskPass } from "../../src/bench/desk-pass.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { loadConfig } from "../../src/config.ts";
import { ringMemory } from "../../src/core/ring.ts";
import { type Desk, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { SeenBook } from "../../src/gateway/seen-book.ts";
import type { DeskTap } from "../../src/gateway/tap.ts";
import { HEADS } from "../../src/inference/card.ts";
import { CpuEngine } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { floats, writeOnnx } from "../../src/inference/onnx/writer.ts";
import { ChallengeLine } from "../../src/learn/challenge/line.ts";
import { DEFAULT_CHALLENGE_POLICY, judge } from "../../src/learn/challenge/policy.ts";
import { type DriftChange, watchedOf } from "../../src/learn/drift/monitor.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../../src/learn/drift/parameters.ts";
import { OBSERVED } from "../../src/learn/outcomes/observation.ts";
import { ObservationReader, ObservationWriter } from "../../src/learn/outcomes/observation-ring.ts";
import { linearGraph, writeLinearModel } from "../../src/learn/train/linear-export.ts";
import { ChallengeTap } from "../../src/live/challenge-tap.ts";
import { LiveWatch } from "../../src/live/watch.ts";
import { SIDE } from "../../src/market/event-batch.ts";
import { skipUnlessNative } from "../support/native.ts";

const noEngine = await skipUnlessNative("a desk whose model answers in the same turn");
const folder = mkdtempSync(join(tmpdir(), "keel-watch-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const capture = join(folder, "simulated.txt");
const model = await loadModel("lstm-residual-int8", { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
const config = loadConfig({});

const NOTHING: DeskTap = {
  onPrediction: () => {},
  onQuotes: () => {},
  onCancelAll: () => {},
  onTimer: () => {},
  close: () => {},
};

describe.skipIf(noEngine)("a desk that is followed", () => {
  let engine: CpuEngine;
  beforeAll(async () => {
    writeFileSync(capture, simulatedCapture(1, 20));
    engine = await CpuEngine.start(model, UNDERLYING_CAPACITY, UNDERLYING_CAPACITY);
  });
  afterAll(() => engine.dispose());

  async function pass(
    makeTap: (desk: Desk) => DeskTap,
    ready: () => Promise<void> = async () => {},
    onTurn: (desk: Desk, timeUs: number) => void = () => {},
  ): Promise<string> {
    for (let slot = 0; slot < engine.slotCount; slot += 1) engine.resetSlot(slot);
    const { checksum } = await runDeskPass({
      ...{ path: capture, seed: 1, engine, config, timer: noTimer, makeTap, ready },
      onFrame: (desk, feed, text, timeUs) => {
        desk.onFrame(feed, text, timeUs);
        onTurn(desk, timeUs);
      },
    });
    return checksum;
  }

  test("shows predictions, features and events when the quotes have left, in that order", async () => {
    let turn: string[] = [];
    const turns = new Set<string>();
    const said = (what: string) => () => {
      if (turn.at(-1) !== what) turn.push(what);
    };
    await pass(
      () => ({
        ...NOTHING,
        onPrediction: (_u, _p, _o, _h, status) => {
          if (status === 0) said("prediction")();
        },
        onFeatures: said("features"),
        onEvents: said("events"),
        onQuotes: said("quotes"),
      }),
      undefined,
      () => {
        turns.add(turn.join(" "));
        turn = [];
      },
    );
    expect([...turns]).toContain("quotes prediction features events");
    for (const order of turns) expect(order).not.toMatch(/(prediction|features|events).* quotes/);
  });

  test("tells each prediction with the book that it was made from", async () => {
    const prices = new Int32Array(10);
    const sizes = new Float64Array(10);
    let told = 0;
    await pass(({ market }) => ({
      ...NOTHING,
      onPrediction: (underlying, _p, _o, _h, status, _timeUs, seen: SeenBook) => {
        const book = market.books[market.underlyings.reference[underlying]];
        if (status !== 0 || book === undefined) return;
        told += 1;
        expect(seen.midTicks).toBe((book.bestBidTicks + book.bestAskTicks) / 2);
        for (const side of [SIDE.bid, SIDE.ask]) {
          const levels = book.top(side, 10, prices, sizes);
          expect(seen.depth(side)).toBe(sizes.subarray(0, levels).reduce((sum, size) => sum + size, 0));
        }
      },
    }));
    expect(told).toBeGreaterThan(500);
  });

  test("is not held up by a challenger that is a thousand times too slow, which is shed and refused", async () => {
    const alone = await pass(() => NOTHING);
    const problems: string[] = [];
    const line = new ChallengeLine({
      quote: config.quote,
      policy: DEFAULT_CHALLENGE_POLICY,
      files: null,
      onRefused: (version, why) => problems.push(`${version}: ${why}`),
      onProblem: (problem) => problems.push(problem),
      ringBytes: 65_536,
    });
    const own = { card: await Bun.file("models/lstm-residual-int8/card.json").text(), onnx: model.onnx };
    line.add({ version: "champion", ...own });
    line.add({ version: "slow", ...slowModel() });
    line.compareWith("champion");
    let frames = 0;
    const beside = await pass(
      ({ market }) => new ChallengeTap(market, line, FEATURE_COUNT, () => {}),
      async () => {
        while (line.report === null && problems.length === 0) await Bun.sleep(10);
      },
      () => {
        frames += 1;
      },
    );
    // The desk went on at its own pace: what did not fit the ring was left out and counted.
    expect(line.dropped).toBeGreaterThan(frames / 10);
    line.close();
    await line.ended();
    expect(problems).toEqual([]);
    expect(beside).toBe(alone);
    const found = line.report?.models.slow;
    if (found === undefined) throw new Error("a report of the slow one");
    expect(found.events).toBeLessThan(frames);
    expect(judge("shadow", found, DEFAULT_CHALLENGE_POLICY)).toMatchObject({
      verdict: "reject",
      reason: "too-slow",
    });
  }, 120_000);

  test("finds drift on another thread, and trusts nothing when that thread is gone", async () => {
    const changes: DriftChange[] = [];
    const problems: string[] = [];
    const watching = { market: { underlyings: { size: 2, base: (at: number) => `coin ${at}` } } };
    const watch = new LiveWatch(watching as unknown as Desk, {
      watch: {
        card: watchedOf(model.card),
        underlyings: UNDERLYING_CAPACITY,
        drift: { ...DEFAULT_DRIFT_PARAMETERS, windowSeconds: 4, lookSeconds: 1, rowsMin: 50 },
        recalibrates: null,
      },
      findings: { drift: (change) => changes.push(change), retrain: () => {}, calibration: () => {} },
      onProblem: (problem) => problems.push(problem),
    });
    // Features that stand still, as of a feed that has died upstream.
    const still = new Float32Array(FEATURE_COUNT);
    const seen = { exists: true, midTicks: 100, depth: () => 10 } as unknown as SeenBook;
    const said = new Float32Array(HEADS.length).fill(0.1);
    for (let ms = 0; ms < 10_000; ms += 10) {
      watch.onPrediction(0, said, 0, HEADS.length, 0, ms * 1_000, seen);
      watch.onFeatures(0, still, 0, ms * 1_000);
      watch.onTimer(ms * 1_000);
    }
    while (changes.at(-1)?.stage !== "defensive") await Bun.sleep(5);
    expect(changes.at(-1)?.causes).toContain("missing");
    while (watch.line.report === null) await Bun.sleep(5);
    expect(watch.line.report.drift[0]).toMatchObject({ underlying: 0 });
    changes.length = 0;
    // A text that no card is ends the thread, as a defect of its own would.
    watch.line.sink.describe(OBSERVED.model, 0, 11e6, "no card");
    while (watch.line.failure === null) await Bun.sleep(5);
    watch.onTimer(12e6);
    watch.onTimer(12.01e6);
    expect(problems).toHaveLength(1);
    expect(changes).toEqual(
      [0, 1].map((underlying) => ({ underlying, stage: "defensive", share: 1, causes: ["unwatched"] })),
    );
    watch.close();
    await watch.ended();
  }, 120_000);
});

test("who reads a ring is told of what did not fit, before what comes after it", () => {
  const memory = ringMemory(1_024);
  const writer = new ObservationWriter(memory);
  const reader = new ObservationReader(memory);
  const read: (readonly [kind: number, first: number])[] = [];
  const sink = {
    observe: (kind: number, _subject: number, _timeUs: number, values: Float64Array) =>
      void read.push([kind, values[0]]),
    describe: () => {},
  };
  const values = Float64Array.of(1, 2, 3, 4);
  for (let at = 0; at < 40; at += 1) writer.observe(OBSERVED.trade, 0, at, values, 4);
  const { dropped } = writer;
  expect(dropped).toBeGreaterThan(10);
  reader.drain(sink, 1_000);
  writer.observe(OBSERVED.trade, 0, 50, values, 4);
  writer.observeSingles(OBSERVED.features, 0, 51, Float32Array.of(9, 0.5), 1, 1);
  reader.drain(sink, 1_000);
  expect(read.slice(-3)).toEqual([
    [OBSERVED.lost, dropped],
    [OBSERVED.trade, 1],
    [OBSERVED.features, 0.5],
  ]);
});

/** A logistic regression with layers that add nothing but time: some milliseconds a step. */
function slowModel(): { card: string; onnx: Uint8Array<ArrayBuffer> } {
  const linear = {
    weights: new Float64Array(FEATURE_COUNT * HEADS.length),
    bias: new Float64Array(HEADS.length).fill(-2),
    baseRates: new Float64Array(HEADS.length).fill(0.1),
    meanMoveBp: new Float64Array(HEADS.length).fill(1),
  };
  const out = join(folder, "slow");
  const training = {
    command: "",
    seed: 1,
    dataDigest: "0".repeat(64),
    captures: [],
    rows: { train: 0, validate: 0, test: 0 },
  };
  writeLinearModel(out, linear, { name: "slow", version: "1", description: "", training });
  const width = 2_048;
  const graph = linearGraph(linear);
  const wide = ["wide1", "wide2", "wide3"];
  const onnx = writeOnnx({
    ...graph,
    nodes: [
      ...graph.nodes.filter(({ outputs }) => outputs[0] !== "logits" && outputs[0] !== "probabilities"),
      ...wide.map((name, at) => ({
        operator: "Gemm" as const,
        inputs: [at === 0 ? "unit" : wide[at - 1], at === 0 ? "w0" : "w1", "b0"],
        outputs: [name],
      })),
      { operator: "Gemm", inputs: ["wide3", "w2", "b2"], outputs: ["extra"] },
      { operator: "Gemm", inputs: ["unit", "weight", "bias"], outputs: ["plain"] },
      { operator: "Add", inputs: ["plain", "extra"], outputs: ["logits"] },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
    initializers: [
      ...graph.initializers,
      floats("w0", [FEATURE_COUNT, width], new Float32Array(FEATURE_COUNT * width)),
      floats("w1", [width, width], new Float32Array(width * width)),
      floats("b0", [width], new Float32Array(width)),
      floats("w2", [width, HEADS.length], new Float32Array(width * HEADS.length)),
      floats("b2", [HEADS.length], new Float32Array(HEADS.length)),
    ],
  });
  const card = JSON.parse(readFileSync(join(out, "card.json"), "utf8")) as object;
  const onnxSha256 = new Bun.CryptoHasher("sha256").update(onnx).digest("hex");
  return { card: JSON.stringify({ ...card, onnxSha256 }), onnx: new Uint8Array(onnx) };
}
