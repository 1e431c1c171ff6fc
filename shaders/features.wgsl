// The feature sweep: one thread for each instrument that saw events since the last sweep. It applies them in order to the
// instrument's windowed state, lets the windows forget up to the time of the row, and writes the row where the model reads it.
// The definitions are those of src/feature/schema.ts; src/feature/sweep-upload.ts writes the upload.
// schema 1a5fa72d96d78548
//
// How f32 keeps up with the double-precision tick path:
// - Times come as quarters of a µs since the instrument's last event, which is all that a double holds of a wall clock in µs.
//   Ages are whole quarters too, and saturate after 18 minutes.
// - A window multiplies by exp(-x), x = Δt/w. For small x it is 1-exp(-x) that must be exact: it is summed as a series.
// - Sums and means are pairs (high, low) of floats, added without loss (Knuth's two-sum).
// - Where a feature is the difference of a value and its mean, that difference is the state, not the mean: on a change of the
//   value by δ it grows by δ, and it fades like a sum. Nothing cancels.
// - Prices are whole ticks: each is subtracted from its like as an integer, and only differences become floats.

override WORKGROUP: u32 = 64u;

const FEATURES: u32 = 96u;
const NONE: u32 = 0xffffffffu;
const FRESH: u32 = 0x80000000u;
const QUARTER_US: f32 = 0.25;
const FOREVER: u32 = 0xffffffffu;

const TOP: u32 = 0u;
const BOOK: u32 = 1u;
const TRADE: u32 = 2u;
const TICKER: u32 = 3u;
const VOLATILITY: u32 = 4u;

const HAS_INDEX: u32 = 1u;
const HAS_FUNDING: u32 = 2u;

const RATE_MOVE_BP: f32 = 0.5;
const RATE_DEPTH_FRACTION: f32 = 0.8;
const INTERVAL_WEIGHT: f32 = 0.1;
// A sum that was ever positive stays so: ratios to it must not become 0/0 when f32 runs out of exponents.
const LEAST: f32 = 1e-30;

// [0] entries, [1] zero, [2..4] signals, [5] first word of the entries; then records and entries.
@group(0) @binding(0) var<storage, read> upload: array<u32>;
// [word][slot]: first INTS words of integers, then FLOATS floats, all as bits.
@group(0) @binding(1) var<storage, read_write> held: array<u32>;
// [row][FEATURES]
@group(0) @binding(2) var<storage, read_write> features: array<f32>;

// Integers of a slot.
const FLAGS: u32 = 0u;
const BID: u32 = 1u;
const ASK: u32 = 2u;
const MID_BID: u32 = 3u;
const MID_ASK: u32 = 4u;
const DOCUMENT_BID: u32 = 5u;
const DOCUMENT_ASK: u32 = 6u;
const INDEX_TICKS: u32 = 7u;
const AGE_TRADE: u32 = 8u;
const AGE_DIFF: u32 = 9u;
const AGE_MOVE: u32 = 10u;
const INTS: u32 = 11u;

// Bits of FLAGS.
const SEEN_BOOK: u32 = 1u;
const MID_KNOWN: u32 = 2u;
const BASIS_KNOWN: u32 = 4u;
const IV_KNOWN: u32 = 8u;
const INDEX_KNOWN: u32 = 16u;
const MOVED: u32 = 32u;
const WITHDRAWN: u32 = 128u;

// Floats of a slot; what has two sides holds the bid's first.
const QUEUE: u32 = 0u;
const DEPTH: u32 = 2u;
const STALE: u32 = 4u;
const TRADED: u32 = 6u;
const TRADE_SIDE: u32 = 8u;
const MOVE_SIDE: u32 = 9u;
const DIFF_INTERVAL: u32 = 10u;
const FUNDING: u32 = 11u;
const IV: u32 = 12u;
const BASIS: u32 = 13u;
const INDEX: u32 = 14u;
const INDEX_FRACTION: u32 = 15u;
// As DEPTH_METRIC of src/feature/depth.ts, ten a side.
const METRICS: u32 = 16u;
const SCALARS: u32 = 36u;

