import { describe, expect, test } from "bun:test";
import { SIDE } from "../../src/market/event-batch.ts";
import { SIM } from "../../src/sim/market/instruments.ts";
import { SimMarket } from "../../src/sim/market/market.ts";
import type { MarketSink } from "../../src/sim/market/market-sink.ts";
import { NO_LEVEL, type SimBook } from "../../src/sim/market/sim-book.ts";
import { recordedMarket, START_US } from "./sim-support.ts";

function hash(seed: number, stepUs: number): string {
  const { market, frames } = recordedMarket(seed);
  market.scheduleToxicEpisode(START_US + 1_000_000, "down");
  const endUs = START_US + 3_000_000;
  while (market.timeUs < endUs) market.advance(Math.min(endUs, market.timeUs + stepUs));
  expect(frames.length).toBeGreaterThan(1_000);
  const hasher = new Bun.CryptoHasher("sha256");
  for (const { timeUs, channel, data } of frames) hasher.update(`${timeUs} ${channel} ${data}\n`);
  return hasher.digest("hex");
}

function depth(book: SimBook, side: number, withinTicks: number): number {
  const sign = side === SIDE.bid ? -1 : 1;
  const best = book.best(side);
  let sum = 0;
  let level = best;
  while (level !== NO_LEVEL && Math.abs(level - best) <= withinTicks) {
    sum += book.lotsAt(side, level);
    level = book.outward(side, level + sign);
  }
  return sum;
}

