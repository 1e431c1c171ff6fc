/*
 * The features themselves, in plain C that compilers turn into vectors. Compiled once for each instruction set, which KEEL_ISA
 * names; a product and a sum stay two roundings.
 */
#include "feature_depth.h"
#include "feature_state.h"

/* Numbers of src/feature/tick.ts. */
#define RATE_MOVE_BP 0.5
#define RATE_DEPTH_FRACTION 0.8
#define INTERVAL_WEIGHT 0.1

/* Math.max(0, x) */
INLINE double not_negative(double x) { return x != x ? x : x > 0 ? x : 0; }

/* Math.min(1, x) */
INLINE double at_most_one(double x) { return x != x ? x : x < 1 ? x : 1; }

INLINE double contrast(double a, double b) {
  const double sum = a + b;
  return sum > 0 ? (a - b) / sum : 0;
}

INLINE void update_mid(double *s, double mid) {
  const double old = s[MID];
  if (mid != old && mid > 0) {
    s[MID] = mid;
    if (old == 0) {
      for (int32_t field = MID_10; field <= MID_1000; field += 1) s[field] = mid;
      if (s[BASIS_MEAN] != s[BASIS_MEAN]) s[BASIS_MEAN] = basis_bp(s);
      return;
    }
    const double move_bp = (mid - old) / old * 10000;
    const double squared = move_bp * move_bp;
    s[VARIANCE_100] += squared;
    s[VARIANCE_1000] += squared;
    s[VARIANCE_10000] += squared;
    s[LAST_MOVE] = s[TIME];
    s[MOVE_SIDE] = move_bp > 0 ? 1 : -1;
  }
  const double away_bp = mid > 0 ? (mid - s[MID_50]) / mid * 10000 : 0;
  s[MOVED] = away_bp <= -RATE_MOVE_BP ? 1 : 0;
  s[MOVED + 1] = away_bp >= RATE_MOVE_BP ? 1 : 0;
}

/* Takes the best prices and queues, and what follows from their change: order flow, mid, stale depth. */
static void update_top(const keel_features *f, double *s, int32_t slot, const keel_best *best) {
  const double bid_ticks = best->bid_ticks, ask_ticks = best->ask_ticks;
  const double bid_lots = bid_ticks >= 0 ? best->bid_lots : 0;
  const double ask_lots = ask_ticks >= 0 ? best->ask_lots : 0;
  const double old_bid = s[BID_TICKS], old_ask = s[ASK_TICKS];
  /* An empty ask side counts as infinitely high, as an empty bid side (-1) counts as lowest. */
  const double ask = ask_ticks >= 0 ? ask_ticks : INFINITY;
  if (s[MID] > 0) {
    const double previous_ask = old_ask >= 0 ? old_ask : INFINITY;
    double flow = 0;
    if (bid_ticks >= old_bid) flow += bid_lots;
    if (bid_ticks <= old_bid) flow -= s[QUEUE];
    if (ask <= previous_ask) flow -= ask_lots;
    if (ask >= previous_ask) flow += s[QUEUE + 1];
    for (int32_t window = FLOW_50; window <= FLOW_2000; window += 1) s[window] += flow;
  }
  s[BID_TICKS] = bid_ticks;
  s[ASK_TICKS] = ask_ticks;
  s[QUEUE] = bid_lots;
  s[QUEUE + 1] = ask_lots;
  if (s[QUEUE_MEAN] == 0) s[QUEUE_MEAN] = bid_lots;
  if (s[QUEUE_MEAN + 1] == 0) s[QUEUE_MEAN + 1] = ask_lots;
  s[STALE] = stale_lots(f, slot, 0, bid_ticks);
  s[STALE + 1] = stale_lots(f, slot, 1, ask);
  if (bid_ticks >= 0 && ask_ticks >= 0) update_mid(s, (bid_ticks + ask_ticks) / 2);
}

