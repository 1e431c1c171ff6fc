// Part of features.wgsl: exact sums, and how windows forget.

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
