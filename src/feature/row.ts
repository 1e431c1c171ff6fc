import { writeContext } from "./context.ts";
import { DEPTH_METRIC, DEPTH_METRICS, type DepthView } from "./depth.ts";
import { naturalLog } from "./elementary.ts";
import {
  ASK_TICKS,
  BASIS_MEAN,
  BID_TICKS,
  COUNT_50,
  COUNT_500,
  COUNT_10000,
  DEPTH,
  DEPTH_HIGH,
  DEPTH_LOW,
  DEPTH_MEAN,
  DEPTH_MEAN_50,
  DEPTH_MEAN_500,
  DIFF_INTERVAL,
  FLOW_50,
  FLOW_2000,
  FUNDING,
  INDEX,
  LAST_DIFF,
  LAST_MOVE,
  LAST_TRADE,
  MID,
  MID_10,
  MID_1000,
  MOVE_RATE,
  MOVE_SIDE,
  NET_100,
  QUEUE,
  QUEUE_MEAN,
  STALE,
  TAKEN_50,
  TIME,
  TRADE_SIDE,
  TRADES_1000,
  VARIANCE_100,
  VARIANCE_1000,
  VARIANCE_10000,
} from "./state.ts";
import { contrast, signedLog, soft, writeAges } from "./window.ts";

/**
 * Writes the features of the slot whose state starts at `at`, `FEATURE_COUNT` values in schema order from `offset`. The
 * state has been advanced to the time of the row. What cannot be told (an empty book, no index price) is 0.
 */