// Pairs of a slot, two floats each.
const QUEUE_MEAN: u32 = 0u;
const DEPTH_MEAN: u32 = 2u;
const DEPTH_MEAN_50: u32 = 4u;
const DEPTH_MEAN_500: u32 = 6u;
const DEPTH_LOW: u32 = 8u;
const DEPTH_HIGH: u32 = 10u;
const MOVE_RATE: u32 = 12u;
const WITHDRAW_RATE: u32 = 14u;
const AWAY_10: u32 = 16u;
const AWAY_50: u32 = 17u;
const AWAY_200: u32 = 18u;
const AWAY_1000: u32 = 19u;
const BASIS_AWAY: u32 = 20u;
const IV_AWAY: u32 = 21u;
const FLOW_50: u32 = 22u;
const FLOW_100: u32 = 23u;
const FLOW_500: u32 = 24u;
const FLOW_2000: u32 = 25u;
const NET_100: u32 = 26u;
const NET_1000: u32 = 28u;
const CANCEL_100: u32 = 30u;
const CANCEL_1000: u32 = 32u;
const TAKEN_50: u32 = 34u;
const TAKEN_200: u32 = 36u;
const TAKEN_1000: u32 = 38u;
const TRADES_1000: u32 = 40u;
const COUNT_50: u32 = 41u;
const COUNT_500: u32 = 42u;
const COUNT_10000: u32 = 43u;
const VARIANCE_100: u32 = 44u;
const VARIANCE_1000: u32 = 45u;
const VARIANCE_10000: u32 = 46u;
const PAIRS: u32 = 47u;

const WORDS: u32 = INTS + SCALARS + 2u * PAIRS;

var<private> ints: array<u32, INTS>;
var<private> s: array<f32, SCALARS>;
var<private> p: array<vec2f, PAIRS>;
// Zero, which the compiler cannot know.
var<private> zero: u32;
// Where the row in work begins.
var<private> out: u32;

// The same value, which the compiler may no longer trace back: it would simplify (a + b) - a.
fn opaque(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ zero);
}

// a + b as rounded sum and its error (Knuth, The Art of Computer Programming 2, 4.2.2).
fn two_sum(a: f32, b: f32) -> vec2f {
  let sum = opaque(a + b);
  let right = opaque(sum - a);
  let left = opaque(sum - right);
  return vec2f(sum, (a - left) + (b - right));
}

fn plus(a: vec2f, b: f32) -> vec2f {
  let sum = two_sum(a.x, b);
  return two_sum(sum.x, sum.y + a.y);
}

// What a window keeps and forgets in some time: x = 1 - exp(-Δt/w), y = exp(-Δt/w). The smaller one is exact.
fn decay(x: f32) -> vec2f {
  if (x < 0.5) {
    let forgets = x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 *
      (1.0 - x / 7.0 * (1.0 - x / 8.0)))))));
    return vec2f(forgets, 1.0 - forgets);
  }
  let keeps = exp(-x);
  return vec2f(1.0 - keeps, keeps);
}

fn faded(a: vec2f, w: vec2f) -> vec2f {
  if (w.y < 0.5) {
    return a * w.y;
  }
  let sum = two_sum(a.x, -a.x * w.x);
  return two_sum(sum.x, sum.y + a.y * w.y);
}

// A mean after its value was held that long.
fn blended(value: f32, mean: vec2f, w: vec2f) -> vec2f {
  let above = (mean.x - value) + mean.y;
  if (w.y < 0.5) {
    return positive(mean, two_sum(value, above * w.y));
  }
  return positive(mean, plus(mean, -above * w.x));
}

fn positive(before: vec2f, after: vec2f) -> vec2f {
  return select(after, vec2f(LEAST, 0.0), before.x > 0.0 && after.x < LEAST);
}

fn older(age: u32, delta: u32) -> u32 {
  return select(age + delta, FOREVER, delta > FOREVER - age);
}

fn flag(bit: u32) -> bool {
  return (ints[FLAGS] & bit) != 0u;
}

fn set_flag(bit: u32, on: bool) {
  ints[FLAGS] = select(ints[FLAGS] & ~bit, ints[FLAGS] | bit, on);
}

fn ticks(field: u32) -> i32 {
  return bitcast<i32>(ints[field]);
}

// Twice the mid, ticks.
fn mid2() -> f32 {
  return f32(ticks(MID_BID)) + f32(ticks(MID_ASK));
}

fn bp_per_tick() -> f32 {
  return select(0.0, 20000.0 / mid2(), flag(MID_KNOWN));
}

