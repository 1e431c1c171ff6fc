// Part of features.wgsl: what each kind of event does to an instrument's state.

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