void FOR_ISA(keel_feature_top)(const keel_features *f, int32_t slot, const keel_best *best, double time_us) {
  double *const s = f->state + (size_t)slot * STRIDE;
  count_event(s, time_us);
  update_top(f, s, slot, best);
}

void FOR_ISA(keel_feature_trade)(const keel_features *f, int32_t slot, int32_t aggressor_side, double size_lots,
                                         double time_us) {
  double *const s = f->state + (size_t)slot * STRIDE;
  count_event(s, time_us);
  const double lots = size_lots > 0 && size_lots < INFINITY ? size_lots : 0;
  const int32_t hit = aggressor_side == 0 ? 1 : 0;
  s[TAKEN_50 + hit] += lots;
  s[TAKEN_200 + hit] += lots;
  s[TAKEN_1000 + hit] += lots;
  s[TRADED + hit] += lots;
  s[TRADES_1000] += 1;
  s[LAST_TRADE] = s[TIME];
  s[TRADE_SIDE] = aggressor_side == 0 ? 1 : -1;
}

void FOR_ISA(keel_feature_levels)(const keel_features *f, int32_t slot, int32_t bids, int32_t asks, bool is_delta,
                                          const keel_best *best, double time_us) {
  double *const s = f->state + (size_t)slot * STRIDE;
  count_event(s, time_us);
  const int32_t *const price = f->fresh_price;
  const double best_bid = bids > 0 ? price[0] : 0, best_ask = asks > 0 ? price[KEEL_DEPTH_LEVELS] : 0;
  const double mid = bids > 0 && asks > 0 ? (best_bid + best_ask) / 2 : best_bid + best_ask;
  const bool same_mid = mid == f->mid_ticks[slot];
  double net[2], removed[2];
  f->mid_ticks[slot] = mid;
  refresh_side(f, slot, 0, bids, mid, same_mid, is_delta, &net[0], &removed[0]);
  refresh_side(f, slot, 1, asks, mid, same_mid, is_delta, &net[1], &removed[1]);
  update_top(f, s, slot, best);
  const bool first = s[SEEN_BOOK] == 0;
  s[SEEN_BOOK] = 1;
  for (int32_t side = 0; side < 2; side += 1) {
    const double depth = f->metrics[(size_t)(slot * 2 + side) * DEPTH_METRICS + SUM10];
    s[DEPTH + side] = depth;
    if (first) {
      s[DEPTH_MEAN + side] = depth;
      s[DEPTH_MEAN_50 + side] = depth;
      s[DEPTH_MEAN_500 + side] = depth;
      s[DEPTH_LOW + side] = depth;
      s[DEPTH_HIGH + side] = depth;
    }
    s[WITHDRAWN + side] = depth < RATE_DEPTH_FRACTION * s[DEPTH_MEAN_50 + side] ? 1 : 0;
    if (depth < s[DEPTH_LOW + side]) s[DEPTH_LOW + side] = depth;
    if (depth > s[DEPTH_HIGH + side]) s[DEPTH_HIGH + side] = depth;
    const double cancelled = not_negative(removed[side] - s[TRADED + side]);
    s[TRADED + side] = 0;
    s[NET_100 + side] += net[side];
    s[NET_1000 + side] += net[side];
    s[CANCEL_100 + side] += cancelled;
    s[CANCEL_1000 + side] += cancelled;
  }
  const double now = s[TIME];
  const double interval = now - s[LAST_DIFF];
  if (interval < INFINITY) {
    const double mean = s[DIFF_INTERVAL];
    s[DIFF_INTERVAL] = mean > 0 ? mean + INTERVAL_WEIGHT * (interval - mean) : interval;
  }
  s[LAST_DIFF] = now;
}

