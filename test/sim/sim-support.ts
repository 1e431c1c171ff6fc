import { BinanceFrames } from "../../src/sim/binance-frames.ts";
import { DeribitFrames } from "../../src/sim/deribit-frames.ts";
import type { FrameSink } from "../../src/sim/frame-sink.ts";
import { SimMarket } from "../../src/sim/market/market.ts";

/** A Friday noon, so that the nearest expiry is tomorrow. */
export const START_US = Date.UTC(2027, 0, 15, 12) * 1_000;

export interface Frame {
  readonly timeUs: number;
  readonly venue: "binance" | "deribit";
  readonly channel: string;
  readonly data: string;
}

/** The simulated market with both venues' frames, recorded as they are made. */
export function recordedMarket(seed: number, wanted: (channel: string) => boolean = () => true) {
  const market = new SimMarket({ seed, startUs: START_US });
  const frames: Frame[] = [];
  const sink = (venue: Frame["venue"]): FrameSink => ({
    wanted,
    emit: (channel, data) => frames.push({ timeUs: market.queue.nowUs, venue, channel, data }),
  });
  const binance = new BinanceFrames(market, sink("binance"), seed);
  const deribit = new DeribitFrames(market, sink("deribit"), seed);
  return { market, binance, deribit, frames };
}
