/*
 * The features themselves, in plain C that compilers turn into vectors. Compiled once for each instruction set, which KEEL_ISA
 * names; a product and a sum stay two roundings.
 */
#include <math.h>
#include <stdbool.h>

#include "elementary.h"
#include "feature.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define INLINE static inline __attribute__((always_inline))

/* src/feature/state.ts */
enum {
  TIME = 0,
  FIRST_TIME = 1,
  EVENTS = 2,
  BID_TICKS = 3,
  ASK_TICKS = 4,
  QUEUE = 5,
  MID = 7,
  DEPTH = 8,
  STALE = 10,
  SEEN_BOOK = 12,
  LAST_DIFF = 13,
  LAST_TRADE = 14,
  LAST_MOVE = 15,
  TRADE_SIDE = 16,
  MOVE_SIDE = 17,
  DIFF_INTERVAL = 18,
  TRADED = 19,
  INDEX = 21,
  FUNDING = 22,
  IV = 23,
  QUEUE_MEAN = 24,
  DEPTH_MEAN = 26,
  DEPTH_MEAN_50 = 28,
  DEPTH_MEAN_500 = 30,
  DEPTH_LOW = 32,
  DEPTH_HIGH = 34,
  MID_10 = 36,
  MID_50 = 37,
  MID_200 = 38,
  MID_1000 = 39,
  MOVE_RATE = 40,
  WITHDRAW_RATE = 42,
  BASIS_MEAN = 44,
  IV_MEAN = 45,
  FLOW_50 = 46,
  FLOW_2000 = 49,
  NET_100 = 50,
  NET_1000 = 52,
  CANCEL_100 = 54,
  CANCEL_1000 = 56,
  TAKEN_50 = 58,
  TAKEN_200 = 60,
  TAKEN_1000 = 62,
  TRADES_1000 = 64,
  COUNT_50 = 65,
  COUNT_500 = 66,
  COUNT_10000 = 67,
  VARIANCE_100 = 68,
  VARIANCE_1000 = 69,
  VARIANCE_10000 = 70,
  MOVED = 71,
  WITHDRAWN = 73,
  IV_TIME = 75,
  STRIDE = 76,
};

/* src/feature/depth.ts */
enum { SUM3 = 0, SUM5, SUM10, SUM20, NEAR, LARGEST, BEHIND, SLOPE, GAP, RANGE, DEPTH_METRICS };
#define WITHDRAWAL_LEVELS 10

/* Numbers of src/feature/tick.ts. */
#define CLOCK_JITTER_US 1000000.0
#define RATE_MOVE_BP 0.5
#define RATE_DEPTH_FRACTION 0.8
#define INTERVAL_WEIGHT 0.1

/* A multiple of the widest vector's doubles. */
#define PADDED 24

/* Math.max(0, x) */
INLINE double not_negative(double x) { return x != x ? x : x > 0 ? x : 0; }

/* Math.min(1, x) */
INLINE double at_most_one(double x) { return x != x ? x : x < 1 ? x : 1; }

INLINE double contrast(double a, double b) {
  const double sum = a + b;
  return sum > 0 ? (a - b) / sum : 0;
}

/* Mean after the value `held` stood for the time that `decay` tells. */
INLINE double blend(double held, double mean, double decay) { return held + (mean - held) * decay; }

INLINE double basis_bp(const double *s) { return s[MID] > 0 ? (s[MID] / s[INDEX] - 1) * 10000 : NAN; }

INLINE void shift_clock(double *s, double delta_us) {
  s[TIME] += delta_us;
  s[FIRST_TIME] += delta_us;
  s[LAST_DIFF] += delta_us;
  s[LAST_TRADE] += delta_us;
  s[LAST_MOVE] += delta_us;
}