fn basis_bp() -> f32 {
  let index = ticks(INDEX_TICKS);
  let above = (f32(ticks(MID_BID) - index) + f32(ticks(MID_ASK) - index)) * 0.5 - s[INDEX_FRACTION];
  return above / s[INDEX] * 10000.0;
}

// After the mid or the index has changed.
fn update_basis() {
  if (!flag(MID_KNOWN) || !flag(INDEX_KNOWN)) {
    return;
  }
  let basis = basis_bp();
  if (flag(BASIS_KNOWN)) {
    p[BASIS_AWAY] = plus(p[BASIS_AWAY], basis - s[BASIS]);
  }
  set_flag(BASIS_KNOWN, true);
  s[BASIS] = basis;
}

fn advance(delta: u32) {
  if (delta == 0u) {
    return;
  }
  ints[AGE_TRADE] = older(ints[AGE_TRADE], delta);
  ints[AGE_DIFF] = older(ints[AGE_DIFF], delta);
  ints[AGE_MOVE] = older(ints[AGE_MOVE], delta);
  let us = f32(delta) * QUARTER_US;
  let w10 = decay(us / 10000.0);
  let w50 = decay(us / 50000.0);
  let w100 = decay(us / 100000.0);
  let w200 = decay(us / 200000.0);
  let w500 = decay(us / 500000.0);
  let w1000 = decay(us / 1000000.0);
  let w2000 = decay(us / 2000000.0);
  let w5000 = decay(us / 5000000.0);
  let w10000 = decay(us / 10000000.0);
  for (var side = 0u; side < 2u; side += 1u) {
    let queue = s[QUEUE + side];
    let depth = s[DEPTH + side];
    let moved = select(0.0, 1.0, flag(MOVED << side));
    let withdrawn = select(0.0, 1.0, flag(WITHDRAWN << side));
    p[MOVE_RATE + side] = blended(moved, p[MOVE_RATE + side], w5000);
    p[WITHDRAW_RATE + side] = blended(withdrawn, p[WITHDRAW_RATE + side], w5000);
    p[QUEUE_MEAN + side] = blended(queue, p[QUEUE_MEAN + side], w10000);
    p[DEPTH_MEAN + side] = blended(depth, p[DEPTH_MEAN + side], w10000);
    p[DEPTH_MEAN_50 + side] = blended(depth, p[DEPTH_MEAN_50 + side], w50);
    p[DEPTH_MEAN_500 + side] = blended(depth, p[DEPTH_MEAN_500 + side], w500);
    p[DEPTH_LOW + side] = blended(depth, p[DEPTH_LOW + side], w1000);
    p[DEPTH_HIGH + side] = blended(depth, p[DEPTH_HIGH + side], w1000);
    p[NET_100 + side] = faded(p[NET_100 + side], w100);
    p[NET_1000 + side] = faded(p[NET_1000 + side], w1000);
    p[CANCEL_100 + side] = faded(p[CANCEL_100 + side], w100);
    p[CANCEL_1000 + side] = faded(p[CANCEL_1000 + side], w1000);
    p[TAKEN_50 + side] = faded(p[TAKEN_50 + side], w50);
    p[TAKEN_200 + side] = faded(p[TAKEN_200 + side], w200);
    p[TAKEN_1000 + side] = faded(p[TAKEN_1000 + side], w1000);
  }
  p[AWAY_10] = faded(p[AWAY_10], w10);
  p[AWAY_50] = faded(p[AWAY_50], w50);
  p[AWAY_200] = faded(p[AWAY_200], w200);
  p[AWAY_1000] = faded(p[AWAY_1000], w1000);
  p[BASIS_AWAY] = faded(p[BASIS_AWAY], w10000);
  p[IV_AWAY] = faded(p[IV_AWAY], w10000);
  p[FLOW_50] = faded(p[FLOW_50], w50);
  p[FLOW_100] = faded(p[FLOW_100], w100);
  p[FLOW_500] = faded(p[FLOW_500], w500);
  p[FLOW_2000] = faded(p[FLOW_2000], w2000);
  p[TRADES_1000] = faded(p[TRADES_1000], w1000);
  p[COUNT_50] = faded(p[COUNT_50], w50);
  p[COUNT_500] = faded(p[COUNT_500], w500);
  p[COUNT_10000] = positive(p[COUNT_10000], faded(p[COUNT_10000], w10000));
  p[VARIANCE_100] = faded(p[VARIANCE_100], w100);
  p[VARIANCE_1000] = faded(p[VARIANCE_1000], w1000);
  p[VARIANCE_10000] = positive(p[VARIANCE_10000], faded(p[VARIANCE_10000], w10000));
}

