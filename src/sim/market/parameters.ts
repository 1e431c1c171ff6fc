import type { EpisodeParameters } from "./episode.ts";
import type { PerpetualParameters } from "./perpetual.ts";
import type { RegimeParameters } from "./regime.ts";

/** Calm most of the time; tuned to the statistics in docs/simulator.md. */
export const REGIME_PARAMETERS: RegimeParameters = {
  calmMeanSeconds: 40,
  toxicMeanSeconds: 6,
  toxicActivity: 3.5,
  activityDeviation: 0.6,
  activitySeconds: 4,
};

export const EPISODE_PARAMETERS: EpisodeParameters = {
  perSecond: [0.02, 0.35],
  leadMinUs: 50_000,
  leadMaxUs: 500_000,
  jumpMedianBp: 3.5,
  jumpSigma: 0.5,
  feintShare: 0.2,
  orders: 48,
  orderLots: 250,
  orderSigma: 0.9,
  depthLeft: 0.35,
  recoverySeconds: 1.2,
};

/** Binance USD-M BTCUSDT: tick 0.1 USDT, lot 0.001 BTC. */
export function binanceBtcParameters(price: number): PerpetualParameters {
  return {
    startTicks: Math.round(price * 10),
    windowTicks: 65_536,
    flow: {
      immigrantsPerSecond: 38,
      branching: 0.78,
      fastShare: 0.75,
      fastMeanUs: 120,
      slowMeanUs: 12_000,
      marketShare: 0.2,
      lean: 0.9,
    },
    depth: {
      ratePerSecond: 950,
      distanceMedianTicks: 380,
      distanceSigma: 1.35,
      gapTicks: 3,
      gapDoublingTicks: 500,
      extentTicks: 14_000,
      medianLots: 60,
      sigma: 1.6,
      wallShare: 0.01,
      wallLots: 5_000,
    },
    queueLots: 2_600,
    queueSigma: 0.8,
    limitLots: 90,
    limitSigma: 1.3,
    tradeLots: 40,
    tradeSigma: 1.8,
    roundLots: 1,
    moveProbability: 0.5,
    moveMeanTicks: 20,
    relayPerTick: 2,
  };
}

/** Deribit BTC-PERPETUAL: tick 0.5 USD, lot 10 USD. Slower than Binance, and led by it. */
export function deribitBtcParameters(price: number): PerpetualParameters {
  return {
    startTicks: Math.round(price * 2),
    windowTicks: 16_384,
    flow: {
      immigrantsPerSecond: 7,
      branching: 0.7,
      fastShare: 0.6,
      fastMeanUs: 400,
      slowMeanUs: 25_000,
      marketShare: 0.12,
      lean: 0.5,
    },
    depth: {
      ratePerSecond: 35,
      distanceMedianTicks: 30,
      distanceSigma: 1.2,
      gapTicks: 2,
      gapDoublingTicks: 60,
      extentTicks: 2_500,
      medianLots: 400,
      sigma: 1.5,
      wallShare: 0.02,
      wallLots: 10_000,
    },
    queueLots: 9_000,
    queueSigma: 0.8,
    limitLots: 500,
    limitSigma: 1.2,
    tradeLots: 200,
    tradeSigma: 1.5,
    roundLots: 1,
    moveProbability: 0.1,
    moveMeanTicks: 1,
    relayPerTick: 1.5,
  };
}