describe("SimMarket", () => {
  test("makes the same frames from the same seed, however it is stepped", () => {
    expect(hash(7, 1_000)).toBe(hash(7, 171_000));
  });

  test("makes other frames from another seed", () => {
    expect(hash(8, 50_000)).not.toBe(hash(7, 50_000));
  });

  test("keeps every book uncrossed and every size positive, turn by turn", () => {
    const market = new SimMarket({ seed: 3, startUs: START_US });
    const books = [market.leader.book, market.follower.book];
    let turns = 0;
    let wrong = 0;
    const sink: MarketSink = {
      onLevel: (instrument, _side, _ticks, lots, before) => {
        if (!(lots >= 0) || lots === before || !Number.isInteger(lots)) wrong += 1;
        if (instrument < 0 || instrument >= SIM.firstOption + market.options.chain.length) wrong += 1;
      },
      onTrade: (_instrument, _side, _ticks, lots) => {
        if (!(lots > 0)) wrong += 1;
      },
      onTurn: () => {
        turns += 1;
        for (const book of books) {
          if (!(book.best(SIDE.bid) < book.best(SIDE.ask)) || book.levels(SIDE.bid) < 5) wrong += 1;
        }
      },
    };
    market.addSink(sink);
    for (const atS of [2, 6, 9]) {
      market.scheduleToxicEpisode(START_US + atS * 1e6, atS === 6 ? "up" : "down", { jumpBp: 60 });
    }
    market.advance(START_US + 12e6);
    expect(turns).toBeGreaterThan(5_000);
    expect(wrong).toBe(0);
    expect(market.queue.dropped).toBe(0);
  });

  test("tells level changes from which the books can be rebuilt", () => {
    const market = new SimMarket({ seed: 4, startUs: START_US });
    const naive = new Map<string, number>();
    market.addSink({
      onLevel: (instrument, side, ticks, lots, before) => {
        const key = `${instrument} ${side} ${ticks}`;
        if (naive.has(key)) expect(naive.get(key)).toBe(before);
        naive.set(key, lots);
      },
      onTrade: () => {},
      onTurn: () => {},
    });
    market.scheduleToxicEpisode(START_US + 1e6, "down", { jumpBp: 400 });
    market.advance(START_US + 5e6);
    for (const [key, lots] of naive) {
      const [instrument = 0, side = 0, ticks = 0] = key.split(" ").map(Number);
      const books = [market.leader.book, market.follower.book];
      const now =
        books[instrument]?.lotsAt(side, ticks) ??
        market.options.lotsAt(instrument - SIM.firstOption, side, ticks);
      expect(`${key} ${now}`).toBe(`${key} ${lots}`);
    }
  });

  test("looks like the recorded market in its basic statistics", () => {
    const { market, frames } = recordedMarket(5, (channel) => /@(depth@0ms|bookTicker|trade)$/.test(channel));
    const seconds = 60;
    market.advance(START_US + seconds * 1e6);
    const count = (suffix: string): number => frames.filter(({ channel }) => channel.endsWith(suffix)).length;
    const rate = frames.length / seconds;
    expect(rate).toBeGreaterThan(100);
    expect(rate).toBeLessThan(1_500);
    expect(count("@bookTicker") / frames.length).toBeGreaterThan(0.6);
    expect(count("@trade") / frames.length).toBeGreaterThan(0.1);
    expect(count("@depth@0ms") / seconds).toBeGreaterThan(15);

    let oneTick = 0;
    let tickers = 0;
    let levels = 0;
    let soon = 0;
    let last = 0;
    for (const { timeUs, channel, data } of frames) {
      if (timeUs - last < 1_000) soon += 1;
      last = timeUs;
      const payload = JSON.parse(data);
      if (channel.endsWith("@bookTicker")) {
        tickers += 1;
        if (Math.round((Number(payload.a) - Number(payload.b)) * 10) === 1) oneTick += 1;
      } else if (channel.endsWith("@depth@0ms")) levels += payload.b.length + payload.a.length;
    }
    expect(oneTick / tickers).toBeGreaterThan(0.85);
    expect(soon / frames.length).toBeGreaterThan(0.5);
    const perDiff = levels / count("@depth@0ms");
    expect(perDiff).toBeGreaterThan(25);
    expect(perDiff).toBeLessThan(150);
  });

  test("has a queue imbalance that predicts the direction of the next move", () => {
    const market = new SimMarket({ seed: 6, startUs: START_US });
    const { book } = market.leader;
    const samples: { timeUs: number; mid: number; imbalance: number }[] = [];
    market.addSink({
      onLevel: () => {},
      onTrade: () => {},
      onTurn: (timeUs) => {
        const bid = book.bestLots(SIDE.bid);
        const ask = book.bestLots(SIDE.ask);
        samples.push({ timeUs, mid: book.midTicks, imbalance: (bid - ask) / (bid + ask) });
      },
    });
    market.advance(START_US + 60e6);
    const up: number[] = [];
    const down: number[] = [];
    let ahead = 0;
    for (const { timeUs, mid, imbalance } of samples) {
      while (ahead < samples.length - 1 && (samples[ahead]?.timeUs ?? 0) < timeUs + 100_000) ahead += 1;
      const later = samples[ahead]?.mid ?? mid;
      if (later > mid) up.push(imbalance);
      else if (later < mid) down.push(imbalance);
    }
    expect(auc(up, down)).toBeGreaterThan(0.65);
  });

  test("lets the follower follow the leader", () => {
    const market = new SimMarket({ seed: 9, startUs: START_US });
    let worst = 0;
    for (let second = 1; second <= 20; second += 1) {
      market.advance(START_US + second * 1e6);
      const gap = market.leader.book.midTicks / 10 - market.follower.book.midTicks / 2;
      worst = Math.max(worst, Math.abs(gap));
    }
    expect(worst).toBeLessThan(30);
    expect(Math.abs(market.reference.index - market.leader.book.midTicks / 10)).toBeLessThan(60);
  });
});