/* Lets every window forget up to `time_us`; the values held since the last event enter the means. */
static void advance(double *s, double time_us) {
  const double delta = time_us - s[TIME];
  if (!(delta > 0)) {
    if (delta < -CLOCK_JITTER_US) shift_clock(s, delta);
    else if (s[TIME] != s[TIME] && fabs(time_us) < INFINITY) s[TIME] = time_us;
    return;
  }
  s[TIME] = time_us;
  const double p1 = exponential(-delta / 10000000);
  const double p2 = p1 * p1;
  const double p5 = p2 * p2 * p1;
  const double p10 = p5 * p5;
  const double p20 = p10 * p10;
  const double p50 = p20 * p20 * p10;
  const double p100 = p50 * p50;
  const double p200 = p100 * p100;
  const double p400 = p200 * p200;
  const double d10000 = p1, d5000 = p2, d2000 = p5, d1000 = p10, d500 = p20, d200 = p50, d100 = p100, d50 = p200;
  const double d10 = p400 * p400 * p200;
  for (int32_t side = 0; side < 2; side += 1) {
    const double queue = s[QUEUE + side], depth = s[DEPTH + side];
    s[MOVE_RATE + side] = blend(s[MOVED + side], s[MOVE_RATE + side], d5000);
    s[WITHDRAW_RATE + side] = blend(s[WITHDRAWN + side], s[WITHDRAW_RATE + side], d5000);
    s[QUEUE_MEAN + side] = blend(queue, s[QUEUE_MEAN + side], d10000);
    s[DEPTH_MEAN + side] = blend(depth, s[DEPTH_MEAN + side], d10000);
    s[DEPTH_MEAN_50 + side] = blend(depth, s[DEPTH_MEAN_50 + side], d50);
    s[DEPTH_MEAN_500 + side] = blend(depth, s[DEPTH_MEAN_500 + side], d500);
    s[DEPTH_LOW + side] = blend(depth, s[DEPTH_LOW + side], d1000);
    s[DEPTH_HIGH + side] = blend(depth, s[DEPTH_HIGH + side], d1000);
    s[NET_100 + side] *= d100;
    s[NET_1000 + side] *= d1000;
    s[CANCEL_100 + side] *= d100;
    s[CANCEL_1000 + side] *= d1000;
    s[TAKEN_50 + side] *= d50;
    s[TAKEN_200 + side] *= d200;
    s[TAKEN_1000 + side] *= d1000;
  }
  const double mid = s[MID];
  s[MID_10] = blend(mid, s[MID_10], d10);
  s[MID_50] = blend(mid, s[MID_50], d50);
  s[MID_200] = blend(mid, s[MID_200], d200);
  s[MID_1000] = blend(mid, s[MID_1000], d1000);
  s[BASIS_MEAN] = blend(basis_bp(s), s[BASIS_MEAN], d10000);
  s[FLOW_50] *= d50;
  s[FLOW_50 + 1] *= d100;
  s[FLOW_50 + 2] *= d500;
  s[FLOW_2000] *= d2000;
  s[TRADES_1000] *= d1000;
  s[COUNT_50] *= d50;
  s[COUNT_500] *= d500;
  s[COUNT_10000] *= d10000;
  s[VARIANCE_100] *= d100;
  s[VARIANCE_1000] *= d1000;
  s[VARIANCE_10000] *= d10000;
}

/* `advanceContext` of src/feature/context.ts: the volatility has a time of its own. */
static void advance_context(double *s, double time_us) {
  const double delta = time_us - s[IV_TIME];
  if (delta > 0) {
    s[IV_TIME] = time_us;
    s[IV_MEAN] = blend(s[IV], s[IV_MEAN], exponential(-delta / 10000000));
  } else if (delta < -CLOCK_JITTER_US) s[IV_TIME] += delta;
  else if (s[IV_TIME] != s[IV_TIME] && fabs(time_us) < INFINITY) s[IV_TIME] = time_us;
}

/* Moves the slot to `time_us` and counts an event there. */
INLINE void count_event(double *s, double time_us) {
  advance(s, time_us);
  if (s[FIRST_TIME] != s[FIRST_TIME]) s[FIRST_TIME] = s[TIME];
  s[EVENTS] += 1;
  s[COUNT_50] += 1;
  s[COUNT_500] += 1;
  s[COUNT_10000] += 1;
}

