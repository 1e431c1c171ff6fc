import { afterAll, describe, expect, test } from "bun:test";
import { Desk, type DeskPort, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { ANY_GPU } from "../../src/gpu/adapter.ts";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { CalibratedEngine } from "../../src/inference/calibration.ts";
import type { CpuIsa } from "../../src/inference/cpu/native-step.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { FailingEngine } from "../../src/journal/lost-engine.ts";
import { type JournalRecord, RECORD, type RecordType } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { parseRunStart, type RunStart } from "../../src/journal/run-start.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { watchedOf } from "../../src/learn/drift/monitor.ts";
import type { RecalibrationMethod } from "../../src/learn/recalibration.ts";
import { ModelWatch } from "../../src/learn/watch/watch.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { WatchTap } from "../../src/live/watch-tap.ts";
import { DEFAULT_FEE_RATES } from "../../src/position/fees.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { MemoryMarket } from "../../src/sim/memory-market.ts";
import { SOFTWARE_GPU, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

/** In the middle of a run. */
const LOST_STEP = 400;
const START_US = 1_700_000_000_000_000;
const isas = await cpuIsas();
if (isas.length === 0) console.warn("replay on an instruction set not tested: no native library");

const RUN_MS = 6_000;
/** Informed flow every so often, so that there is something to requote. */
const EPISODE_MS = 500;
/** From the loss of an engine to its next start. */
const RESTART_MS = 700;

interface RunOptions {
  readonly lossAtStep?: number;
  readonly recalibrates?: RecalibrationMethod;
  /** From here on the model is trusted by half. */
  readonly driftAtMs?: number;
  readonly runMs?: number;
}

/** Some seconds of the simulated market through a desk on this instruction set, as a journal would hold it. */
async function recordRun(
  isa: CpuIsa,
  { lossAtStep, recalibrates, driftAtMs, runMs = RUN_MS }: RunOptions = {},
): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  const write = (type: RecordType, subject: number, timeUs: number, payload: string | Uint8Array): void => {
    records.push({
      sequence: records.length,
      type,
      subject,
      timeUs,
      payload: typeof payload === "string" ? Buffer.from(payload) : payload.slice(),
    });
  };
  const model = await loadModel(DEFAULT_MODEL, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  const calibrated = new CalibratedEngine(
    await CpuEngine.start(model, UNDERLYING_CAPACITY, UNDERLYING_CAPACITY, isa),
  );
  const engine = new FailingEngine(calibrated);
  engine.failAt(lossAtStep ?? null);
  let restoreMs = Number.NaN;
  const { name, onnxSha256, heads } = model.card;
  const start: RunStart = {
    keel: "0",
    schemaHash: SCHEMA_HASH,
    model: {
      name,
      source: DEFAULT_MODEL,
      onnxSha256,
      engine: "cpu",
      isa,
      adapter: null,
      synchronous: true,
      heads: heads.length,
    },
    feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
    signals: [],
    reference: "first",
    instrumentCapacity: 64,
    silenceMs: 2_000,
    seed: 1,
    quote: { ...DEFAULT_QUOTE_PARAMETERS },
    surface: null,
    risk: { ...DEFAULT_RISK_LIMITS },
    kill: NOT_TRIPPED,
    reducing: null,
    hedge: null,
    fees: { ...DEFAULT_FEE_RATES },
    opening: null,
    reconcile: null,
  };
  const market = new MemoryMarket(3, START_US);
  const port: DeskPort = {
    connect: (feed) => market.connect(feed),
    send: (feed, text) => market.send(feed, text),
    disconnect: () => market.disconnect(),
    request: (feed, request, path) => market.request(feed, request, path),
    submit: () => {},
    publish: () => {},
    killChanged: () => {},
    sendOrder: () => {},
    cancelOrder: () => {},
    askOrder: () => {},
    decidedRisk: () => {},
    predicted: (underlying, probabilities, offset, heads, status, timeUs, book) =>
      tap?.onPrediction(underlying, probabilities, offset, heads, status, timeUs, book),
    engineLost: (step, _error, timeUs) => {
      write(RECORD.engineLost, 0, timeUs, JSON.stringify({ step }));
      restoreMs = (timeUs - START_US) / 1_000 + RESTART_MS;
    },
    cancelAll: (timeUs) => write(RECORD.cancelAll, 0, timeUs, ""),
    decided: (underlying, timeUs, payload) => write(RECORD.quote, underlying, timeUs, payload),
  };
  const desk = new Desk({ ...start, engine, port, timer: noTimer });
  let nowUs = START_US;
  const watch = new ModelWatch(
    {
      card: watchedOf(engine.card),
      underlyings: UNDERLYING_CAPACITY,
      drift: null,
      recalibrates: recalibrates ?? null,
    },
    {
      drift: () => {},
      retrain: () => {},
      calibration: (slot, head, scaling) => {
        write(RECORD.calibration, slot, nowUs, JSON.stringify({ head, ...scaling }));
        calibrated.calibration.set(slot, head, scaling);
        tap?.onCalibration(slot, head, scaling);
      },
    },
  );
  const tap =
    recalibrates !== undefined ? new WatchTap(watch, watchedOf(engine.card), UNDERLYING_CAPACITY) : null;
  write(RECORD.start, 0, START_US, JSON.stringify(start));
  desk.start(START_US);
  write(RECORD.gateway, 0, START_US, JSON.stringify({ on: "up" }));
  desk.onSessionUp(START_US);
  for (let ms = 1; ms <= runMs; ms += 1) {
    const timeUs = START_US + ms * 1_000;
    market.advance(timeUs, {
      onFeedOpen: (feed, atUs) => {
        write(RECORD.feedOpen, feed, atUs, "");
        desk.onFeedOpen(feed, atUs);
      },
      onFrame: (feed, text, atUs) => {
        write(RECORD.feedFrame, feed, atUs, text);
        desk.onFrame(feed, text, atUs);
      },
      onFeedResponse: (feed, request, status, body, retryAfterMs, atUs) => {
        write(RECORD.feedResponse, feed, atUs, JSON.stringify({ request, status, retryAfterMs: null, body }));
        desk.onFeedResponse(feed, request, status, body, retryAfterMs, atUs);
      },
    });
    if (ms % EPISODE_MS === 0)
      market.market.scheduleToxicEpisode(timeUs + 1_000, ms % 1_000 === 0 ? "down" : "up");
    if (ms >= restoreMs) {
      restoreMs = Number.NaN;
      for (let slot = 0; slot < UNDERLYING_CAPACITY; slot += 1) engine.resetSlot(slot);
      write(RECORD.engineRestored, 0, timeUs, "");
      desk.onEngineRestored(engine, timeUs);
    }
    if (ms === driftAtMs) {
      write(RECORD.drift, 0, timeUs, JSON.stringify({ share: 0.5, stage: "widened", causes: ["skill"] }));
      desk.onDrift(0, 0.5, timeUs);
    }
    if (ms % 10 !== 0) continue;
    write(RECORD.timer, 0, timeUs, "");
    desk.onTimer(timeUs);
    nowUs = timeUs;
    tap?.onTimer(timeUs);
  }
  write(RECORD.end, 0, START_US + runMs * 1_000, "{}");
  await engine.dispose();
  return records;
}

async function verify(records: readonly JournalRecord[], present?: readonly CpuIsa[], device?: "wasm") {
  const comparer = new DecisionComparer(showDecision);
  const warnings: string[] = [];
  let used: string | undefined;
  const result = await replay(records, {
    engineFor: async (start) => {
      const log = { info: () => {}, warn: (line: string) => warnings.push(line) };
      const engine = await engineForReplay(start, device, log, present === undefined ? {} : { present });
      used = engine?.isa;
      return engine;
    },
    decisions: comparer,
    onRecord: (record) => comparer.recorded(record),
  });
  return { ...comparer.finish(), warnings, used, predictions: result.desk.counters.predictions };
}

/** The records with another instruction set named in the first. */
function claiming(records: readonly JournalRecord[], isa: string | undefined): JournalRecord[] {
  const [first, ...rest] = records;
  const start = JSON.parse(Buffer.from(first.payload).toString()) as { model: { isa: string | undefined } };
  start.model.isa = isa;
  return [{ ...first, payload: Buffer.from(JSON.stringify(start)) }, ...rest];
}

describe.skipIf(isas.length === 0)("replaying a run of the cpu engine", () => {
  const worst = isas[0] ?? "portable";
  const best = isas.at(-1) ?? "portable";
  const runs = new Map<CpuIsa, Promise<JournalRecord[]>>();
  const runOn = (isa: CpuIsa): Promise<JournalRecord[]> => {
    const made = runs.get(isa) ?? recordRun(isa);
    runs.set(isa, made);
    return made;
  };
  afterAll(() => runs.clear());

  test.each([...new Set([worst, best])])("made with %s gives the very same decisions", async (isa) => {
    const { identical, compared, difference, warnings, used } = await verify(await runOn(isa));
    expect(difference).toBeNull();
    expect([identical, warnings, used]).toEqual([true, [], isa]);
    expect(compared).toBeGreaterThan(20);
  });

  test("made with an instruction set this host lacks is compared nevertheless, with a word that bits may differ", async () => {
    if (worst === best) {
      console.warn(`a lacking instruction set not tested: this host has only ${best}`);
      return;
    }
    const present = isas.slice(0, -1);
    const { compared, warnings, used } = await verify(await runOn(best), present);
    expect(used).toBe(present.at(-1));
    expect(warnings).toEqual([
      `probabilities may differ in their last bits: the run was made with ${best}, this host has ${present.join(", ")}; it is replayed with ${used}`,
    ]);
    expect(compared).toBeGreaterThan(0);
  });

  test("is replayed on an asynchronous engine with as many predictions", async () => {
    const records = await runOn(best);
    const own = await verify(records);
    const other = await verify(records, undefined, "wasm");
    expect(other.predictions).toBe(own.predictions);
    expect(other.warnings[0]).toContain("was made on the cpu engine and is replayed on wasm");
  });

  test("in which the engine was lost within a turn gives the very same decisions, and as many predictions elsewhere", async () => {
    const records = await recordRun(best, { lossAtStep: LOST_STEP });
    expect(records.filter(({ type }) => type === RECORD.engineLost)).toHaveLength(1);
    expect(records.filter(({ type }) => type === RECORD.engineRestored)).toHaveLength(1);
    const own = await verify(records);
    expect([own.difference, own.identical]).toEqual([null, true]);
    expect(own.compared).toBeGreaterThan(20);
    const other = await verify(records, undefined, "wasm");
    expect(other.predictions).toBe(own.predictions);

    const unlost = await verify(records.filter(({ type }) => type !== RECORD.engineLost));
    expect(unlost.identical).toBe(false);
  });

  test.each(["platt", "isotonic"] as const)(
    "in which probabilities were calibrated anew (%s) gives the very same decisions, and others without it",
    async (recalibrates) => {
      const records = await recordRun(best, { recalibrates, runMs: 13_000 });
      const changes = records.filter(({ type }) => type === RECORD.calibration);
      expect(changes.length).toBeGreaterThan(2);
      const { difference, identical, compared } = await verify(records);
      expect([difference, identical]).toEqual([null, true]);
      expect(compared).toBeGreaterThan(20);

      const unchanged = await verify(records.filter(({ type }) => type !== RECORD.calibration));
      expect(unchanged.identical).toBe(false);
    },
  );

  test("in which the model was trusted less because of drift gives the very same decisions, and others without it", async () => {
    const records = await recordRun(best, { driftAtMs: 11_500, runMs: 13_000 });
    const { difference, identical } = await verify(records);
    expect([difference, identical]).toEqual([null, true]);

    const unchanged = await verify(records.filter(({ type }) => type !== RECORD.drift));
    expect(unchanged.identical).toBe(false);
  });

  test("from before the instruction set was recorded still replays, with a word about it", async () => {
    const { identical, warnings } = await verify(claiming(await runOn(best), undefined));
    expect(identical).toBe(true);
    expect(warnings[0]).toContain("the journal does not tell the instruction set of its run");
  });
});

test("a start without an instruction set is read as one that does not tell", () => {
  const model = { name: "m", source: "m", onnxSha256: "0", engine: "wasm", heads: 1 };
  const start = {
    ...{ keel: "0", schemaHash: "0", model, feeds: [], signals: [], instrumentCapacity: 1, silenceMs: 1 },
    ...{ seed: 1, quote: DEFAULT_QUOTE_PARAMETERS, risk: DEFAULT_RISK_LIMITS, kill: NOT_TRIPPED },
  };
  expect(parseRunStart(JSON.stringify(start)).model).toMatchObject({ isa: null, synchronous: false });
});

describe.skipIf(isas.length === 0 || skipUnlessSoftwareGpu())("replaying a run of a GPU", () => {
  const log = (warnings: string[]) => ({ info: () => {}, warn: (line: string) => warnings.push(line) });

  /** The start of a run on this GPU. */
  async function startOn(adapter: NonNullable<RunStart["model"]>["adapter"]): Promise<RunStart> {
    const [first] = await recordRun("portable", { runMs: 1 });
    const text = JSON.parse(Buffer.from(first.payload).toString());
    Object.assign(text.model, { engine: "wgsl", isa: null, adapter, synchronous: false });
    return parseRunStart(JSON.stringify(text));
  }

  test("takes the software adapter where the run was made on it, and tells of another version of it", async () => {
    const vulkanDir = SOFTWARE_GPU?.vulkanDir ?? null;
    const warnings: string[] = [];
    const start = await startOn({ name: "SwiftShader of old", software: true, vulkanDir });
    const engine = await engineForReplay(start, undefined, log(warnings));
    expect(engine?.adapter?.software).toBe(true);
    const name = engine?.adapter?.name ?? "";
    expect(warnings).toEqual([
      `probabilities may differ in their last bits: the run was made on SwiftShader of old; it is replayed on ${name}`,
    ]);
    await engine?.dispose();

    const same = await startOn({ name, software: true, vulkanDir });
    const again = await engineForReplay(same, undefined, log(warnings));
    expect(again?.adapter).toEqual({ name, software: true });
    expect(warnings).toHaveLength(1);
    await again?.dispose();
  });

  test("a GPU that is not here and has no other in its place is named", async () => {
    const start = await startOn({
      name: "NVIDIA H100",
      software: false,
      vulkanDir: SOFTWARE_GPU?.vulkanDir ?? null,
    });
    await expect(engineForReplay(start, undefined, log([]))).rejects.toThrow('no adapter "NVIDIA H100" here');
  });

  test("a GPU that is named goes before the recorded one", async () => {
    const start = await startOn({ name: "NVIDIA H100", software: false, vulkanDir: null });
    const engine = await engineForReplay(start, undefined, log([]), { gpu: SOFTWARE_GPU ?? ANY_GPU });
    expect(engine?.adapter?.software).toBe(true);
    await engine?.dispose();
  });
});
