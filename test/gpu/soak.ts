/**
 * Lets a desk run on the software adapter for as long as one likes, dispatch upon dispatch, and takes its device away half way.
 *
 * @example bun test/gpu/soak.ts 30      # minutes
 *
 * @module
 */
import { loadConfig } from "../../src/config.ts";
import { loadNative } from "../../src/core/native.ts";
import { decodeDecision } from "../../src/desk/decision.ts";
import { Desk, UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { EngineLostError, type StepEngine } from "../../src/inference/engine.ts";
import { loadModel } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { MemoryMarket, type MemoryMarketSink } from "../../src/sim/memory-market.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";
import { loseGpuDevices, SOFTWARE_ENGINES } from "../support/software-gpu.ts";

const START_US = 1_700_000_000e6;
const STEP_US = 1_000;
const TIMER_STEPS = 10;
const EPISODE_STEPS = 500;
const SEED = 1;
/** The run goes on beyond its time until there are this many predictions after the loss, but not for longer than this. */
const RECOVERY_PREDICTIONS = 50;
const RECOVERY_S = 30;
/** A run in which nothing is submitted for this long shows nothing, and ends with an error. */
const STALL_S = 30;

export interface SoakReport {
  readonly submits: number;
  readonly predictions: number;
  /** Quotes that left in the turn in which the device was lost, and how many of them were defensive and said why. */
  readonly lossQuotes: number;
  readonly lossDefensive: number;
  readonly predictionsAfterLoss: number;
  /** Resident memory after a fifth of the run, when the device was taken away, when the engine ran again, and at the end, MB. */
  readonly rssMbEarly: number;
  readonly rssMbAtLoss: number;
  readonly rssMbRestarted: number;
  readonly rssMbLate: number;
}

class SoakPort extends MemoryPort {
  rows = 0;
  /** Reasons of the quotes since this was last emptied. */
  reasons: (readonly string[])[] = [];

  override submit(rows: number): void {
    this.rows = rows;
  }

  override decided(_underlying: number, _timeUs: number, payload: Uint8Array): void {
    if (this.reasons.length < 1_000)
      for (const { reasons } of decodeDecision(payload).quotes) this.reasons.push(reasons);
  }
}

async function start(): Promise<StepEngine> {
  const model = await loadModel("lstm-residual", { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  const { engine } = await startEngine({
    device: "wgsl",
    model,
    settings: SOFTWARE_ENGINES,
    slotCount: UNDERLYING_CAPACITY,
    maxBatch: UNDERLYING_CAPACITY,
    sweep: true,
    log: () => {},
  });
  return engine;
}

const rssMb = (): number => {
  Bun.gc(true);
  return process.memoryUsage.rss() / 1_048_576;
};

/** @param progress takes a line from time to time */
export async function gpuSoak(seconds: number, progress: (line: string) => void): Promise<SoakReport> {
  await loadNative();
  const config = loadConfig({});
  const market = new MemoryMarket(SEED, START_US);
  const port = new SoakPort(market);
  let engine = await start();
  const desk = new Desk({
    feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
    signals: [],
    instrumentCapacity: 64,
    silenceMs: 60_000,
    seed: SEED,
    engine,
    // A quote that is as wide already, because the model was alarmed a moment ago, would hide that it becomes defensive.
    quote: { ...config.quote, calmMs: 0 },
    risk: config.risk,
    kill: NOT_TRIPPED,
    port,
    timer: noTimer,
  });
  port.attach(desk.market.instruments);
  desk.start(START_US);
  desk.onSessionUp(START_US);
  const sink: MemoryMarketSink = {
    onFeedOpen: (feed, timeUs) => desk.onFeedOpen(feed, timeUs),
    onFrame: (feed, text, timeUs) => desk.onFrame(feed, text, timeUs),
    onFeedResponse: (...answer) => desk.onFeedResponse(...answer),
  };
  const begunNs = Bun.nanoseconds();
  const elapsed = (): number => (Bun.nanoseconds() - begunNs) / 1e9;
  let submits = 0;
  let submittedS = 0;
  let early = 0;
  let atLoss = 0;
  let restarted = 0;
  let lossQuotes = 0;
  let lossDefensive = 0;
  let predictionsAtLoss = -1;
  let told = 0;
  const recovered = (): boolean =>
    predictionsAtLoss >= 0 && desk.counters.predictions > predictionsAtLoss + RECOVERY_PREDICTIONS;
  for (let step = 1; elapsed() < seconds || (!recovered() && elapsed() < seconds + RECOVERY_S); step += 1) {
    const timeUs = START_US + step * STEP_US;
    market.advance(timeUs, sink);
    if (step % TIMER_STEPS === 0) desk.onTimer(timeUs);
    // Up and down in turn: a price that is only pushed down ends at zero, and the market with it.
    if (step % EPISODE_STEPS === 0) {
      const direction = (step / EPISODE_STEPS) % 2 === 0 ? "down" : "up";
      market.market.scheduleToxicEpisode(timeUs + STEP_US, direction);
    }
    const ready = desk.modelStatus(0) === 0 && desk.counters.predictions > 0;
    if (predictionsAtLoss < 0 && ready && elapsed() > seconds / 2) {
      atLoss = rssMb();
      loseGpuDevices();
      predictionsAtLoss = desk.counters.predictions;
    }
    while (port.rows > 0) {
      const { rows } = port;
      port.rows = 0;
      try {
        await engine.submit(rows);
        submits += 1;
        submittedS = elapsed();
        desk.onInference(timeUs);
      } catch (error) {
        if (!(error instanceof EngineLostError)) throw error;
        port.reasons = [];
        desk.onEngineLost(timeUs);
        lossQuotes = port.reasons.length;
        lossDefensive = port.reasons.filter((reasons) => reasons.includes("engineLost")).length;
        await engine.dispose();
        engine = await start();
        desk.onEngineRestored(engine, timeUs);
        restarted = rssMb();
        submittedS = elapsed();
      }
    }
    if (elapsed() - submittedS > STALL_S)
      throw new Error(`no submit for ${STALL_S} s, after ${submits} of them`);
    if (early === 0 && elapsed() > seconds / 5) early = rssMb();
    if (elapsed() - told > 60) {
      told = elapsed();
      progress(`${Math.round(told)} s: ${submits} submits, ${Math.round(rssMb())} MB resident`);
    }
  }
  const report = {
    submits,
    predictions: desk.counters.predictions,
    lossQuotes,
    lossDefensive,
    predictionsAfterLoss: desk.counters.predictions - predictionsAtLoss,
    rssMbEarly: Math.round(early),
    rssMbAtLoss: Math.round(atLoss),
    rssMbRestarted: Math.round(restarted),
    rssMbLate: Math.round(rssMb()),
  };
  await engine.dispose();
  return report;
}

if (import.meta.main) {
  const minutes = Number(process.argv[2] ?? 30);
  console.log(JSON.stringify(await gpuSoak(minutes * 60, console.log)));
  process.exit(0);
}
