/* The levels of a book that a slot keeps, and what is measured of them; as src/feature/depth.ts has it. */
#ifndef KEEL_FEATURE_DEPTH_H
#define KEEL_FEATURE_DEPTH_H

#include <stdbool.h>
#include <string.h>

#include "feature_state.h"

enum { SUM3 = 0, SUM5, SUM10, SUM20, NEAR, LARGEST, BEHIND, SLOPE, GAP, RANGE, DEPTH_METRICS };
#define WITHDRAWAL_LEVELS 10

/* A multiple of the widest vector's doubles. */
#define PADDED 24

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

#endif