describe("a toxic episode", () => {
  const flowBefore = (seed: number, direction: "down" | "up") => {
    const market = new SimMarket({ seed, startUs: START_US });
    let hit = 0;
    let other = 0;
    const episode = market.scheduleToxicEpisode(START_US + 3e6, direction, { leadUs: 250_000, jumpBp: 10 });
    if (episode === null) throw new Error("not scheduled");
    const side = direction === "down" ? SIDE.bid : SIDE.ask;
    market.advance(episode.startUs - 1);
    const before = { depth: depth(market.leader.book, side, 200), mid: market.leader.book.midTicks };
    market.addSink({
      onLevel: () => {},
      onTrade: (instrument, aggressor, _ticks, lots) => {
        if (instrument !== SIM.binanceBtc) return;
        if (aggressor === 1 - side) hit += lots;
        else other += lots;
      },
      onTurn: () => {},
    });
    market.advance(episode.jumpUs - 1);
    const atJump = { depth: depth(market.leader.book, side, 200), mid: market.leader.book.midTicks };
    const truth = market.truth();
    const informed = hit / (hit + other);
    market.advance(episode.jumpUs + 100_000);
    return { before, atJump, informed, truth, after: market.leader.book.midTicks, market, episode };
  };

  test("has one-sided flow and withdrawn depth before the jump, for most seeds and both directions", () => {
    let oneSided = 0;
    let thinner = 0;
    for (let seed = 0; seed < 12; seed += 1) {
      const { informed, before, atJump } = flowBefore(seed, seed % 2 === 0 ? "down" : "up");
      if (informed > 0.6) oneSided += 1;
      if (atJump.depth < 0.8 * before.depth) thinner += 1;
    }
    expect(oneSided).toBeGreaterThanOrEqual(9);
    expect(thinner).toBeGreaterThanOrEqual(9);
  });

  test("ends in a jump of the announced size and direction", () => {
    for (const direction of ["down", "up"] as const) {
      const { before, after } = flowBefore(21, direction);
      const bp = (after / before.mid - 1) * 10_000;
      expect(direction === "down" ? -bp : bp).toBeGreaterThan(6);
      expect(Math.abs(bp)).toBeLessThan(40);
    }
  });

  test("is told as ground truth before and after", () => {
    const { truth, market, episode } = flowBefore(22, "down");
    expect(truth.regime).toBe("toxic");
    expect(truth.next?.jumpUs).toBe(episode.jumpUs);
    expect(truth.jumpInUs).toBe(1);
    expect(truth.withdrawn[0]).toBeGreaterThan(0.4);
    expect(market.episodes.history.at(-1)).toEqual(episode);
  });

  test("takes away options' bids that would be hit and lifts volatility", () => {
    const market = new SimMarket({ seed: 23, startUs: START_US });
    const call = market.options.chain.findIndex(
      (option) => option.expiry === 1 && option.call && option.strike >= 60_000,
    );
    const bidDepth = (): number => {
      let sum = 0;
      for (let level = 0; level < 5; level += 1) sum += market.options.levelLots(call, SIDE.bid, level);
      return sum;
    };
    const volatility = (): number => market.options.marks[call]?.volatility ?? 0;
    const episode = market.scheduleToxicEpisode(START_US + 2e6, "down", { leadUs: 300_000, jumpBp: 12 });
    market.advance(START_US + 2e6 - 1);
    const before = { depth: bidDepth(), volatility: volatility() };
    market.advance((episode?.jumpUs ?? 0) - 1);
    expect(bidDepth()).toBeLessThan(0.8 * before.depth);
    market.advance((episode?.jumpUs ?? 0) + 300_000);
    expect(volatility()).toBeGreaterThan(before.volatility + 0.01);
  });

  test("cannot be scheduled in the past", () => {
    const market = new SimMarket({ seed: 1, startUs: START_US });
    market.advance(START_US + 1e6);
    expect(market.scheduleToxicEpisode(START_US, "up")).toBeNull();
  });
});

/** Area under the ROC curve, ties counted half. */
function auc(positive: readonly number[], negative: readonly number[]): number {
  const all = [...positive.map((x) => ({ x, p: 1 })), ...negative.map((x) => ({ x, p: 0 }))].sort(
    (a, b) => a.x - b.x,
  );
  let rankSum = 0;
  for (let i = 0; i < all.length; ) {
    let j = i;
    while (j < all.length && all[j]?.x === all[i]?.x) j += 1;
    const rank = (i + 1 + j) / 2;
    for (; i < j; i += 1) rankSum += all[i]?.p === 1 ? rank : 0;
  }
  const n = positive.length;
  return (rankSum - (n * (n + 1)) / 2) / (n * negative.length);
}
