/* What a slot remembers, and how time lets it forget; as src/feature/state.ts and context.ts have it. */
#ifndef KEEL_FEATURE_STATE_H
#define KEEL_FEATURE_STATE_H

#include <math.h>

#include "elementary.h"
#include "feature.h"
#include "isa.h"

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

/* A clock that is put back by more than this is followed: src/feature/tick.ts. */
#define CLOCK_JITTER_US 1000000.0

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

#endif
