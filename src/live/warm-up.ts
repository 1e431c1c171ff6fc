import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { Desk, UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { StageHistograms } from "../desk/latency.ts";
import type { StepEngine } from "../inference/engine.ts";
import { NOT_TRIPPED } from "../risk/kill-switch.ts";
import { MemoryMarket, type MemoryMarketSink } from "../sim/memory-market.ts";
import { MemoryPort } from "../sim/memory-port.ts";

const STEP_US = 1_000;
const TIMER_STEPS = 10;
const INSTRUMENTS = 64;
const SEED = 1;
/** Informed flow every so often, so that widening is warm too. */
const EPISODE_US = 2_000_000;

/**
 * Runs a throw-away desk on the simulated market for a while before the first real frame, so that the code of the line is
 * compiled and its paths are in the caches by then. Leaves all of the engine's slots reset.
 *
 * @returns how many frames went through
 */
export function warmUpLine(config: Config, engine: StepEngine, clock: Clock, forMs: number): number {
  const startUs = clock.wallUs();
  const market = new MemoryMarket(SEED, startUs);
  const port = new MemoryPort(market);
  const timer = new StageHistograms(clock.monotonicNs);
  const desk = new Desk({
    feeds: [{ venue: "binance-usdm", subscriptions: ["BTCUSDT"] }],
    signals: [],
    instrumentCapacity: INSTRUMENTS,
    silenceMs: config.timeouts.silenceMs,
    conflate: config.conflate,
    seed: SEED,
    // An asynchronous engine has been warmed by itself; here it would only have to be waited for.
    engine: engine.synchronous ? engine : null,
    quote: config.quote,
    surface: config.surface,
    risk: config.risk,
    kill: NOT_TRIPPED,
    port,
    timer,
  });
  port.attach(desk.market.instruments);
  desk.start(startUs);
  desk.onSessionUp(startUs);
  const sink: MemoryMarketSink = {
    onFeedOpen: (feed, timeUs) => desk.onFeedOpen(feed, timeUs),
    onFrame: (feed, text, timeUs) => {
      timer.begin(clock.monotonicNs());
      desk.onFrame(feed, text, timeUs);
    },
    onFeedResponse: (...answer) => desk.onFeedResponse(...answer),
  };
  const untilNs = clock.monotonicNs() + forMs * 1e6;
  let episodeUs = startUs + EPISODE_US;
  for (let step = 1; clock.monotonicNs() < untilNs; step += 1) {
    const timeUs = startUs + step * STEP_US;
    market.advance(timeUs, sink);
    desk.onBatchEnd(timeUs);
    if (step % TIMER_STEPS === 0) desk.onTimer(timeUs);
    if (timeUs < episodeUs) continue;
    market.market.scheduleToxicEpisode(timeUs + STEP_US, step % 2 === 0 ? "down" : "up");
    episodeUs = timeUs + EPISODE_US;
  }
  for (let slot = 0; slot < UNDERLYING_CAPACITY; slot += 1) engine.resetSlot(slot);
  return desk.counters.frames;
}
