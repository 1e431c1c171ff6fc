import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { recordedMarket, START_US } from "./sim-support.ts";

const CAPTURE = join(import.meta.dir, "../../../shared/data/binance/usdm-btcusdt-20240808.gz");
const SECONDS = 120;
const MOVE_WITHIN_US = 100_000;

/** One frame: local time and the payload of its stream. */
type Timed = readonly [timeUs: number, stream: string, data: string];

function recorded(): Timed[] {
  const frames: Timed[] = [];
  const text = new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(readFileSync(CAPTURE))));
  for (const line of text.split("\n")) {
    const match = /^(\d+) \{"stream":"([^"]+)","data":(.*)\}$/.exec(line);
    if (match === null) continue;
    const timeUs = Number(match[1]) / 1_000;
    if (timeUs - (frames[0]?.[0] ?? timeUs) > SECONDS * 1e6) break;
    frames.push([timeUs, match[2] ?? "", match[3] ?? ""]);
  }
  return frames;
}

function simulated(seed: number): Timed[] {
  const { market, frames } = recordedMarket(seed, (channel) =>
    /@(depth@0ms|bookTicker|trade)$/.test(channel),
  );
  market.advance(START_US + SECONDS * 1e6);
  return frames.map(({ timeUs, channel, data }) => [timeUs, channel, data] as const);
}

const quantile = (values: number[], q: number): number =>
  values.sort((a, b) => a - b)[Math.floor(q * values.length)] ?? Number.NaN;

function statistics(frames: readonly Timed[]): Record<string, number> {
  const seconds = ((frames.at(-1)?.[0] ?? 0) - (frames[0]?.[0] ?? 0)) / 1e6;
  const perSecond = new Map<number, number>();
  const levels: number[] = [];
  const queues: number[] = [];
  const trades: number[] = [];
  const touch: { timeUs: number; mid: number; imbalance: number }[] = [];
  const counts = { ticker: 0, trade: 0, depth: 0, soon: 0, oneTick: 0, removed: 0, moves: 0 };
  let last = 0;
  for (const [timeUs, stream, data] of frames) {
    const second = Math.floor(timeUs / 1e6);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    if (timeUs - last < 1_000) counts.soon += 1;
    last = timeUs;
    const payload = JSON.parse(data);
    if (stream.endsWith("@bookTicker")) {
      const [bid, ask, B, A] = [payload.b, payload.a, payload.B, payload.A].map(Number) as [
        number,
        number,
        number,
        number,
      ];
      counts.ticker += 1;
      if (Math.round((ask - bid) * 10) === 1) counts.oneTick += 1;
      const mid = (bid + ask) / 2;
      if (touch.length > 0 && touch.at(-1)?.mid !== mid) counts.moves += 1;
      queues.push(B, A);
      touch.push({ timeUs, mid, imbalance: (B - A) / (B + A) });
    } else if (stream.endsWith("@trade")) {
      counts.trade += 1;
      trades.push(Number(payload.q));
    } else {
      counts.depth += 1;
      levels.push(payload.b.length + payload.a.length);
      for (const [, size] of [...payload.b, ...payload.a]) if (Number(size) === 0) counts.removed += 1;
    }
  }
  const changed = levels.reduce((sum, count) => sum + count, 0);
  const rates = [...perSecond.values()];
  return {
    "frames a second": frames.length / seconds,
    "median second": quantile(rates, 0.5),
    "90 % second": quantile(rates, 0.9),
    "book tickers": counts.ticker / frames.length,
    trades: counts.trade / frames.length,
    "depth diffs": counts.depth / frames.length,
    "gaps below 1 ms": counts.soon / frames.length,
    "spread of one tick": counts.oneTick / counts.ticker,
    "mid changes a second": counts.moves / seconds,
    "levels in a diff, mean": changed / counts.depth,
    "levels in a diff, median": quantile(levels, 0.5),
    "levels removed": counts.removed / changed,
    "queue, median": quantile(queues, 0.5),
    "trade, median": quantile(trades, 0.5),
    "AUC of queue imbalance": imbalanceAuc(touch),
  };
}

/** How well the queue imbalance tells up from down among the mids 100 ms later that differ. */
function imbalanceAuc(touch: readonly { timeUs: number; mid: number; imbalance: number }[]): number {
  const labelled: { x: number; up: boolean }[] = [];
  let ahead = 0;
  for (const { timeUs, mid, imbalance } of touch) {
    while (ahead < touch.length - 1 && (touch[ahead]?.timeUs ?? 0) < timeUs + MOVE_WITHIN_US) ahead += 1;
    const later = touch[ahead]?.mid ?? mid;
    if (later !== mid) labelled.push({ x: imbalance, up: later > mid });
  }
  labelled.sort((a, b) => a.x - b.x);
  let ups = 0;
  let rankSum = 0;
  for (const [i, { up }] of labelled.entries()) {
    if (!up) continue;
    ups += 1;
    rankSum += i + 1;
  }
  return (rankSum - (ups * (ups + 1)) / 2) / (ups * (labelled.length - ups));
}

describe("the simulated BTCUSDT beside the recorded one", () => {
  const here = existsSync(CAPTURE);
  if (!here) console.warn(`skipped: ${CAPTURE} is not there`);

  test.skipIf(!here)("is within a factor of three in every statistic", () => {
    const real = statistics(recorded());
    const sim = statistics(simulated(2));
    if (process.env.PRINT_STATISTICS !== undefined) console.table({ real, sim });
    for (const [name, value] of Object.entries(real)) {
      const ratio = (sim[name] ?? Number.NaN) / value;
      expect(`${name}: ${ratio > 1 / 3 && ratio < 3 ? "fine" : `${sim[name]} beside ${value}`}`).toBe(
        `${name}: fine`,
      );
    }
  });
});