/* exp(-age/5 ms), /20, /60 and /200 ms: four powers of one exponential. A negative age counts as 0. */
INLINE void write_ages(double p1, double *to) {
  const double p3 = p1 * p1 * p1;
  const double p9 = p3 * p3 * p3;
  const double p10 = p9 * p1;
  const double p30 = p10 * p10 * p10;
  const double p60 = p30 * p30;
  to[0] = p60 * p60;
  to[1] = p30;
  to[2] = p10;
  to[3] = p3;
}

void FOR_ISA(keel_feature_write)(const keel_features *f, int32_t slot, double time_us, float *row) {
  double *const s = f->state + (size_t)slot * STRIDE;
  advance(s, time_us);
  advance_context(s, time_us);
  const double *const bid = f->metrics + (size_t)slot * 2 * DEPTH_METRICS;
  const double *const ask = bid + DEPTH_METRICS;
  const double now = s[TIME], mid = s[MID];
  const double bp_per_tick = mid > 0 ? 10000 / mid : 0;
  const bool two_sided = s[BID_TICKS] >= 0 && s[ASK_TICKS] >= 0;
  const double spread = two_sided ? not_negative(s[ASK_TICKS] - s[BID_TICKS]) : 0;
  const double document_mid = f->mid_ticks[slot];
  const double queue_mean = (s[QUEUE_MEAN] + s[QUEUE_MEAN + 1]) / 2;
  const double per_queue = queue_mean > 0 ? 1 / queue_mean : 0;
  const double interval = s[DIFF_INTERVAL];

  /* What is divided: queue tilt, five depths, six of each side, interval, count, two variances. */
  double a[PADDED] = {0}, b[PADDED] = {0};
  a[0] = s[QUEUE];
  b[0] = s[QUEUE + 1];
  for (int32_t metric = SUM3; metric <= NEAR; metric += 1) {
    a[1 + metric] = bid[metric];
    b[1 + metric] = ask[metric];
  }
  for (int32_t side = 0; side < 2; side += 1) {
    a[6 + side] = s[QUEUE + side];
    b[6 + side] = s[QUEUE_MEAN + side];
    for (int32_t pair = 0; pair < 5; pair += 1) {
      a[8 + pair * 2 + side] = s[DEPTH + side];
      b[8 + pair * 2 + side] = s[DEPTH_MEAN + pair * 2 + side];
    }
  }
  if (interval > 0) {
    a[18] = now - s[LAST_DIFF];
    b[18] = interval;
  }
  a[19] = s[COUNT_50] * 200;
  b[19] = s[COUNT_10000];
  a[20] = s[VARIANCE_100] * 100;
  b[20] = s[VARIANCE_10000];
  a[21] = s[VARIANCE_1000] * 10;
  b[21] = s[VARIANCE_10000];
  double tilt[PADDED];
  for (int32_t i = 0; i < PADDED; i += 1) tilt[i] = contrast(a[i], b[i]);

  /* What logarithms are taken of, and which of them have the sign of the value. */
  double value[PADDED] = {0}, logs[PADDED];
  value[0] = spread > 1 ? spread - 1 : 0;
  value[1] = spread * bp_per_tick;
  for (int32_t i = 0; i < 4; i += 1) value[2 + i] = s[FLOW_50 + i] * per_queue;
  for (int32_t i = 0; i < 6; i += 1) value[6 + i] = s[TAKEN_50 + i] * per_queue;
  value[12] = interval / 1000;
  value[13] = s[TRADES_1000];
  value[14] = s[COUNT_50];
  value[15] = s[COUNT_500];
  for (int32_t i = 0; i < 4; i += 1) value[16 + i] = (mid - s[MID_10 + i]) * bp_per_tick;
  for (int32_t i = 0; i < 3; i += 1) value[20 + i] = sqrt(s[VARIANCE_100 + i]);
  for (int32_t i = 0; i < PADDED; i += 1) {
    const double magnitude = natural_log(1 + fabs(value[i]));
    logs[i] = value[i] < 0 ? -magnitude : magnitude;
  }

  double soft[8];
  for (int32_t side = 0; side < 2; side += 1) {
    const double per_depth = s[DEPTH_MEAN + side] > 0 ? 1 / s[DEPTH_MEAN + side] : 0;
    for (int32_t pair = 0; pair < 4; pair += 1) soft[pair * 2 + side] = s[NET_100 + pair * 2 + side] * per_depth;
  }

  double age[4] = {now - s[LAST_TRADE], now - s[LAST_DIFF], now - s[LAST_MOVE], 0};
  for (int32_t i = 0; i < 4; i += 1) {
    const double power = exponential(-age[i] / 600000);
    age[i] = age[i] > 0 ? power : 1;
  }

  double v[KEEL_FEATURES];
  v[0] = logs[0];
  v[1] = logs[1];
  v[2] = tilt[0] * spread * bp_per_tick / 2;
  v[3] = tilt[0];
  for (int32_t i = 0; i < 5; i += 1) v[4 + i] = tilt[1 + i];
  v[9] = document_mid > 0 && two_sided ? (mid - document_mid) * bp_per_tick : 0;
  for (int32_t side = 0; side < 2; side += 1) {
    const double *const metrics = side == 0 ? bid : ask;
    const double queue = s[QUEUE + side], held = s[DEPTH + side];
    const double total = queue + metrics[BEHIND];
    v[10 + side] = tilt[6 + side];
    v[12 + side] = total > 0 ? queue / total : 0;
    v[14 + side] = held > 0 ? at_most_one(s[STALE + side] / held) : 0;
    v[16 + side] = held > 0 ? metrics[LARGEST] / held : 0;
    v[28 + side] = metrics[SLOPE];
    v[30 + side] = metrics[GAP];
    v[32 + side] = metrics[RANGE];
  }
  for (int32_t i = 0; i < 10; i += 1) v[18 + i] = tilt[8 + i];
  for (int32_t i = 0; i < 4; i += 1) v[34 + i] = logs[2 + i];
  for (int32_t i = 0; i < 8; i += 1) v[38 + i] = soft[i] / (1 + fabs(soft[i]));
  for (int32_t i = 0; i < 6; i += 1) v[46 + i] = logs[6 + i];
  for (int32_t i = 0; i < 3; i += 1) {
    const double sold = s[TAKEN_50 + i * 2], bought = s[TAKEN_50 + i * 2 + 1];
    const double total = sold + bought + queue_mean / 10;
    v[52 + i] = total > 0 ? (bought - sold) / total : 0;
  }
  write_ages(age[0], v + 56);
  write_ages(age[1], v + 60);
  write_ages(age[2], v + 64);
  v[55] = s[TRADE_SIDE] * (double)(float)v[57];
  v[68] = s[MOVE_SIDE] * (double)(float)v[65];
  v[69] = tilt[18];
  v[70] = logs[12];
  v[71] = logs[13];
  v[72] = logs[14];
  v[73] = logs[15];
  v[74] = tilt[19];
  for (int32_t i = 0; i < 4; i += 1) v[75 + i] = logs[16 + i];
  for (int32_t i = 0; i < 3; i += 1) v[79 + i] = logs[20 + i];
  v[82] = tilt[20];
  v[83] = tilt[21];
  for (int32_t i = 0; i < 4; i += 1) v[84 + i] = s[MOVE_RATE + i];
  const double basis = basis_bp(s);
  v[88] = basis;
  v[89] = basis - s[BASIS_MEAN];
  v[90] = s[FUNDING] * 10000;
  v[91] = s[IV];
  v[92] = (s[IV] - s[IV_MEAN]) * 100;
  for (int32_t i = 0; i < KEEL_FEATURE_SIGNALS; i += 1) v[93 + i] = f->signals[i];
  for (int32_t i = 0; i < KEEL_FEATURES; i += 1) {
    const float rounded = (float)v[i];
    row[i] = rounded - rounded == 0 ? rounded : 0;
  }
}