export function writeRow(
  s: Float64Array,
  at: number,
  depth: DepthView,
  slot: number,
  signals: Float64Array,
  out: Float32Array,
  offset: number,
): void {
  const metrics = depth.metrics;
  const b = slot * 2 * DEPTH_METRICS;
  const a = b + DEPTH_METRICS;
  const now = s[at + TIME];
  const mid = s[at + MID];
  const bpPerTick = mid > 0 ? 10_000 / mid : 0;
  const twoSided = s[at + BID_TICKS] >= 0 && s[at + ASK_TICKS] >= 0;
  const spreadTicks = twoSided ? Math.max(0, s[at + ASK_TICKS] - s[at + BID_TICKS]) : 0;
  const queueTilt = contrast(s[at + QUEUE], s[at + QUEUE + 1]);
  const documentMid = depth.midTicks[slot];
  const queueMean = (s[at + QUEUE_MEAN] + s[at + QUEUE_MEAN + 1]) / 2;
  const perQueue = queueMean > 0 ? 1 / queueMean : 0;

  let i = offset;
  out[i++] = spreadTicks > 1 ? naturalLog(spreadTicks) : 0;
  out[i++] = naturalLog(1 + spreadTicks * bpPerTick);
  out[i++] = (queueTilt * spreadTicks * bpPerTick) / 2;
  out[i++] = queueTilt;
  for (let metric = DEPTH_METRIC.sum3; metric <= DEPTH_METRIC.near; metric += 1) {
    out[i++] = contrast(metrics[b + metric], metrics[a + metric]);
  }
  out[i++] = documentMid > 0 && twoSided ? (mid - documentMid) * bpPerTick : 0;

  for (let side = 0; side < 2; side += 1) {
    const m = b + side * DEPTH_METRICS;
    const queue = s[at + QUEUE + side];
    const held = s[at + DEPTH + side];
    const total = queue + metrics[m + DEPTH_METRIC.behind];
    out[i + side] = contrast(queue, s[at + QUEUE_MEAN + side]);
    out[i + side + 2] = total > 0 ? queue / total : 0;
    out[i + side + 4] = held > 0 ? Math.min(1, s[at + STALE + side] / held) : 0;
    out[i + side + 6] = held > 0 ? metrics[m + DEPTH_METRIC.largest] / held : 0;
    out[i + side + 8] = contrast(held, s[at + DEPTH_MEAN + side]);
    out[i + side + 10] = contrast(held, s[at + DEPTH_MEAN_50 + side]);
    out[i + side + 12] = contrast(held, s[at + DEPTH_MEAN_500 + side]);
    out[i + side + 14] = contrast(held, s[at + DEPTH_LOW + side]);
    out[i + side + 16] = contrast(held, s[at + DEPTH_HIGH + side]);
    out[i + side + 18] = metrics[m + DEPTH_METRIC.slope];
    out[i + side + 20] = metrics[m + DEPTH_METRIC.gap];
    out[i + side + 22] = metrics[m + DEPTH_METRIC.range];
  }
  i += 24;

  for (let window = FLOW_50; window <= FLOW_2000; window += 1)
    out[i++] = signedLog(s[at + window] * perQueue);
  for (let side = 0; side < 2; side += 1) {
    const perDepth = s[at + DEPTH_MEAN + side] > 0 ? 1 / s[at + DEPTH_MEAN + side] : 0;
    for (let pair = 0; pair < 4; pair += 1) {
      out[i + pair * 2 + side] = soft(s[at + NET_100 + pair * 2 + side] * perDepth);
    }
  }
  i += 8;
  for (let field = TAKEN_50; field < TRADES_1000; field += 1)
    out[i++] = naturalLog(1 + s[at + field] * perQueue);
  for (let pair = TAKEN_50; pair < TRADES_1000; pair += 2) {
    const total = s[at + pair] + s[at + pair + 1] + queueMean / 10;
    out[i++] = total > 0 ? (s[at + pair + 1] - s[at + pair]) / total : 0;
  }

  const tradeAges = i + 1;
  const moveAges = i + 9;
  writeAges(now - s[at + LAST_TRADE], out, tradeAges);
  writeAges(now - s[at + LAST_DIFF], out, i + 5);
  writeAges(now - s[at + LAST_MOVE], out, moveAges);
  out[i] = s[at + TRADE_SIDE] * out[tradeAges + 1];
  out[i + 13] = s[at + MOVE_SIDE] * out[moveAges + 1];
  i += 14;
  const interval = s[at + DIFF_INTERVAL];
  out[i++] = interval > 0 ? contrast(now - s[at + LAST_DIFF], interval) : 0;
  out[i++] = naturalLog(1 + interval / 1_000);
  out[i++] = naturalLog(1 + s[at + TRADES_1000]);
  out[i++] = naturalLog(1 + s[at + COUNT_50]);
  out[i++] = naturalLog(1 + s[at + COUNT_500]);
  out[i++] = contrast(s[at + COUNT_50] * 200, s[at + COUNT_10000]);

  for (let mean = MID_10; mean <= MID_1000; mean += 1) out[i++] = signedLog((mid - s[at + mean]) * bpPerTick);
  for (let window = VARIANCE_100; window <= VARIANCE_10000; window += 1) {
    out[i++] = naturalLog(1 + Math.sqrt(s[at + window]));
  }
  out[i++] = contrast(s[at + VARIANCE_100] * 100, s[at + VARIANCE_10000]);
  out[i++] = contrast(s[at + VARIANCE_1000] * 10, s[at + VARIANCE_10000]);
  for (let rate = MOVE_RATE; rate < MOVE_RATE + 4; rate += 1) out[i++] = s[at + rate];

  const basis = basisBp(s, at);
  out[i++] = basis;
  out[i++] = basis - s[at + BASIS_MEAN];
  out[i++] = s[at + FUNDING] * 10_000;

  for (let feature = offset; feature < i; feature += 1) {
    const value = out[feature];
    if (!(value - value === 0)) out[feature] = 0;
  }
  writeContext(s, at, signals, out, i);
}

/** Mid over index less one, bp; NaN while either is unknown. */
export function basisBp(s: Float64Array, at: number): number {
  const mid = s[at + MID];
  return mid > 0 ? (mid / s[at + INDEX] - 1) * 10_000 : Number.NaN;
}