fn word(at: u32) -> f32 {
  return bitcast<f32>(upload[at]);
}

fn count_event() {
  p[COUNT_50] = plus(p[COUNT_50], 1.0);
  p[COUNT_500] = plus(p[COUNT_500], 1.0);
  p[COUNT_10000] = plus(p[COUNT_10000], 1.0);
}

// at: bid and ask ticks (-1 = none), their lots, stale lots of each side.
fn take_top(at: u32) {
  let bid = bitcast<i32>(upload[at]);
  let ask = bitcast<i32>(upload[at + 1u]);
  let bid_lots = word(at + 2u);
  let ask_lots = word(at + 3u);
  let old_bid = ticks(BID);
  let old_ask = ticks(ASK);
  if (flag(MID_KNOWN)) {
    // An empty ask side, −1, counts as the highest price: as unsigned numbers it is.
    let high = bitcast<u32>(ask);
    let old_high = bitcast<u32>(old_ask);
    var flow = 0.0;
    flow += select(0.0, bid_lots, bid >= old_bid);
    flow -= select(0.0, s[QUEUE], bid <= old_bid);
    flow -= select(0.0, ask_lots, high <= old_high);
    flow += select(0.0, s[QUEUE + 1u], high >= old_high);
    p[FLOW_50] = plus(p[FLOW_50], flow);
    p[FLOW_100] = plus(p[FLOW_100], flow);
    p[FLOW_500] = plus(p[FLOW_500], flow);
    p[FLOW_2000] = plus(p[FLOW_2000], flow);
  }
  ints[BID] = upload[at];
  ints[ASK] = upload[at + 1u];
  s[QUEUE] = bid_lots;
  s[QUEUE + 1u] = ask_lots;
  if (p[QUEUE_MEAN].x == 0.0) {
    p[QUEUE_MEAN] = vec2f(bid_lots, 0.0);
  }
  if (p[QUEUE_MEAN + 1u].x == 0.0) {
    p[QUEUE_MEAN + 1u] = vec2f(ask_lots, 0.0);
  }
  s[STALE] = word(at + 4u);
  s[STALE + 1u] = word(at + 5u);
  if (bid >= 0 && ask >= 0) {
    take_mid(bid, ask);
  }
}

fn take_mid(bid: i32, ask: i32) {
  // In half ticks.
  let moved = f32(bid - ticks(MID_BID)) + f32(ask - ticks(MID_ASK));
  let known = flag(MID_KNOWN);
  let positive = bid > 0 || ask > 0;
  if (positive && (!known || moved != 0.0)) {
    let old2 = mid2();
    ints[MID_BID] = bitcast<u32>(bid);
    ints[MID_ASK] = bitcast<u32>(ask);
    set_flag(MID_KNOWN, true);
    update_basis();
    if (!known) {
      return;
    }
    let by = moved * 0.5;
    for (var window = AWAY_10; window <= AWAY_1000; window += 1u) {
      p[window] = plus(p[window], by);
    }
    let bp = moved / old2 * 10000.0;
    let squared = bp * bp;
    p[VARIANCE_100] = plus(p[VARIANCE_100], squared);
    p[VARIANCE_1000] = plus(p[VARIANCE_1000], squared);
    p[VARIANCE_10000] = plus(p[VARIANCE_10000], squared);
    ints[AGE_MOVE] = 0u;
    s[MOVE_SIDE] = select(-1.0, 1.0, moved > 0.0);
  }
  let away = select(0.0, p[AWAY_50].x * bp_per_tick(), positive);
  set_flag(MOVED, away <= -RATE_MOVE_BP);
  set_flag(MOVED << 1u, away >= RATE_MOVE_BP);
}

