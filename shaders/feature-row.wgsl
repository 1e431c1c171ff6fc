// Part of features.wgsl: the row of features that a state gives.

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
