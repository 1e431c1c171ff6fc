import type { Book } from "../../src/market/book.ts";

interface Level {
  readonly price: number;
  readonly size: number;
}

/** A value that held from a time on. */
type Steps = [timeUs: number, value: number][];
/** Amounts that came at a time. */
type Points = [timeUs: number, amount: number][];

interface SideHistory {
  queue: Steps;
  depth: Steps;
  net: Points;
  cancelled: Points;
  taken: Points;
  levels: Level[];
  tradedSinceDiff: number;
}

const newSide = (): SideHistory => ({
  queue: [],
  depth: [],
  net: [],
  cancelled: [],
  taken: [],
  levels: [],
  tradedSinceDiff: 0,
});

/**
 * The features again, slowly: keeps the whole history and computes every value from its definition, window by window. One
 * instrument; times must not step back.
 */
export class ReferenceFeatures {
  readonly #sides = [newSide(), newSide()] as const;
  readonly #mid: Steps = [];
  /** Distance of the mid from its 50 ms mean, bp, as of each top. */
  readonly #aways: Steps = [];
  readonly #flow: Points = [];
  readonly #trades: Points = [];
  readonly #events: Points = [];
  readonly #squares: Points = [];
  readonly #diffs: number[] = [];
  #bid: Level = { price: -1, size: 0 };
  #ask: Level = { price: -1, size: 0 };
  #documentMid = 0;
  #lastTradeSide = 0;
  #lastMove: [timeUs: number, side: number] = [-Infinity, 0];
  #interval = 0;

  book(book: Book, isDelta: boolean, timeUs: number): void {
    this.#events.push([timeUs, 1]);
    for (const side of [0, 1] as const) {
      const history = this.#sides[side];
      const levels = topLevels(book, side);
      const changes = isDelta && history.levels.length > 0 ? commonChanges(history.levels, levels, side) : [];
      const removed = changes.reduce((sum, change) => sum + Math.max(0, -change), 0);
      history.net.push([timeUs, changes.reduce((sum, change) => sum + change, 0)]);
      history.cancelled.push([timeUs, Math.max(0, removed - history.tradedSinceDiff)]);
      history.tradedSinceDiff = 0;
      history.levels = levels;
      history.depth.push([timeUs, total(levels.slice(0, 10))]);
    }
    const bests = this.#sides.map((side) => side.levels[0]?.price);
    const known = bests.filter((price) => price !== undefined);
    this.#documentMid = known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length;
    const previous = this.#diffs.at(-1);
    if (previous !== undefined) {
      const interval = timeUs - previous;
      this.#interval = this.#interval > 0 ? 0.9 * this.#interval + 0.1 * interval : interval;
    }
    this.#diffs.push(timeUs);
    this.#takeTop(book, timeUs);
  }

  top(book: Book, timeUs: number): void {
    this.#events.push([timeUs, 1]);
    this.#takeTop(book, timeUs);
  }

  trade(aggressorSide: number, lots: number, timeUs: number): void {
    this.#events.push([timeUs, 1]);
    this.#trades.push([timeUs, 1]);
    const hit = this.#sides[aggressorSide === 0 ? 1 : 0];
    hit.taken.push([timeUs, lots]);
    hit.tradedSinceDiff += lots;
    this.#lastTradeSide = aggressorSide === 0 ? 1 : -1;
  }