// at: a top; then the document's bid and ask (one side's when the other is empty, -1 when both are), ten metrics a side, the
// net change and what was removed of each side.
fn take_book(at: u32) {
  take_top(at);
  ints[DOCUMENT_BID] = upload[at + 6u];
  ints[DOCUMENT_ASK] = upload[at + 7u];
  for (var metric = 0u; metric < 20u; metric += 1u) {
    s[METRICS + metric] = word(at + 8u + metric);
  }
  let first = !flag(SEEN_BOOK);
  set_flag(SEEN_BOOK, true);
  for (var side = 0u; side < 2u; side += 1u) {
    let depth = s[METRICS + 10u * side + 2u];
    let pair = vec2f(depth, 0.0);
    s[DEPTH + side] = depth;
    if (first) {
      p[DEPTH_MEAN + side] = pair;
      p[DEPTH_MEAN_50 + side] = pair;
      p[DEPTH_MEAN_500 + side] = pair;
      p[DEPTH_LOW + side] = pair;
      p[DEPTH_HIGH + side] = pair;
    }
    let mean = p[DEPTH_MEAN_50 + side];
    set_flag(WITHDRAWN << side, depth < RATE_DEPTH_FRACTION * (mean.x + mean.y));
    if ((depth - p[DEPTH_LOW + side].x) - p[DEPTH_LOW + side].y < 0.0) {
      p[DEPTH_LOW + side] = pair;
    }
    if ((depth - p[DEPTH_HIGH + side].x) - p[DEPTH_HIGH + side].y > 0.0) {
      p[DEPTH_HIGH + side] = pair;
    }
    let net = word(at + 28u + side);
    let cancelled = max(0.0, word(at + 30u + side) - s[TRADED + side]);
    s[TRADED + side] = 0.0;
    p[NET_100 + side] = plus(p[NET_100 + side], net);
    p[NET_1000 + side] = plus(p[NET_1000 + side], net);
    p[CANCEL_100 + side] = plus(p[CANCEL_100 + side], cancelled);
    p[CANCEL_1000 + side] = plus(p[CANCEL_1000 + side], cancelled);
  }
  if (ints[AGE_DIFF] != FOREVER) {
    let interval = f32(ints[AGE_DIFF]) * QUARTER_US;
    let mean = s[DIFF_INTERVAL];
    s[DIFF_INTERVAL] = select(interval, mean + INTERVAL_WEIGHT * (interval - mean), mean > 0.0);
  }
  ints[AGE_DIFF] = 0u;
}

// at: the side that was hit, 0 bid, 1 ask; lots.
fn take_trade(at: u32) {
  let hit = upload[at];
  let lots = word(at + 1u);
  p[TAKEN_50 + hit] = plus(p[TAKEN_50 + hit], lots);
  p[TAKEN_200 + hit] = plus(p[TAKEN_200 + hit], lots);
  p[TAKEN_1000 + hit] = plus(p[TAKEN_1000 + hit], lots);
  s[TRADED + hit] += lots;
  p[TRADES_1000] = plus(p[TRADES_1000], 1.0);
  ints[AGE_TRADE] = 0u;
  s[TRADE_SIDE] = select(-1.0, 1.0, hit == 1u);
}

// at: which values there are; the index price as whole ticks, the fraction of a tick and both together; funding, bp.
fn take_ticker(at: u32) {
  let has = upload[at];
  if ((has & HAS_INDEX) != 0u) {
    ints[INDEX_TICKS] = upload[at + 1u];
    s[INDEX_FRACTION] = word(at + 2u);
    s[INDEX] = word(at + 3u);
    set_flag(INDEX_KNOWN, true);
    update_basis();
  }
  if ((has & HAS_FUNDING) != 0u) {
    s[FUNDING] = word(at + 4u);
  }
}

fn take_volatility(at: u32) {
  let iv = word(at);
  if (flag(IV_KNOWN)) {
    p[IV_AWAY] = plus(p[IV_AWAY], iv - s[IV]);
  }
  set_flag(IV_KNOWN, true);
  s[IV] = iv;
}

fn contrast(a: f32, b: f32) -> f32 {
  let sum = a + b;
  return select(0.0, (a - b) / sum, sum > 0.0);
}

fn soft(x: f32) -> f32 {
  return x / (1.0 + abs(x));
}

fn signed_log(x: f32) -> f32 {
  return sign(x) * log(1.0 + abs(x));
}

fn ratio(a: f32, b: f32) -> f32 {
  return select(0.0, a / b, b > 0.0);
}