/* Size of the levels of the last diff that are better than the best price: gone already by the top stream. */
INLINE double stale_lots(const keel_features *f, int32_t slot, int32_t side, double best_ticks) {
  const int32_t row = slot * 2 + side;
  const int32_t *const price = f->price_ticks + (size_t)row * KEEL_DEPTH_LEVELS;
  const double *const size = f->size_lots + (size_t)row * KEEL_DEPTH_LEVELS;
  double stale = 0;
  for (int32_t at = 0; at < f->level_count[row]; at += 1) {
    if (side == 0 ? price[at] <= best_ticks : price[at] >= best_ticks) break;
    stale += size[at];
  }
  return stale;
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

/* Merges the old and the new levels, both best first, over the price range that both cover. */
static void compare_side(const int32_t *old_price, const double *old_size, int32_t old_count, const int32_t *price,
                         const double *size, int32_t count, int32_t side, double *net, double *removed) {
  /* Prices times the sign descend on both sides, so one merge serves both. */
  const int64_t sign = side == 0 ? 1 : -1;
  int64_t worst = INT64_MIN;
  if (old_count == KEEL_DEPTH_LEVELS) worst = sign * old_price[old_count - 1];
  if (count == KEEL_DEPTH_LEVELS && sign * price[count - 1] > worst) worst = sign * price[count - 1];
  int32_t old = 0, fresh = 0;
  while (old < old_count || fresh < count) {
    const int64_t a = old < old_count ? sign * old_price[old] : INT64_MIN;
    const int64_t b = fresh < count ? sign * price[fresh] : INT64_MIN;
    if (a < worst && b < worst) break;
    double change = 0;
    if (a >= b) {
      change -= old_size[old];
      old += 1;
    }
    if (b >= a) {
      change += size[fresh];
      fresh += 1;
    }
    *net += change;
    if (change < 0) *removed -= change;
  }
}

/* Makes the fresh levels of a side those of the slot. `same_mid`: the mid is that of the refresh before. */
static void refresh_side(const keel_features *f, int32_t slot, int32_t side, int32_t count, double mid, bool same_mid, bool compare,
                         double *net, double *removed) {
  const int32_t row = slot * 2 + side;
  int32_t *const kept_price = f->price_ticks + (size_t)row * KEEL_DEPTH_LEVELS;
  double *const kept_size = f->size_lots + (size_t)row * KEEL_DEPTH_LEVELS;
  const int32_t *const price = f->fresh_price + side * KEEL_DEPTH_LEVELS;
  const double *const size = f->fresh_size + side * KEEL_DEPTH_LEVELS;
  const int32_t old_count = f->level_count[row];
  double *const metrics = f->metrics + (size_t)row * DEPTH_METRICS;
  *net = 0;
  *removed = 0;
  /* Most messages of few levels leave one side as it was. The difference of infinite sizes is none. */
  const bool same = count > 0 && count == old_count && metrics[SUM20] < INFINITY &&
                    memcmp(kept_price, price, (size_t)count * sizeof *price) == 0 &&
                    memcmp(kept_size, size, (size_t)count * sizeof *size) == 0;
  if (same && same_mid) return;
  if (!same && compare && old_count > 0) compare_side(kept_price, kept_size, old_count, price, size, count, side, net, removed);

  const double bp_per_tick = mid > 0 ? 10000 / mid : 0;
  double bp[PADDED] = {0}, share[PADDED] = {0};
  for (int32_t level = 0; level < KEEL_DEPTH_LEVELS; level += 1) {
    bp[level] = fabs(price[level] - mid) * bp_per_tick;
    share[level] = size[level] / (1 + 2 * bp[level]);
  }
  double sum = 0, near = 0, largest = 0, weighted = 0, sum3 = 0, sum5 = 0, sum10 = 0;
  for (int32_t level = 0; level < count; level += 1) {
    sum += size[level];
    near += share[level];
    if (level < 3) sum3 = sum;
    if (level < 5) sum5 = sum;
    if (level < WITHDRAWAL_LEVELS) {
      sum10 = sum;
      weighted += size[level] * bp[level];
      if (size[level] > largest) largest = size[level];
    }
  }
  memcpy(kept_price, price, KEEL_DEPTH_LEVELS * sizeof *price);
  memcpy(kept_size, size, KEEL_DEPTH_LEVELS * sizeof *size);
  f->level_count[row] = count;

  const int32_t tenth = (count < WITHDRAWAL_LEVELS ? count : WITHDRAWAL_LEVELS) - 1;
  double logs[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  if (sum10 > 0) logs[0] = 1 + weighted / sum10;
  if (count > 1) logs[1] = 1 + fabs((double)price[1] - price[0]) * bp_per_tick;
  if (tenth > 0) logs[2] = 1 + fabs((double)price[tenth] - price[0]) * bp_per_tick;
  for (int32_t i = 0; i < 8; i += 1) logs[i] = natural_log(logs[i]);
  metrics[SUM3] = sum3;
  metrics[SUM5] = sum5;
  metrics[SUM10] = sum10;
  metrics[SUM20] = sum;
  metrics[NEAR] = near;
  metrics[LARGEST] = largest;
  metrics[BEHIND] = count > 0 ? sum10 - size[0] : 0;
  metrics[SLOPE] = logs[0];
  metrics[GAP] = logs[1];
  metrics[RANGE] = logs[2];
}

void JOIN(keel_feature_top_, KEEL_ISA)(const keel_features *f, int32_t slot, const keel_best *best, double time_us) {
  double *const s = f->state + (size_t)slot * STRIDE;
  count_event(s, time_us);
  update_top(f, s, slot, best);
}

void JOIN(keel_feature_trade_, KEEL_ISA)(const keel_features *f, int32_t slot, int32_t aggressor_side, double size_lots,
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

void JOIN(keel_feature_levels_, KEEL_ISA)(const keel_features *f, int32_t slot, int32_t bids, int32_t asks, bool is_delta,
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

void JOIN(keel_feature_write_, KEEL_ISA)(const keel_features *f, int32_t slot, double time_us, float *row) {
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