  #takeTop(book: Book, timeUs: number): void {
    const bid = { price: book.bestBidTicks, size: book.bestBidTicks >= 0 ? book.bestBidLots : 0 };
    const ask = { price: book.bestAskTicks, size: book.bestAskTicks >= 0 ? book.bestAskLots : 0 };
    if (this.#mid.length > 0) {
      const oldAsk = this.#ask.price < 0 ? Infinity : this.#ask.price;
      const newAsk = ask.price < 0 ? Infinity : ask.price;
      const fromBid =
        (bid.price >= this.#bid.price ? bid.size : 0) - (bid.price <= this.#bid.price ? this.#bid.size : 0);
      const fromAsk = (newAsk <= oldAsk ? ask.size : 0) - (newAsk >= oldAsk ? this.#ask.size : 0);
      this.#flow.push([timeUs, fromBid - fromAsk]);
    }
    this.#bid = bid;
    this.#ask = ask;
    this.#sides[0].queue.push([timeUs, bid.size]);
    this.#sides[1].queue.push([timeUs, ask.size]);
    if (bid.price < 0 || ask.price < 0) return;
    const mid = (bid.price + ask.price) / 2;
    const last = this.#mid.at(-1);
    if (last !== undefined && last[1] !== mid) {
      this.#squares.push([timeUs, (((mid - last[1]) / last[1]) * 10_000) ** 2]);
      this.#lastMove = [timeUs, mid > last[1] ? 1 : -1];
    }
    this.#mid.push([timeUs, mid]);
    this.#aways.push([timeUs, ((mid - mean(this.#mid, 50, timeUs)) / mid) * 10_000]);
  }

  /** All features at `timeUs` by name. */
  at(timeUs: number): Map<string, number> {
    const out = new Map<string, number>();
    const mid = this.#mid.at(-1)?.[1] ?? 0;
    const bp = (ticks: number): number => (mid > 0 ? (ticks / mid) * 10_000 : 0);
    const twoSided = this.#bid.price >= 0 && this.#ask.price >= 0;
    const spread = twoSided ? Math.max(0, this.#ask.price - this.#bid.price) : 0;
    out.set("spreadTicks", Math.log(Math.max(1, spread)));
    out.set("spread", Math.log(1 + bp(spread)));
    const queues = this.#bid.size + this.#ask.size;
    const imbalance = queues > 0 ? (this.#bid.size - this.#ask.size) / queues : 0;
    const microprice =
      (this.#bid.price * this.#ask.size + this.#ask.price * this.#bid.size) / (queues > 0 ? queues : 1);
    out.set("micropriceOffset", spread > 0 && queues > 0 ? bp(microprice - mid) : 0);
    out.set("queueImbalance", imbalance);
    const documentBp = (price: number): number =>
      (Math.abs(price - this.#documentMid) / this.#documentMid) * 10_000;
    const levelsOf = (side: 0 | 1): Level[] => this.#sides[side].levels;
    for (const depth of [3, 5, 10, 20]) {
      out.set(
        `depthImbalance${depth}`,
        against(total(levelsOf(0).slice(0, depth)), total(levelsOf(1).slice(0, depth))),
      );
    }
    const near = (side: 0 | 1): number =>
      levelsOf(side).reduce((sum, level) => sum + level.size / (1 + 2 * documentBp(level.price)), 0);
    out.set("nearImbalance", against(near(0), near(1)));
    out.set("topAhead", twoSided && this.#documentMid > 0 ? bp(mid - this.#documentMid) : 0);

    const means = this.#sides.map((side) => queueMean(side.queue, timeUs));
    const meanQueue = (means[0] + means[1]) / 2;
    const perQueue = (amount: number): number => (meanQueue > 0 ? amount / meanQueue : 0);

    (["bid", "ask"] as const).forEach((name, index) => {
      const side = this.#sides[index];
      const best = index === 0 ? this.#bid : this.#ask;
      const ten = side.levels.slice(0, 10);
      const depth = total(ten);
      const meanDepth = mean(side.depth, 10_000, timeUs);
      out.set(`${name}QueueOverMean`, against(best.size, means[index]));
      const behind = total(ten.slice(1));
      out.set(`${name}QueueShare`, best.size + behind > 0 ? best.size / (best.size + behind) : 0);
      const stale = side.levels.filter((level) =>
        best.price < 0 ? true : index === 0 ? level.price > best.price : level.price < best.price,
      );
      out.set(`${name}StaleShare`, depth > 0 ? Math.min(1, total(stale) / depth) : 0);
      out.set(`${name}LargestShare`, depth > 0 ? Math.max(0, ...ten.map((level) => level.size)) / depth : 0);
      out.set(`${name}DepthOverMean`, against(depth, meanDepth));
      for (const ms of [50, 500])
        out.set(`${name}DepthChange${ms}`, against(depth, mean(side.depth, ms, timeUs)));
      out.set(`${name}DepthOverLow`, against(depth, relaxed(side.depth, Math.min, timeUs)));
      out.set(`${name}DepthUnderHigh`, against(depth, relaxed(side.depth, Math.max, timeUs)));
      const weighted = ten.reduce((sum, level) => sum + level.size * documentBp(level.price), 0);
      out.set(`${name}Slope`, depth > 0 ? Math.log(1 + weighted / depth) : 0);
      const distance = (from: number): number =>
        ten.length > from
          ? Math.log(1 + (Math.abs(ten[from].price - ten[0].price) / this.#documentMid) * 10_000)
          : 0;
      out.set(`${name}Gap`, distance(1));
      out.set(`${name}Range`, distance(Math.max(0, ten.length - 1)));
      for (const ms of [100, 1_000]) {
        const net = meanDepth > 0 ? sum(side.net, ms, timeUs) / meanDepth : 0;
        const cancelled = meanDepth > 0 ? sum(side.cancelled, ms, timeUs) / meanDepth : 0;
        out.set(`${name}NetAdded${ms}`, net / (1 + Math.abs(net)));
        out.set(`${name}Cancelled${ms}`, cancelled / (1 + cancelled));
      }
      for (const ms of [50, 200, 1_000]) {
        out.set(`${name}Taken${ms}`, Math.log(1 + perQueue(sum(side.taken, ms, timeUs))));
      }
      const moves = this.#aways.map(([time, bp]): [number, number] => [
        time,
        (index === 0 ? -bp : bp) >= 0.5 ? 1 : 0,
      ]);
      out.set(`${name}MoveRate`, rate(moves, timeUs));
      const withdrawals = side.depth.map(([time, lots], at): [number, number] => [
        time,
        lots < 0.8 * mean(side.depth.slice(0, at + 1), 50, time) ? 1 : 0,
      ]);
      out.set(`${name}WithdrawRate`, rate(withdrawals, timeUs));
    });

    for (const ms of [50, 100, 500, 2_000]) {
      const flow = perQueue(sum(this.#flow, ms, timeUs));
      out.set(`orderFlowImbalance${ms}`, Math.sign(flow) * Math.log(1 + Math.abs(flow)));
    }
    for (const ms of [50, 200, 1_000]) {
      const sold = sum(this.#sides[0].taken, ms, timeUs);
      const bought = sum(this.#sides[1].taken, ms, timeUs);
      const all = bought + sold + meanQueue / 10;
      out.set(`tradeImbalance${ms}`, all > 0 ? (bought - sold) / all : 0);
    }
    const age = (since: number, ms: number): number => Math.exp(-(timeUs - since) / (ms * 1_000));
    const lastTrade = this.#trades.at(-1)?.[0] ?? -Infinity;
    const lastDiff = this.#diffs.at(-1) ?? -Infinity;
    for (const ms of [5, 20, 60, 200]) {
      out.set(`tradeAge${ms}`, age(lastTrade, ms));
      out.set(`diffAge${ms}`, age(lastDiff, ms));
      out.set(`moveAge${ms}`, age(this.#lastMove[0], ms));
    }
    out.set("lastTradeSide20", this.#lastTradeSide * age(lastTrade, 20));
    out.set("lastMove20", this.#lastMove[1] * age(this.#lastMove[0], 20));
    out.set("diffPhase", this.#interval > 0 ? against(timeUs - lastDiff, this.#interval) : 0);
    out.set("diffInterval", Math.log(1 + this.#interval / 1_000));
    out.set("tradeCount1000", Math.log(1 + sum(this.#trades, 1_000, timeUs)));
    out.set("eventCount50", Math.log(1 + sum(this.#events, 50, timeUs)));
    out.set("eventCount500", Math.log(1 + sum(this.#events, 500, timeUs)));
    out.set(
      "eventSurge",
      against(sum(this.#events, 50, timeUs) / 50, sum(this.#events, 10_000, timeUs) / 10_000),
    );
    for (const ms of [10, 50, 200, 1_000]) {
      const move = mid > 0 ? bp(mid - mean(this.#mid, ms, timeUs)) : 0;
      out.set(`return${ms}`, Math.sign(move) * Math.log(1 + Math.abs(move)));
    }
    const variance = (ms: number): number => sum(this.#squares, ms, timeUs);
    for (const ms of [100, 1_000, 10_000]) out.set(`volatility${ms}`, Math.log(1 + Math.sqrt(variance(ms))));
    out.set("volatilityRatio100", against(variance(100) / 100, variance(10_000) / 10_000));
    out.set("volatilityRatio1000", against(variance(1_000) / 1_000, variance(10_000) / 10_000));
    for (const name of [
      "basis",
      "basisChange",
      "funding",
      "atmIv",
      "atmIvChange",
      "sentiment",
      "signal1",
      "signal2",
    ]) {
      out.set(name, 0);
    }
    return out;
  }
}

function topLevels(book: Book, side: number): Level[] {
  const prices = new Int32Array(20);
  const sizes = new Float64Array(20);
  const count = book.top(side, 20, prices, sizes);
  return Array.from({ length: count }, (_, at) => ({ price: prices[at], size: sizes[at] }));
}

/** Size changes price by price, over the prices that both lists cover. */
function commonChanges(before: Level[], after: Level[], side: number): number[] {
  const covers = (levels: Level[], price: number): boolean => {
    const worst = levels.at(-1)?.price;
    if (levels.length < 20 || worst === undefined) return true;
    return side === 0 ? price >= worst : price <= worst;
  };
  const sizeAt = (levels: Level[], price: number): number =>
    levels.find((level) => level.price === price)?.size ?? 0;
  const prices = new Set([...before, ...after].map((level) => level.price));
  return [...prices]
    .filter((price) => covers(before, price) && covers(after, price))
    .map((price) => sizeAt(after, price) - sizeAt(before, price));
}

const total = (levels: Level[]): number => levels.reduce((sum, level) => sum + level.size, 0);

const against = (a: number, b: number): number => (a + b > 0 ? (a - b) / (a + b) : 0);

const sum = (points: Points, ms: number, timeUs: number): number =>
  points.reduce((all, [time, amount]) => all + amount * Math.exp(-(timeUs - time) / (ms * 1_000)), 0);

const hold = (value: number, mean: number, deltaUs: number, ms: number): number =>
  value + (mean - value) * Math.exp(-deltaUs / (ms * 1_000));

/** Exponential mean of a held value, from its first value on. */
function mean(steps: Steps, ms: number, timeUs: number): number {
  if (steps.length === 0) return 0;
  let value = steps[0][1];
  steps.forEach(([time, held], at) => {
    value = hold(held, value, (steps[at + 1]?.[0] ?? timeUs) - time, ms);
  });
  return value;
}

/** The mean of a queue starts when the side has one. */
function queueMean(queue: Steps, timeUs: number): number {
  const first = queue.findIndex(([, lots]) => lots > 0);
  return first < 0 ? 0 : mean(queue.slice(first), 10_000, timeUs);
}

function relaxed(steps: Steps, extreme: (a: number, b: number) => number, timeUs: number): number {
  if (steps.length === 0) return 0;
  let value = steps[0][1];
  steps.forEach(([time, held], at) => {
    value = hold(held, extreme(value, held), (steps[at + 1]?.[0] ?? timeUs) - time, 1_000);
  });
  return value;
}

/** Exponential mean over 5 s of a held flag, from 0 on. */
function rate(flags: Steps, timeUs: number): number {
  let value = 0;
  flags.forEach(([time, flag], at) => {
    value = hold(flag, value, (flags[at + 1]?.[0] ?? timeUs) - time, 5_000);
  });
  return value;
}