fn put(feature: u32, value: f32) {
  let bad = (bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u;
  features[out + feature] = select(value, 0.0, bad);
}

fn age(quarters: u32, window_ms: f32) -> f32 {
  return select(exp(-f32(quarters) * QUARTER_US / (window_ms * 1000.0)), 0.0, quarters == FOREVER);
}

fn put_ages(feature: u32, quarters: u32) {
  put(feature, age(quarters, 5.0));
  put(feature + 1u, age(quarters, 20.0));
  put(feature + 2u, age(quarters, 60.0));
  put(feature + 3u, age(quarters, 200.0));
}

fn put_row() {
  let per_tick = bp_per_tick();
  let two_sided = ticks(BID) >= 0 && ticks(ASK) >= 0;
  let spread = select(0.0, f32(max(0, ticks(ASK) - ticks(BID))), two_sided);
  let tilt = contrast(s[QUEUE], s[QUEUE + 1u]);
  let queue_mean = (p[QUEUE_MEAN].x + p[QUEUE_MEAN + 1u].x) / 2.0;
  let per_queue = ratio(1.0, queue_mean);
  let bid = METRICS;
  let ask = METRICS + 10u;

  put(0u, select(0.0, log(spread), spread > 1.0));
  put(1u, log(1.0 + spread * per_tick));
  put(2u, tilt * spread * per_tick / 2.0);
  put(3u, tilt);
  for (var metric = 0u; metric < 5u; metric += 1u) {
    put(4u + metric, contrast(s[bid + metric], s[ask + metric]));
  }
  let ahead = (f32(ticks(MID_BID) - ticks(DOCUMENT_BID)) + f32(ticks(MID_ASK) - ticks(DOCUMENT_ASK))) * 0.5;
  let document = ticks(DOCUMENT_BID) > 0 || ticks(DOCUMENT_ASK) > 0;
  put(9u, select(0.0, ahead * per_tick, document && two_sided));

  for (var side = 0u; side < 2u; side += 1u) {
    let m = METRICS + 10u * side;
    let queue = s[QUEUE + side];
    let depth = s[DEPTH + side];
    put(10u + side, contrast(queue, p[QUEUE_MEAN + side].x));
    put(12u + side, ratio(queue, queue + s[m + 6u]));
    put(14u + side, min(1.0, ratio(s[STALE + side], depth)));
    put(16u + side, ratio(s[m + 5u], depth));
    put(18u + side, contrast(depth, p[DEPTH_MEAN + side].x));
    put(20u + side, contrast(depth, p[DEPTH_MEAN_50 + side].x));
    put(22u + side, contrast(depth, p[DEPTH_MEAN_500 + side].x));
    put(24u + side, contrast(depth, p[DEPTH_LOW + side].x));
    put(26u + side, contrast(depth, p[DEPTH_HIGH + side].x));
    put(28u + side, s[m + 7u]);
    put(30u + side, s[m + 8u]);
    put(32u + side, s[m + 9u]);
  }

  for (var window = 0u; window < 4u; window += 1u) {
    put(34u + window, signed_log(p[FLOW_50 + window].x * per_queue));
  }
  for (var side = 0u; side < 2u; side += 1u) {
    let per_depth = ratio(1.0, p[DEPTH_MEAN + side].x);
    for (var pair = 0u; pair < 4u; pair += 1u) {
      put(38u + pair * 2u + side, soft(p[NET_100 + pair * 2u + side].x * per_depth));
    }
  }
  for (var taken = 0u; taken < 6u; taken += 1u) {
    put(46u + taken, log(1.0 + p[TAKEN_50 + taken].x * per_queue));
  }
  for (var pair = 0u; pair < 3u; pair += 1u) {
    let sold = p[TAKEN_50 + pair * 2u].x;
    let bought = p[TAKEN_50 + pair * 2u + 1u].x;
    put(52u + pair, ratio(bought - sold, bought + sold + queue_mean / 10.0));
  }

  put(55u, s[TRADE_SIDE] * age(ints[AGE_TRADE], 20.0));
  put_ages(56u, ints[AGE_TRADE]);
  put_ages(60u, ints[AGE_DIFF]);
  put_ages(64u, ints[AGE_MOVE]);
  put(68u, s[MOVE_SIDE] * age(ints[AGE_MOVE], 20.0));
  let interval = s[DIFF_INTERVAL];
  put(69u, select(0.0, contrast(f32(ints[AGE_DIFF]) * QUARTER_US, interval), interval > 0.0));
  put(70u, log(1.0 + interval / 1000.0));
  put(71u, log(1.0 + p[TRADES_1000].x));
  put(72u, log(1.0 + p[COUNT_50].x));
  put(73u, log(1.0 + p[COUNT_500].x));
  put(74u, contrast(p[COUNT_50].x * 200.0, p[COUNT_10000].x));

  for (var window = 0u; window < 4u; window += 1u) {
    put(75u + window, signed_log(p[AWAY_10 + window].x * per_tick));
  }
  for (var window = 0u; window < 3u; window += 1u) {
    put(79u + window, log(1.0 + sqrt(max(0.0, p[VARIANCE_100 + window].x))));
  }
  put(82u, contrast(p[VARIANCE_100].x * 100.0, p[VARIANCE_10000].x));
  put(83u, contrast(p[VARIANCE_1000].x * 10.0, p[VARIANCE_10000].x));
  for (var rate = 0u; rate < 4u; rate += 1u) {
    put(84u + rate, p[MOVE_RATE + rate].x);
  }
  put(88u, select(0.0, s[BASIS], flag(BASIS_KNOWN)));
  put(89u, select(0.0, p[BASIS_AWAY].x, flag(BASIS_KNOWN)));
  put(90u, s[FUNDING]);
  put(91u, s[IV]);
  put(92u, p[IV_AWAY].x * 100.0);
  for (var signal = 0u; signal < 3u; signal += 1u) {
    put(93u + signal, word(2u + signal));
  }
}

fn start_afresh() {
  for (var i = 0u; i < INTS; i += 1u) {
    ints[i] = 0u;
  }
  for (var i = 0u; i < SCALARS; i += 1u) {
    s[i] = 0.0;
  }
  for (var i = 0u; i < PAIRS; i += 1u) {
    p[i] = vec2f(0.0);
  }
  ints[BID] = bitcast<u32>(-1i);
  ints[ASK] = bitcast<u32>(-1i);
  ints[DOCUMENT_BID] = bitcast<u32>(-1i);
  ints[DOCUMENT_ASK] = bitcast<u32>(-1i);
  ints[AGE_TRADE] = FOREVER;
  ints[AGE_DIFF] = FOREVER;
  ints[AGE_MOVE] = FOREVER;
}

@compute @workgroup_size(WORKGROUP)
fn sweep(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= upload[0]) {
    return;
  }
  zero = upload[1];
  let entry = upload[5] + 4u * id.x;
  let slot = upload[entry] & ~FRESH;
  let slots = arrayLength(&held) / WORDS;
  if ((upload[entry] & FRESH) != 0u) {
    start_afresh();
  } else {
    for (var i = 0u; i < INTS; i += 1u) {
      ints[i] = held[i * slots + slot];
    }
    for (var i = 0u; i < SCALARS; i += 1u) {
      s[i] = bitcast<f32>(held[(INTS + i) * slots + slot]);
    }
    for (var i = 0u; i < PAIRS; i += 1u) {
      let at = (INTS + SCALARS + 2u * i) * slots + slot;
      p[i] = vec2f(bitcast<f32>(held[at]), bitcast<f32>(held[at + slots]));
    }
  }
  // Each record: where the slot's next one is (0 = no more), its kind, quarters of a µs since the one before, its values.
  for (var record = upload[entry + 1u]; record != 0u; record = upload[record]) {
    let kind = upload[record + 1u];
    advance(upload[record + 2u]);
    let at = record + 3u;
    if (kind <= TRADE) {
      count_event();
    }
    switch (kind) {
      case TOP: {
        take_top(at);
      }
      case BOOK: {
        take_book(at);
      }
      case TRADE: {
        take_trade(at);
      }
      case TICKER: {
        take_ticker(at);
      }
      default: {
        take_volatility(at);
      }
    }
  }
  advance(upload[entry + 2u]);
  for (var i = 0u; i < INTS; i += 1u) {
    held[i * slots + slot] = ints[i];
  }
  for (var i = 0u; i < SCALARS; i += 1u) {
    held[(INTS + i) * slots + slot] = bitcast<u32>(s[i]);
  }
  for (var i = 0u; i < PAIRS; i += 1u) {
    let at = (INTS + SCALARS + 2u * i) * slots + slot;
    held[at] = bitcast<u32>(p[i].x);
    held[at + slots] = bitcast<u32>(p[i].y);
  }
  let row = upload[entry + 3u];
  if (row != NONE) {
    out = row * FEATURES;
    put_row();
  }
}
